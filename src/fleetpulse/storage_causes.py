"""What a failure of the storage is: errno and SQLite's codes become what happened, what it means, and what to do.

A full disk, a missing permission and damage look alike to whoever reads "disk I/O error", but only damage is a reason
to restore a copy: restored over a folder that is well, the copy would lose events that were acknowledged.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fleetpulse.disk import Moved
from fleetpulse.errors import DamagedData, OperatorError, StorageFailed, Unreadable

Kind = Literal[
    "disk_full",
    "permission",
    "protected",
    "read_only",
    "place",
    "dangling",
    "descriptors",
    "memory",
    "failing",
    "moved",
    "missing",
    "damaged",
    "away",
    "other",
]
SPACE_LEAST_BYTES = 65_536
"""With less free space SQLite can create neither its log nor the index of it."""
RESTORE = "Restore the data folder from a copy, or see docs/howto/repair.md."


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the storage refused an operation. `happened` follows the name of a file, `todo` is whole sentences."""

    kind: Kind
    happened: str
    todo: str

    @property
    def is_damage(self) -> bool:
        """Whether data is not what was written, so that a copy may be needed."""
        return self.kind == "damaged"


class Away(OSError):
    """The servers that hold something do not answer: whether it was done is not known, and it may be tried again."""


_NOTHING_LOST = "Nothing is damaged, and what was acknowledged is still there."
_CAUSES: dict[Kind, Cause] = {
    cause.kind: cause
    for cause in (
        Cause("disk_full", "the disk is full", f"{_NOTHING_LOST} Make room on the disk, or raise the quota."),
        Cause(
            "permission",
            "the process may not read or write it",
            f"{_NOTHING_LOST} Let the user that runs fleetpulse own the data folder and all files in it.",
        ),
        Cause(
            "protected",
            "the system forbids to change it, although the permissions would allow it",
            f"{_NOTHING_LOST} If `lsattr` shows i (immutable) or a (append only) for the file or its folder, take that "
            "away with `chattr -i -a`; else look what restricts the process, such as a container or a security module.",
        ),
        Cause(
            "dangling",
            "it is a link to what is not there",
            f"{_NOTHING_LOST} See that the disk it leads to is mounted, or remove the link.",
        ),
        Cause(
            "read_only",
            "the disk is mounted read-only",
            f"{_NOTHING_LOST} Mount it for writing. A system remounts a failing disk so by itself: look at its log "
            "(`dmesg`) first.",
        ),
        Cause(
            "place",
            "a file stands where a folder belongs, or a folder where a file belongs",
            f"{_NOTHING_LOST} Move it away, or name another data folder with --data.",
        ),
        Cause(
            "descriptors",
            "the process, or the system, has no file descriptors left",
            f"{_NOTHING_LOST} Raise the limit (LimitNOFILE of systemd, `ulimit -n` of a shell), and start again.",
        ),
        Cause("memory", "the memory is used up", f"{_NOTHING_LOST} Give the service more memory, and start again."),
        Cause(
            "failing",
            "the disk failed to read or write",
            "This does not mean that data is damaged: do not restore a copy yet. Look at the system's log (`dmesg`) "
            "and at the disk, mend it, and start again; run `fleetpulse verify` afterwards.",
        ),
        Cause(
            "moved",
            "it was removed, or replaced by something else, while it was in use",
            "What was acknowledged is in what the service had opened: if that was moved, bring it back; then restart.",
        ),
        Cause("missing", "it is not there", "See that the disk is mounted, and that nothing was moved or deleted."),
        Cause("damaged", "it is damaged", RESTORE),
        Cause(
            "away",
            "the servers that hold the journal do not answer",
            f"{_NOTHING_LOST} See that they run and can be reached.",
        ),
        Cause("other", "the storage refused an operation", f"Look at the system's log. {_NOTHING_LOST}"),
    )
}
_ERRNO: dict[int, Kind] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "disk_full"),
    errno.EACCES: "permission",
    errno.EPERM: "protected",
    errno.EROFS: "read_only",
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP), "place"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "descriptors"),
    errno.ENOMEM: "memory",
    **dict.fromkeys((errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO), "failing"),
    errno.ENOENT: "missing",
}
_SQLITE: dict[int, Kind] = {
    sqlite3.SQLITE_FULL: "disk_full",
    **dict.fromkeys((sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN), "permission"),
    sqlite3.SQLITE_NOMEM: "memory",
    sqlite3.SQLITE_IOERR: "failing",
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR), "damaged"),
}
"""By primary code. SQLITE_ERROR comes of a table that is not there, or has other columns."""
_FINAL = {"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_CORRUPT", "SQLITE_NOTADB"}


