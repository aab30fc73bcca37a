"""How far journal and catalog have certainly come, in a small file beside them: the mark that shows what has vanished.

A write-ahead log that is missing or cut leaves a database that is older, and looks as good as any other. So after each
commit, when it is on disk, its number is written here. That costs two microseconds, since the mark itself is not
synced: it survives a crash of the process, and after a power cut it is at worst behind. It is never ahead.

    offset 0      record of the journal      numbers are positions of entries
    offset 512    record of the catalog      numbers count its transactions

    record: magic b"FPRC", u32 1 where the file was closed cleanly, u64 number, i64 at_ns, i64 since_ns, u32 CRC-32
"""

import contextlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

NAME = "reached"
_RECORD = struct.Struct("<4sIQqq")
_CRC = struct.Struct("<I")
_MAGIC = b"FPRC"
_SLOT_BYTES = 512


@dataclass(frozen=True, slots=True)
class Reached:
    """The last commit that is certainly on disk, when it was, and when the first was (0: not known)."""

    number: int
    at_ns: int
    since_ns: int
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """What has vanished of the journal or the catalog: the commits in (after, through].

    `since_ns`: when the last one was written that is still there; 0: that is not known.
    """

    part: str
    after: int
    through: int
    since_ns: int

    @property
    def count(self) -> int:
        """How many commits have vanished."""
        return self.through - self.after


class ReachedMark:
    """One record of the file. Used by the one thread that writes what it is about."""

    def __init__(self, folder: Path, *, slot: int) -> None:
        self._path = folder / NAME
        self._offset = slot * _SLOT_BYTES
        self._descriptor = -1
        self._since_ns = 0
        self.found = self._read()
        """What the record said when it was opened; None where nothing could be read, or once it was written."""
        if self.found is not None:
            self._since_ns = self.found.since_ns

    def _read(self) -> Reached | None:
        # A mark that cannot be read proves nothing, as one that never was.
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(self._offset)
            record = file.read(_RECORD.size + _CRC.size)
            if len(record) == _RECORD.size + _CRC.size and record.startswith(_MAGIC):
                _, is_closed, number, at_ns, since_ns = _RECORD.unpack_from(record)
                if _CRC.unpack_from(record, _RECORD.size)[0] == zlib.crc32(record[: _RECORD.size]):
                    return Reached(number, at_ns, since_ns, bool(is_closed))
        return None

    def write(self, number: int, at_ns: int, *, is_closed: bool = False) -> None:
        """Record that commit `number` is on disk, which it must be already."""
        if self.found is not None:
            if number < self.found.number:
                return  # what has vanished must be told at each start, until it is accepted
            self.found = None
        # The commit itself has succeeded: without its mark it is as safe, and only a later loss may go unnoticed.
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._since_ns = self._since_ns or at_ns
            record = _RECORD.pack(_MAGIC, is_closed, number, at_ns, self._since_ns)
            os.pwrite(self._descriptor, record + _CRC.pack(zlib.crc32(record)), self._offset)
            if is_closed:
                os.fsync(self._descriptor)

    def accept(self, number: int, at_ns: int) -> None:
        """Record that this is all there is, although it was more."""
        self.found = None
        self.write(number, at_ns)

    def close(self) -> None:
        """Release the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
