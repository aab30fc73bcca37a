"""The data folder: what stands where in it, and the lock that keeps a second process out.

journal.sqlite    acknowledged events that no checkpoint covers yet
catalog.sqlite    what people declare, and the manifest of blocks
blocks/           history, where it is not kept in an S3 store
cache/            copies of files of the S3 store; may be deleted while the service is stopped
reached           how far journal and catalog have certainly come, see reached.py
token.key         the keys that sign what people get when they sign in; without it they sign in again
reserve           space that is given up when the disk is full
backing-up/       copies for the backup that is being made; may be removed while none is
admin.key         the first key, where the service made one
lock              the number of the process that uses the folder, for people; anybody may remove it

The lock is on the folder itself, so that a second path to it (a link, a bind mount) leads to the same lock, and nobody
can remove it while the folder is there.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.blocks.store import BlockStore, FolderBlockStore
from fleetpulse.catalog.sql_catalog import SqlCatalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.catalog_away import CatalogAway
from fleetpulse.clock import Clock
from fleetpulse.errors import DataFolderInUse, SettingsError, StorageFailed
from fleetpulse.journal.journal import Journal
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.pipeline.losses import settle_losses
from fleetpulse.pipeline.moved_away import check_is_here
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.service import Stores
from fleetpulse.pipeline.threads import Threads
from fleetpulse.secret_files import s3_credentials
from fleetpulse.settings import Settings
from fleetpulse.storage_causes import storage_error, storage_text
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("catalog")
_AGAIN_S = 2.0
"""Between two attempts to reach a catalog that does not answer yet."""
Synchronous = Literal["FULL", "NORMAL"]
JOURNAL, CATALOG, BLOCKS, CACHE, LOCK = "journal.sqlite", "catalog.sqlite", "blocks", "cache", "lock"


@contextlib.contextmanager
def hold_folder(folder: Path) -> Generator[None, None, None]:
    """Create the data folder if it is missing, and lock it while the context lasts.

    Raises: DataFolderInUse: another process has the lock. StorageFailed: the folder cannot be created or written.
    """
    with contextlib.ExitStack() as closing:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # hashes of passwords are in it
            # Before there was a lock on the folder, the file was the lock. Older versions still look at it, and so are
            # copies noticed whose files are the same by hard links.
            lock = closing.enter_context((folder / LOCK).open("a+", encoding="utf-8"))
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            closing.callback(os.close, descriptor)
        except OSError as error:
            raise StorageFailed(f"the data folder {storage_text(error, folder)}") from error
        if not (_is_locked(descriptor, is_folder=True) and _is_locked(lock.fileno())):
            lock.seek(0)
            number = lock.read().strip()
            holder = f"process {number}" if number else "another process, whose number the file `lock` does not tell"
            raise DataFolderInUse(
                f"the data folder {folder} is in use by {holder}: stop it first, or name another with --data."
            )
        # The number only helps people: on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield


def _is_locked(descriptor: int, *, is_folder: bool = False) -> bool:
    """Take a lock that ends with the process; False where another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # NFS locks only what is open for writing, which no folder can be: there the file alone is the lock.
        return is_folder and error.errno in {errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.ENOLCK}
    return True


def open_store(settings: Settings, *, uncached_folder: Path | None = None) -> BlockStore:
    """The block store of `settings`.

    Args: uncached_folder: of an S3 store read everything from the bucket, through this folder, which keeps nothing.
    Raises: SettingsError: it cannot be one; StorageFailed: its folder is no use.
    """
    place = Path(settings.data) / (CACHE if settings.blocks else BLOCKS)
    if settings.blocks and uncached_folder is not None:
        place = uncached_folder
    try:
        if not settings.blocks:
            return FolderBlockStore(place)
        return S3BlockStore(
            settings.blocks,
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            cache_folder=place,
            cache_bytes_max=settings.cache_bytes_max if uncached_folder is None else 0,
            timeout_s=settings.s3_timeout_s,
            credentials=s3_credentials(os.environ),
        )
    except OSError as error:
        raise storage_error(error, place) from error


def open_journal(settings: Settings, synchronous: Synchronous = "FULL") -> Journal:
    """The journal of `settings`: a file in the data folder, or a stream of NATS that other nodes share.

    Raises: OperatorError: it cannot be used. DatabaseBusy.
    """
    if not settings.journal:
        path = Path(settings.data) / JOURNAL
        return SqliteJournal(path, synchronous=synchronous, wait_s=settings.database_wait_s)
    try:
        # Only where it is used: one machine needs neither the client of NATS nor the time to import it.
        from fleetpulse.journal.jetstream import JetStreamJournal  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"journal = {settings.journal} needs the client of NATS: install fleetpulse[scale] ({error})"
        ) from error
    return JetStreamJournal(settings)


def open_catalog(settings: Settings, clock: Clock, *, sleep: Callable[[float], None] = time.sleep) -> SqlCatalog:
    """The catalog of `settings`: a file in the data folder, or a database of PostgreSQL that other nodes share.

    Where PostgreSQL does not answer yet, it is asked again for `catalog_wait_s`.
    Raises: OperatorError: it cannot be used. DatabaseBusy.
    """
    if not settings.catalog:
        return SqliteCatalog(Path(settings.data) / CATALOG, wait_s=settings.database_wait_s, clock=clock)
    try:
        # Only where it is used: one machine needs neither the client of PostgreSQL nor the time to import it.
        from fleetpulse.catalog.postgres import PostgresCatalog  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(f"a catalog on PostgreSQL needs its client: install fleetpulse[scale] ({error})") from error
    waited_s = 0.0
    while True:
        try:
            return PostgresCatalog(
                settings.catalog,
                timeout_s=settings.catalog_timeout_s,
                wait_s=settings.database_wait_s,
                start_wait_s=settings.catalog_wait_s,
                password=settings.catalog_password,
                clock=clock,
            )
        except CatalogAway as error:
            if waited_s >= settings.catalog_wait_s:
                raise
            log.warning("the catalog does not answer; it is asked again", error=str(error))
        sleep(_AGAIN_S)
        waited_s += _AGAIN_S


def open_stores(settings: Settings, clock: Clock, synchronous: Synchronous) -> Stores:
    """All that outlives the process, as it stands in the data folder.

    Raises: OperatorError: something of it cannot be used, or has vanished. DatabaseBusy.
    """
    folder = Path(settings.data)
    journal = open_journal(settings, synchronous)
    catalog = open_catalog(settings, clock)
    check_is_here(catalog, place=settings.data)
    catalog.policy_changes_max = settings.policy_changes_max
    # Events that are accepted after the catalog is gone could not be given to their devices after a restart.
    if journal.is_shared:
        catalog.share()
    if isinstance(journal, SqliteJournal) and not settings.catalog:
        journal.look_also_at(folder / CATALOG, folder / f"{CATALOG}-wal")
    manifest = catalog.manifest()
    history = History(open_store(settings), manifest, memory_cache_bytes_max=settings.memory_cache_bytes_max)
    threads = Threads(settings, settings)
    ownership = Ownership(
        folder=folder, store=history.store, journal=journal, catalog=catalog, clock=clock, threads=threads
    )
    # Before anything is written: a log that is put back must fit to the database.
    settle_losses(
        journal, catalog, manifest, is_accepted=settings.accept_loss, at_ns=clock.now_ns(), check=ownership.compare
    )
    return Stores(
        clock=clock,
        counters=Counters(),
        threads=threads,
        journal=journal,
        catalog=catalog,
        history=history,
        ownership=ownership,
    )
