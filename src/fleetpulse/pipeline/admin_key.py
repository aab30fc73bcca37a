"""The file `admin.key` of the data folder: the key with which the person who owns the machine begins."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.catalog.acting import Act, acting, current_act
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.disk import sync_folder
from fleetpulse.model.key import KeyRecord
from fleetpulse.storage_causes import storage_error

ADMIN_KEY = "admin.key"


def make_admin_key(catalog: Catalog, folder: Path, *, number: int, at_ns: int, by: str) -> tuple[KeyRecord, Path]:
    """Make a key that may do everything, and write it to its file. Blocks. Returns: the key, and where the file is.

    Raises: StorageFailed; OSError; DatabaseBusy.
    """
    text = make_key("admin", number)
    # The file comes first: after a crash in between it holds a key that nobody knows, and is replaced. The other way
    # round there would be an admin key that nobody has, and so none would be made.
    path = write_admin_key(folder, text)
    key = KeyRecord(
        number=number,
        role="admin",
        digest=hash_key(text.encode()),
        description=f"made by {by}",
        created_at_ns=at_ns,
        created_by=by,
    )
    with making_admin_key(catalog, by=by):
        catalog.keys.add([key])
    return key, path


@contextmanager
def making_admin_key(catalog: Catalog, *, by: str) -> Generator[None, None, None]:
    """A transaction that makes such a key. At a start, and in the command for a stopped service, nobody else acts."""
    with acting(current_act() or Act(who=by, role="", action="makeKey")), catalog.transaction():
        yield


def write_admin_key(folder: Path, key: str) -> Path:
    """Put the key into the file, durable and for its owner only, in place of one that is there. Returns: its path.

    Raises: StorageFailed: the disk refuses it.
    """
    path = folder / ADMIN_KEY
    part = path.with_name(f"{ADMIN_KEY}.part")
    try:
        part.unlink(missing_ok=True)  # so that what is opened is ours, with our mode, and no link of somebody else
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, f"{key}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)
        sync_folder(folder)
    except OSError as error:
        raise storage_error(error, path) from error
    return path
