"""Tell a SQLite write-ahead log whose end is torn, as a power cut leaves it, from one that is damaged in the middle.

SQLite reads the log up to the first frame with a wrong checksum and ignores the rest without a word. In the last
transaction that is right: it was not synced, so its events were not acknowledged. In an earlier one it would lose
acknowledged events: with `synchronous=FULL` a transaction begins only when the one before it is on disk.

    header, 32 bytes   magic, format, page size, sequence, two salts, two checksums  (big-endian u32 each)
    frame              page number, pages after commit (0: not the last of its transaction), two salts,
                       two checksums, then the page

Source: SQLite's file format, "The Write-Ahead Log".
"""

import struct
from pathlib import Path

from fleetpulse.errors import DamagedData

_HEAD = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC_LITTLE = 0x377F0682
_MASK = 0xFFFF_FFFF


def check_wal(path: Path) -> None:
    """Check the log at `path`, if there is one, before SQLite opens it.

    Takes about a second for 10 MB. After a clean end of the service there is no log.
    Raises: DamagedData: a transaction that was synced cannot be read any more.
    """
    if not path.exists() or path.stat().st_size <= _HEAD.size:
        return
    body = path.read_bytes()
    magic, _, page_bytes, _, salt_1, salt_2, sum_1, sum_2 = _HEAD.unpack_from(body)
    order = "<" if magic == _MAGIC_LITTLE else ">"
    if _checksum(body[: _HEAD.size - 8], order, (0, 0)) != (sum_1, sum_2):
        return  # the power cut hit the very beginning of the log, so nothing of it was synced
    frame_bytes = _FRAME.size + page_bytes
    running = (sum_1, sum_2)
    first_bad = None
    has_ended = False
    for number, start in enumerate(range(_HEAD.size, len(body) - frame_bytes + 1, frame_bytes)):
        _, commit_pages, *salts, frame_1, frame_2 = _FRAME.unpack_from(body, start)
        if salts != [salt_1, salt_2]:
            if first_bad is None:
                return  # the rest is of an older log, whose space this log uses again
            continue
        if first_bad is None:
            running = _checksum(body[start : start + 8], order, running)
            running = _checksum(body[start + _FRAME.size : start + frame_bytes], order, running)
            if running != (frame_1, frame_2):
                first_bad = number
        elif has_ended:
            raise DamagedData(
                f"{path}: frame {first_bad} of the log is damaged, and complete transactions follow it. They hold "
                "acknowledged events, so the service does not start without them. Restore the data folder from a copy, "
                "or see docs/howto/repair.md."
            )
        if first_bad is not None and commit_pages:
            has_ended = True


def _checksum(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    """SQLite's running checksum of `data`, continued from `start`; `order` is the byte order as `struct` writes it."""
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