def cause_of(error: BaseException, path: Path | None = None) -> Cause:
    """The cause of an error of the system, of SQLite, or of one that was raised from these.

    `path`: the database, which is looked at where SQLite itself does not tell why it could not open or write it. It
    must be closed, or only its state is looked at, never its content.
    """
    for one in _chain(error):
        if isinstance(one, DamagedData):
            return _CAUSES["damaged"]
        if isinstance(one, Moved):
            return _CAUSES["moved"]
        if isinstance(one, Away):
            return _CAUSES["away"]
        if isinstance(one, sqlite3.Error):
            return _CAUSES[_of_sqlite(one, path)]
        if isinstance(one, OSError) and one.errno is not None:
            return _CAUSES[_ERRNO.get(one.errno, "other")]
        if isinstance(one, MemoryError):
            return _CAUSES["memory"]
    return _CAUSES["damaged" if isinstance(error, sqlite3.DatabaseError) else "other"]


def is_final(error: BaseException) -> bool:
    """Whether nothing may be written after this error until the process is restarted.

    After a failed sync the kernel may have dropped the page, so that a second try could succeed without the data on
    disk. A file that its name does not lead to any more is lost with the process. After any other failure SQLite has
    rolled back, and the same transaction may be tried again.
    """
    causes = list(_chain(error))
    is_known = any(isinstance(one, OSError | sqlite3.Error) for one in causes)
    return not is_known or any(
        isinstance(one, Moved) or getattr(one, "sqlite_errorname", "") in _FINAL for one in causes
    )


def storage_text(error: BaseException, path: Path | str = "", *, database: Path | None = None) -> str:
    """What an operator reads of a failure: where, what happened in plain words and in the system's, and what to do."""
    if isinstance(error, OSError) and error.errno is None:
        return str(error)  # of another store than a disk, or a text of here already
    cause = cause_of(error, database)
    named = getattr(error, "filename", None) or path
    if cause.kind in ("place", "missing") and named and _dangling(Path(named)):
        cause = _CAUSES["dangling"]
    place = str(getattr(error, "filename", None) or path or "the storage")
    raw = getattr(error, "strerror", None) or str(error)
    owner = f" {_owner(Path(place))}" if cause.kind == "permission" else ""
    return f"{place}: {cause.happened} ({raw}). {cause.todo}{owner}"


def storage_error(error: BaseException, path: Path, *, database: Path | None = None) -> OperatorError:
    """The error that ends a start or a command: DamagedData where the cause is damage, else StorageFailed."""
    kind = DamagedData if cause_of(error, database).is_damage else StorageFailed
    return kind(storage_text(error, path, database=database))


def unreadable(block: str, error: BaseException) -> DamagedData:
    """The error of a block that could not be read: Unreadable where the storage did not give it, else DamagedData."""
    if isinstance(error, OSError) and error.errno is not None:
        return Unreadable(storage_text(error, f"{block} cannot be read"))
    return DamagedData(f"{block} cannot be read: {error}. Run `fleetpulse verify`.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _of_sqlite(error: sqlite3.Error, path: Path | None) -> Kind:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "damaged" if isinstance(error, sqlite3.DatabaseError) else "other"
    kind = _SQLITE.get(code & 0xFF, "other")
    if path is not None and kind in ("permission", "failing", "other"):
        found = _state_of(path)
        if found is not None:
            return _ERRNO.get(found, kind)
        # That it cannot be opened was only taken for a missing permission; a look at the files has found none missing.
        return "failing" if code & 0xFF == sqlite3.SQLITE_CANTOPEN else kind
    return kind


def _state_of(path: Path) -> int | None:
    """The errno that explains why SQLite cannot use a database, as far as the files' state tells it.

    The files are not opened: closing one of them again would release the locks that SQLite holds on it.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))  # tells whether file descriptors are left
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            if name.is_dir():
                return errno.EISDIR
            if name.exists() and not os.access(name, os.R_OK | os.W_OK):
                return _why_refused(name)
        if not path.parent.is_dir():
            return errno.ENOTDIR
        space = os.statvfs(path.parent)
        if space.f_bavail * space.f_frsize < SPACE_LEAST_BYTES or (space.f_files and not space.f_favail):
            return errno.ENOSPC
        if space.f_flag & os.ST_RDONLY:
            return errno.EROFS
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return _why_refused(path.parent)
    except OSError as error:
        return error.errno
    return None


def _why_refused(path: Path) -> int:
    """The errno of a file that may not be read or written: of an immutable one the permissions tell nothing."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return errno.EROFS
    state = path.stat()
    is_ours = os.geteuid() in (0, state.st_uid) and (os.geteuid() == 0 or state.st_mode & 0o600 == 0o600)
    return errno.EPERM if is_ours else errno.EACCES


def _dangling(path: Path) -> bool:
    """Whether a path, or what it is in, is a link that leads nowhere."""
    return any(one.is_symlink() and not one.exists() for one in (path, *path.parents))


def _owner(path: Path) -> str:
    """Whom a file belongs to, where that is not the user of this process."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        owner = path.stat().st_uid
    except OSError:
        return ""
    return "" if owner == os.geteuid() else f"{path} belongs to user {owner}, and fleetpulse runs as {os.geteuid()}."
