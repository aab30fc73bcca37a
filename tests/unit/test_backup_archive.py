"""The file of a backup: what is written is read, and what is not as it was written is refused."""

import hashlib
import io
import tarfile
from collections.abc import Iterator

import msgspec
import pytest

from fleetpulse.backup_archive import END_OF_ARCHIVE, NOTE, BackupNote, Listed, header_of, padding_of, read_archive
from fleetpulse.errors import DamagedData

FILES = {"catalog.sqlite": b"c" * 700, "journal.sqlite": b"", "blocks/presence-1.parquet": b"p" * 1024}


def note_of(files: dict[str, bytes], **fields: object) -> BackupNote:
    listed = [Listed(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in files.items()]
    about = {"format": 1, "version": "0", "begun_at": "2026-11-24T08:30:00Z", "position": 3, "files": listed, **fields}
    return BackupNote(**about)  # type: ignore[arg-type]  # fields of one struct


def archive_of(note: BackupNote, files: dict[str, bytes]) -> bytes:
    bodies = {NOTE: msgspec.json.encode(note), **files}
    parts = [header_of(name, len(body), 0) + body + padding_of(len(body)) for name, body in bodies.items()]
    return b"".join(parts) + END_OF_ARCHIVE


def read(archive: bytes) -> tuple[BackupNote, dict[str, bytes]]:
    found: dict[str, bytes] = {}

    def keep(listed: Listed, pieces: Iterator[bytes]) -> None:
        found[listed.name] = b"".join(pieces)

    return read_archive(io.BytesIO(archive), keep), found


def test_every_file_comes_back_and_other_programs_read_the_archive_too() -> None:
    note = note_of(FILES)
    archive = archive_of(note, FILES)
    assert read(archive) == (note, FILES)
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        assert members.getnames() == [NOTE, *FILES]
        assert {member.mode for member in members} == {0o600}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 600, 1023, 1024, 1700, 2048, 3000, 3583])
def test_an_archive_that_is_cut_off_is_refused(size: int) -> None:
    archive = archive_of(note_of(FILES), FILES)
    assert size < len(archive) - len(END_OF_ARCHIVE)
    with pytest.raises(DamagedData, match=r"cut off|no backup|cannot be read"):
        read(archive[:size])


@pytest.mark.parametrize(
    ("files", "fields", "found", "reason"),
    [
        (FILES, {}, {**FILES, "catalog.sqlite": b"d" * 700}, "catalog.sqlite in the backup is damaged"),
        (FILES, {}, {**FILES, "catalog.sqlite": b"c" * 699}, "does not list so"),
        (FILES, {}, {**FILES, "admin.key": b"fp_"}, "`admin.key` that it does not list so"),
        ({**FILES, "../../etc/passwd": b"x"}, {}, FILES, "lists a file `../../etc/passwd`"),
        ({**FILES, "blocks/../x.parquet": b"x"}, {}, FILES, "lists a file `blocks/../x.parquet`"),
        ({**FILES, "admin.key": b"x"}, {}, FILES, "lists a file `admin.key`"),
        ({"journal.sqlite": b""}, {}, {"journal.sqlite": b""}, "no catalog, or no journal"),
        (FILES, {"format": 2}, FILES, "format 2"),
        (FILES, {}, {"catalog.sqlite": b"c" * 700}, "2 of 3 files are not in it"),
    ],
)
def test_what_is_not_as_it_is_listed_is_refused(
    files: dict[str, bytes], fields: dict[str, object], found: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(DamagedData, match=reason):
        read(archive_of(note_of(files, **fields), found))


def test_a_link_is_no_file() -> None:
    note = msgspec.json.encode(note_of(FILES))
    link = tarfile.TarInfo("catalog.sqlite")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = header_of(NOTE, len(note), 0) + note + padding_of(len(note)) + link.tobuf() + END_OF_ARCHIVE
    with pytest.raises(DamagedData, match="does not list so"):
        read(archive)
