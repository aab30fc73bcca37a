"""Each failure of the storage is told as what it is, and damage only where there is damage."""

import errno
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData, StorageFailed, Unreadable
from fleetpulse.storage_causes import Away, cause_of, is_final, storage_error, storage_text, unreadable

ADVICE_FOR_DAMAGE = "Restore the data folder from a copy"


def sqlite_error(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorname = name
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EACCES, "permission"),
        (errno.EPERM, "protected"),
        (errno.EROFS, "read_only"),
        (errno.ENOTDIR, "place"),
        (errno.EISDIR, "place"),
        (errno.EEXIST, "place"),
        (errno.EMFILE, "descriptors"),
        (errno.ENFILE, "descriptors"),
        (errno.ENOMEM, "memory"),
        (errno.EIO, "failing"),
        (errno.ESTALE, "failing"),
        (errno.ENOENT, "missing"),
        (errno.EXDEV, "other"),
    ],
)
def test_an_error_of_the_system_is_told_as_what_it_is_and_never_as_damage(number: int, kind: str) -> None:
    error = OSError(number, os.strerror(number), "data/file")
    cause = cause_of(error)
    assert (cause.kind, cause.is_damage) == (kind, False)
    text = storage_text(error)
    assert text.startswith(f"data/file: {cause.happened} ({os.strerror(number)}).")
    assert ADVICE_FOR_DAMAGE not in text
    assert type(storage_error(error, Path("data"))) is StorageFailed


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_FULL", "disk_full"),
        ("SQLITE_READONLY", "permission"),
        ("SQLITE_READONLY_DIRECTORY", "permission"),
        ("SQLITE_CANTOPEN", "failing"),
        ("SQLITE_NOMEM", "memory"),
        ("SQLITE_IOERR_READ", "failing"),
        ("SQLITE_IOERR_FSYNC", "failing"),
        ("SQLITE_CORRUPT", "damaged"),
        ("SQLITE_NOTADB", "damaged"),
        ("SQLITE_ERROR", "damaged"),
    ],
)
def test_an_error_of_sqlite_is_told_as_what_it_is(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for error in (sqlite_error(name), caused_by(sqlite_error(name))):
        assert cause_of(error, path).kind == kind
    is_damage = kind == "damaged"
    text = storage_text(sqlite_error(name), path)
    assert (ADVICE_FOR_DAMAGE in text) is is_damage
    assert type(storage_error(sqlite_error(name), path)) is (DamagedData if is_damage else StorageFailed)


def caused_by(cause: Exception) -> OSError:
    error = OSError("our own words")
    error.__cause__ = cause
    return error


def test_the_state_of_the_files_tells_what_sqlite_does_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.with_name("journal.sqlite-wal").mkdir()
    assert cause_of(sqlite_error("SQLITE_CANTOPEN"), path).kind == "place"
    assert cause_of(sqlite_error("SQLITE_CANTOPEN"), tmp_path / "file" / "journal.sqlite").kind == "place"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SQLITE_FULL", False), ("SQLITE_IOERR_WRITE", False), ("SQLITE_IOERR_FSYNC", True), ("SQLITE_CORRUPT", True)],
)
def test_only_a_failed_sync_and_damage_are_final(name: str, expected: bool) -> None:
    assert is_final(caused_by(sqlite_error(name))) is expected


def test_a_defect_of_ours_is_final() -> None:
    assert is_final(ValueError("a defect"))
    assert not is_final(OSError(errno.ENOSPC, "full"))


def test_a_block_that_the_storage_does_not_give_is_not_called_damaged() -> None:
    error = unreadable("block one", PermissionError(errno.EACCES, "Permission denied"))
    assert type(error) is Unreadable
    assert ADVICE_FOR_DAMAGE not in str(error)
    assert type(unreadable("block one", OSError("a page does not unpack"))) is DamagedData


def test_a_text_of_another_store_is_kept() -> None:
    assert storage_text(OSError("cannot list s3://bucket: refused"), "data") == "cannot list s3://bucket: refused"


def test_the_owner_of_a_file_is_named_where_it_is_another_user(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch()
    text = storage_text(PermissionError(errno.EACCES, "Permission denied", str(path)))
    assert "belongs to user" not in text
    if os.geteuid() == 0:
        os.chown(path, 12_345, -1)
        text = storage_text(PermissionError(errno.EACCES, "Permission denied", str(path)))
        assert f"{path} belongs to user 12345, and fleetpulse runs as 0." in text


def test_a_link_that_leads_nowhere_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "unmounted")
    for path in (tmp_path / "data", tmp_path / "data" / "journal.sqlite"):
        for number in (errno.EEXIST, errno.ENOENT):
            text = storage_text(OSError(number, "raw", str(path)))
            assert "it is a link to what is not there" in text
            assert "stands where" not in text


def test_what_the_permissions_do_not_explain_is_not_laid_to_them() -> None:
    text = storage_text(PermissionError(errno.EPERM, "Operation not permitted", "data/blocks/owner.json"))
    assert "chattr -i -a" in text
    assert "own the data folder" not in text


def test_a_database_that_root_may_not_write_is_protected(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch()
    if os.geteuid() or subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        return  # another user may not do so, or the file system has no such attribute
    try:
        assert cause_of(sqlite_error("SQLITE_READONLY"), path).kind == "protected"
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_servers_that_do_not_answer_are_no_end() -> None:
    assert cause_of(Away("no answer")).happened == "the servers that hold the journal do not answer"
    assert not is_final(Away("no answer"))
