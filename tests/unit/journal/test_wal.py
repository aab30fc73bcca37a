import struct
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.journal.wal import check_wal

PAGE = 512
FRAME = 24 + PAGE
SALTS = (11, 12)


def checksum(data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    one, two = start
    for first, second in struct.iter_unpack(">2I", data):
        one = (one + first + two) % 2**32
        two = (two + second + one) % 2**32
    return one, two


def log(*commits: bool, salts: tuple[int, int] = SALTS) -> bytearray:
    """A log of one frame for each of `commits`: whether it ends a transaction."""
    head = struct.pack(">6I", 0x377F0683, 3_007_000, PAGE, 0, *salts)
    running = checksum(head, (0, 0))
    body = head + struct.pack(">2I", *running)
    for number, is_commit in enumerate(commits):
        numbers = struct.pack(">2I", number + 1, number + 1 if is_commit else 0)
        page = bytes([number]) * PAGE
        running = checksum(page, checksum(numbers, running))
        body += numbers + struct.pack(">4I", *salts, *running) + page
    return bytearray(body)


def check(body: bytes, folder: Path) -> None:
    (folder / "log").write_bytes(body)
    check_wal(folder / "log")


def flipped(body: bytearray, frame: int) -> bytearray:
    body[32 + frame * FRAME + 100] ^= 1
    return body


def test_a_whole_log_or_none_is_right(tmp_path: Path) -> None:
    check_wal(tmp_path / "none")
    for body in (b"", log(), log(True), log(False, True, False, False, True)):
        check(body, tmp_path)


def test_a_torn_or_damaged_last_transaction_is_what_a_power_cut_leaves(tmp_path: Path) -> None:
    whole = log(True, False, True)
    for cut in (1, 100, FRAME, FRAME + 1, len(whole) - 33):
        check(whole[:-cut], tmp_path)
    check(flipped(log(True, False, True), 1), tmp_path)
    check(flipped(log(True, False, True), 2), tmp_path)


def test_damage_before_a_complete_transaction_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match="frame 0 of the log is damaged, and complete transactions follow"):
        check(flipped(log(True, False, True), 0), tmp_path)
    with pytest.raises(DamagedData, match="frame 1 "):
        check(flipped(log(True, False, True, True), 1), tmp_path)


def test_frames_of_an_older_log_behind_the_end_are_no_damage(tmp_path: Path) -> None:
    older = log(True, True, True, salts=(1, 2))
    check(log(True) + older[32 + FRAME :], tmp_path)


def test_a_log_whose_header_was_just_being_written_is_empty(tmp_path: Path) -> None:
    body = log(True, True)
    body[8] ^= 1
    check(body, tmp_path)
