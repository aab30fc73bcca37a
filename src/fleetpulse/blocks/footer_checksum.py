"""The checksum of a Parquet footer, which the format has only for pages.

A footer says where everything is, so a flipped bit in it makes a reader leave rows out, take wrong ones, or end the
process. Files that are read in parts are not read as a whole first, so the footer has a checksum of its own: 40 bytes
directly before it, which no reader of Parquet looks at.

    PAR1 | row groups … | "footsha2" | SHA-256 of all that follows | footer | its length, uint32 | PAR1

Files of earlier versions have none.
"""

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa

MAGIC = b"PAR1"
MARK = b"footsha2"
TAIL_BYTES = 8
"""The length of the footer and the magic at the end."""
CHECKSUM_BYTES = len(MARK) + hashlib.sha256().digest_size


def with_footer_checksum(write: Callable[[BinaryIO], None]) -> Callable[[BinaryIO], None]:
    """The same, and then the checksum is put into the file, which is open for reading and writing.

    What is no Parquet file stays as it is.
    """

    def write_both(file: BinaryIO) -> None:
        write(file)
        start, tail = _footer(file)
        if tail:
            file.seek(start)
            file.write(MARK + hashlib.sha256(tail).digest() + tail)

    return write_both


def has_sound_footer(file: BinaryIO) -> bool:
    """Whether the footer is what was written. False: it is not, or the file has no checksum of it."""
    start, tail = _footer(file)
    return bool(tail) and _checksum(file, start) == MARK + hashlib.sha256(tail).digest()


def check_footer(file: BinaryIO) -> None:
    """Compare the checksum of the footer, where the file has one.

    Raises: pyarrow.ArrowInvalid: the footer is not what was written.
    """
    start, tail = _footer(file)
    found = _checksum(file, start)
    if found.startswith(MARK) and found != MARK + hashlib.sha256(tail).digest():
        raise pa.ArrowInvalid("its footer is not what was written (its checksum differs)")
    file.seek(0)


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer begins, and all bytes from there on; none where the file cannot be a Parquet file."""
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(max(0, size_bytes - TAIL_BYTES))
    end = file.read(TAIL_BYTES)
    start = size_bytes - TAIL_BYTES - int.from_bytes(end[:4], "little")
    if len(end) < TAIL_BYTES or not end.endswith(MAGIC) or start < len(MAGIC):
        return 0, b""
    file.seek(start)
    return start, file.read()


def _checksum(file: BinaryIO, start: int) -> bytes:
    """The bytes in which the checksum stands, where there is one."""
    if start < CHECKSUM_BYTES:
        return b""
    file.seek(start - CHECKSUM_BYTES)
    return file.read(CHECKSUM_BYTES)
