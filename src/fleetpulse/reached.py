"""How far journal and catalog have certainly come, in a small file beside them: the mark that shows what has vanished.

A write-ahead log that is missing or cut leaves a database that is older, and looks as good as any other. So after each
commit, when it is on disk, its number is written here. That costs two microseconds, since the mark itself is not
synced: it survives a crash of the process, and after a power cut it is at worst behind. It is never ahead. Once the
file itself is durable, the catalog says that it exists, so that a start notices where it is missing. While the service
runs, a mark that was removed, replaced or cut is written anew within a second of commits.

    offset 0      record of the journal      numbers are positions of entries
    offset 512    record of the catalog      numbers count its transactions

    record: magic b"FPRC", u32 1 where the file was closed cleanly, u64 number, i64 at_ns, i64 since_ns, u32 CRC-32
"""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fleetpulse.disk import sync_folder
from fleetpulse.storage_causes import storage_text

NAME = "reached"
_RECORD = struct.Struct("<4sIQqq")
_CRC = struct.Struct("<I")
_RECORD_BYTES = _RECORD.size + _CRC.size
_MAGIC = b"FPRC"
_SLOT_BYTES = 512
LOOK_NS = 1_000_000_000
"""Between two looks whether the file is still there; each costs some microseconds."""


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

    _made: ClassVar[set[tuple[int, int]]] = set()
    """Device and inode of the files that this process made: the other record's writer may have made the file anew."""

    def __init__(self, folder: Path, *, slot: int) -> None:
        self._path = folder / NAME
        self._offset, self._other_offset = slot * _SLOT_BYTES, (1 - slot) * _SLOT_BYTES
        self._descriptor = self._folder = -1
        self._identity = (0, 0)
        self._looked_at_ns = 0
        self._other = b""
        """The record of the other, as it was at the last look: it is written back where it has vanished."""
        self._since_ns = 0
        self.trouble = ""
        """Why it could not be written last, or be read at first; empty where it was. May be read by any thread."""
        self.found = self._read()
        """What the record said when it was opened; None where nothing could be read, or once it was written."""
        if self.found is not None:
            self._since_ns = self.found.since_ns

    def _read(self) -> Reached | None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                return _decode(file.read(_RECORD_BYTES))
        except FileNotFoundError:
            return None  # it proves nothing, as one that never was; whether there was one, the catalog knows
        except OSError as error:
            self.trouble = f"how far journal and catalog had come cannot be read: {storage_text(error, self._path)}"
            return None

    def write(self, number: int, at_ns: int, *, is_closed: bool = False) -> None:
        """Record that commit `number` is on disk, which it must be already. Where that fails, `trouble` says why."""
        if self.found is not None:
            if number < self.found.number:
                return  # what has vanished must be told at each start, until it is accepted
            self.found = None
        # The commit itself has succeeded: without its mark it is as safe, and only a later loss may go unnoticed.
        try:
            if self._descriptor < 0 or is_closed or not 0 <= at_ns - self._looked_at_ns < LOOK_NS:
                self._look()
                self._looked_at_ns = at_ns
            self._since_ns = self._since_ns or at_ns
            record = _RECORD.pack(_MAGIC, is_closed, number, at_ns, self._since_ns)
            os.pwrite(self._descriptor, record + _CRC.pack(zlib.crc32(record)), self._offset)
            if is_closed:
                os.fsync(self._descriptor)
            self.trouble = ""
        except OSError as error:
            self.trouble = (
                f"how far journal and catalog have come cannot be recorded, so that a later loss of files may go "
                f"unnoticed: {storage_text(error, self._path)}"
            )

    def _look(self) -> None:
        """Open the file, also where it has vanished since, and see that it has both records.

        The mark of another copy, which people have put in its place or whose folder is in the place of ours, is not
        written to: it is about other files.
        """
        if self._folder < 0:
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._descriptor >= 0 and not self._is_in_place():
            os.close(self._descriptor)
            self._descriptor = -1
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(NAME, flags, 0o644, dir_fd=self._folder)
            is_new = _decode(os.pread(self._descriptor, _RECORD_BYTES, self._offset)) is None
            state = os.fstat(self._descriptor)
            self._identity = state.st_dev, state.st_ino
            if is_new:
                self._made.add(self._identity)
        other = os.pread(self._descriptor, _RECORD_BYTES, self._other_offset)
        if _decode(other) is not None:
            self._other = other
        elif self._other:
            os.pwrite(self._descriptor, self._other, self._other_offset)

    def _is_in_place(self) -> bool:
        try:
            state = os.stat(NAME, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        identity = state.st_dev, state.st_ino
        if identity == self._identity or identity in self._made:
            return identity == self._identity
        descriptor = os.open(NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return _decode(os.pread(descriptor, _RECORD_BYTES, self._offset)) is not None
        finally:
            os.close(descriptor)

    def make_durable(self, number: int, at_ns: int) -> bool:
        """Record `number` so that the file outlives a power cut; False where that failed, and `trouble` says why."""
        self.accept(number, at_ns or (self.found.at_ns if self.found else 0))
        if self.trouble:
            return False
        try:
            os.fsync(self._descriptor)
            sync_folder(self._path.parent)
        except OSError as error:
            self.trouble = storage_text(error, self._path)
            return False
        return True

    def accept(self, number: int, at_ns: int) -> None:
        """Record that this is all there is, although it was more."""
        self.found = None
        self.write(number, at_ns)

    def close(self) -> None:
        """Release the file."""
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1


def _decode(record: bytes) -> Reached | None:
    """The record in bytes; None where it is none, or is damaged."""
    if len(record) < _RECORD_BYTES or not record.startswith(_MAGIC):
        return None
    _, is_closed, number, at_ns, since_ns = _RECORD.unpack_from(record)
    if _CRC.unpack_from(record, _RECORD.size)[0] != zlib.crc32(record[: _RECORD.size]):
        return None
    return Reached(number, at_ns, since_ns, bool(is_closed))
