"""Is the end of a SQLite write-ahead log torn, as a power cut leaves it, or is something damaged in its middle?

SQLite reads a log up to the first frame that fails its checksum and forgets the rest. For the last transaction that is right:
it was never synced, so nobody was told of it. Before that it would be a silent loss: with `synchronous=FULL` a transaction
begins only when the one before it is on disk.

    header, 32 bytes   magic, format, page size, sequence, salt 1, salt 2, checksum 1, checksum 2     big-endian u32 each
    frame              page number, pages after commit (0: not the last of its transaction), salt 1, salt 2,
                       checksum 1, checksum 2, then the page

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
    """Look at the log before SQLite does. Raises: DamagedData: a transaction that was synced cannot be read any more.

    Costs about a second for 10 MB; after a clean end there is no log to read.
    """
    if not path.exists() or path.stat().st_size <= _HEAD.size:
        return
    body = path.read_bytes()
    magic, _, page_bytes, _, salt_1, salt_2, sum_1, sum_2 = _HEAD.unpack_from(body)
    order = "<" if magic == _MAGIC_LITTLE else ">"
    if _checksum(body[: _HEAD.size - 8], order, (0, 0)) != (sum_1, sum_2):
        return  # the header of a log that was just being begun: nothing of it was synced
    frame_bytes = _FRAME.size + page_bytes
    running = (sum_1, sum_2)
    first_bad = None
    has_ended = False
    for number, start in enumerate(range(_HEAD.size, len(body) - frame_bytes + 1, frame_bytes)):
        _, commit_pages, *salts, frame_1, frame_2 = _FRAME.unpack_from(body, start)
        if salts != [salt_1, salt_2]:
            if first_bad is None:
                return  # what is left of an older log
            continue
        if first_bad is None:
            running = _checksum(body[start : start + 8], order, running)
            running = _checksum(body[start + _FRAME.size : start + frame_bytes], order, running)
            if running != (frame_1, frame_2):
                first_bad = number
        elif has_ended:
            raise DamagedData(
                f"{path}: frame {first_bad} of the log is damaged, and whole transactions stand behind it. Acknowledged events are in "
                "them, so they are not skipped. Restore the data folder from a copy, or see docs/howto/repair.md."
            )
        if first_bad is not None and commit_pages:
            has_ended = True


def _checksum(data: bytes, order: str, start: tuple[int, int]) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
