"""The file of a backup: a tar archive that is made and read in one go, and says first what must be in it.

    backup.json         format, version, when it was begun, the journal's last entry, every file with size and SHA-256
    catalog.sqlite      copies of the databases, each as it was at one moment: the journal's first
    journal.sqlite
    blocks/NAME         the blocks that the catalog names, those left out that were damaged or missing already

Nothing else of a data folder is in it, so none of its secrets: `admin.key`, keys of signatures, certificates.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Protocol

import msgspec

from fleetpulse.errors import DamagedData

NOTE, FORMAT = "backup.json", 1
NOTE_BYTES_MAX = 256 << 20
PIECE_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_NAMES = re.compile(r"(catalog|journal)\.sqlite|blocks/[A-Za-z0-9_-][A-Za-z0-9._-]*\.parquet")
END_OF_ARCHIVE = bytes(2 * _BLOCK)


class Listed(msgspec.Struct, frozen=True):
    """A file of the archive."""

    name: str
    bytes: int
    sha256: str


class BackupNote(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive says of itself. `missing`: blocks that were damaged or missing when it was made."""

    format: int
    version: str
    begun_at: str
    position: int
    files: list[Listed]
    missing: list[str] = []


class Readable(Protocol):
    """Something that gives its next bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def header_of(name: str, size_bytes: int, mtime_s: int) -> bytes:
    """What stands before the bytes of a file."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size_bytes, mtime_s, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def padding_of(size_bytes: int) -> bytes:
    """What stands after the bytes of a file."""
    return bytes(-size_bytes % _BLOCK)


def read_archive(archive: IO[bytes], keep: Callable[[Listed, Iterator[bytes]], None]) -> BackupNote:
    """Read an archive to its end; `keep` is given each file and must take all of its bytes.

    Raises: DamagedData: it is no backup, is cut off, or a file is not what was written; `keep` may have had it already.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            note = _read_note(members)
            expected = {listed.name: listed for listed in note.files}
            while (member := members.next()) is not None:
                listed = expected.pop(member.name, None)
                if listed is None or not member.isreg() or member.size != listed.bytes:
                    raise DamagedData(f"the backup has a file `{member.name}` that it does not list so")
                reader = members.extractfile(member)
                assert reader is not None
                keep(listed, _checked(reader, listed))
    except (tarfile.TarError, EOFError) as error:
        raise DamagedData(f"this is no backup of fleetpulse, or it is cut off or damaged: {error}") from error
    if expected:
        raise DamagedData(f"the backup is cut off: {len(expected)} of {len(note.files)} files are not in it")
    return note


def _read_note(members: tarfile.TarFile) -> BackupNote:
    first = members.next()
    if first is None or first.name != NOTE or not first.isreg() or first.size > NOTE_BYTES_MAX:
        raise DamagedData(f"this is no backup of fleetpulse: it does not begin with {NOTE}")
    reader = members.extractfile(first)
    assert reader is not None
    try:
        note = msgspec.json.decode(reader.read(), type=BackupNote)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedData(f"{NOTE} of the backup cannot be read: {error}") from error
    if note.format > FORMAT:
        raise DamagedData(f"the backup has format {note.format}, of fleetpulse {note.version}: restore it with that")
    for listed in note.files:
        if not _NAMES.fullmatch(listed.name):
            raise DamagedData(f"the backup lists a file `{listed.name}`, which no backup has")
    if not {"catalog.sqlite", "journal.sqlite"} <= {listed.name for listed in note.files}:
        raise DamagedData("the backup lists no catalog, or no journal")
    return note


def _checked(reader: Readable, listed: Listed) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), listed.bytes
    while left:
        piece = reader.read(min(left, PIECE_BYTES))
        if not piece:
            raise DamagedData(f"the backup is cut off in {listed.name}")
        left -= len(piece)
        digest.update(piece)
        yield piece
    if digest.hexdigest() != listed.sha256:
        raise DamagedData(f"{listed.name} in the backup is damaged: its checksum is not the one that is listed")
