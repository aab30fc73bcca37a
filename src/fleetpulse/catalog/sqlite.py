"""The catalog on one machine: a SQLite file, `synchronous=FULL`, one connection.

device(number, id, labels)       number is the index into every column of the live fleet, given once
manifest(…)                      one row: position, open_from_day, taken_at_ns
block(name, kind, day, …)        the files that the manifest names
"""

import contextlib
import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path

from fleetpulse.errors import DamagedData, OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.manifest import BlockFile, Manifest

SCHEMA_VERSION = 1
_REGISTER_ROWS = 10_000
_SCHEMA = """
CREATE TABLE device (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, labels TEXT NOT NULL);
CREATE TABLE manifest (position INTEGER NOT NULL, open_from_day INTEGER NOT NULL, taken_at_ns INTEGER NOT NULL);
CREATE TABLE block (name TEXT PRIMARY KEY, kind TEXT NOT NULL, day INTEGER, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL);
"""


class SqliteCatalog:
    """See Catalog."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises: DamagedData: not ours, corrupt, or written by a newer fleetpulse."""
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DamagedData:
        return DamagedData(f"{self._path} cannot be read: {error}. Restore the data folder from a copy.")

    @contextlib.contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def _migrate(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise DamagedData(f"{self._path} has schema {version}; this fleetpulse knows {SCHEMA_VERSION}. Run the newer version.")
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")

    def ids(self) -> Iterator[str]:
        """See Catalog."""
        with self._translated():
            rows = self._connection.execute("SELECT number, id FROM device ORDER BY number")
            for expected, (number, device_id) in enumerate(rows):
                if number != expected:
                    raise DamagedData(f"{self._path}: device number {expected} is missing. Restore the data folder from a copy.")
                yield device_id

    def labels(self, device_id: str) -> dict[str, str] | None:
        """See Catalog."""
        row = self._connection.execute("SELECT labels FROM device WHERE id = ?", (device_id,)).fetchone()
        return None if row is None else json.loads(row[0])

    def register(self, devices: Iterable[Device], *, devices_max: int) -> list[str]:
        """See Catalog."""
        new: list[str] = []
        run = self._connection.execute
        try:
            run("BEGIN")
            count = run("SELECT count(*) FROM device").fetchone()[0]
            remaining = iter(devices)
            while some := list(islice(remaining, _REGISTER_ROWS)):
                for device in some:
                    labels = json.dumps(device.labels, sort_keys=True)
                    number = count + len(new)
                    inserted = run("INSERT INTO device VALUES (?, ?, ?) ON CONFLICT(id) DO NOTHING", (number, device.id, labels)).rowcount
                    if inserted:
                        new.append(device.id)
                    else:
                        run("UPDATE device SET labels = ? WHERE id = ? AND labels <> ?", (labels, device.id, labels))
                if count + len(new) > devices_max:
                    raise OutOfRange(f"there would be more than {devices_max} devices (devices_max)", reason="devices_max")
            run("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise OSError(f"{self._path}: {error}") from error
            raise
        return new

    def manifest(self) -> Manifest:
        """See Catalog."""
        with self._translated():
            return self._read_manifest()

    def _read_manifest(self) -> Manifest:
        head = self._connection.execute("SELECT position, open_from_day, taken_at_ns FROM manifest").fetchone()
        if head is None:
            return Manifest()
        snapshot, presence = None, {}
        for kind, day, *file in self._connection.execute("SELECT kind, day, name, size_bytes, sha256 FROM block ORDER BY day"):
            if kind == "snapshot":
                snapshot = BlockFile(*file)
            else:
                presence[day] = BlockFile(*file)
        position, open_from_day, taken_at_ns = head
        return Manifest(position, open_from_day, taken_at_ns, snapshot, presence)

    def commit_manifest(self, manifest: Manifest) -> None:
        """See Catalog."""
        head = (manifest.position, manifest.open_from_day, manifest.taken_at_ns)
        files = [("presence", day, file) for day, file in manifest.presence.items()]
        if manifest.snapshot:
            files.append(("snapshot", None, manifest.snapshot))  # type: ignore[arg-type]  # a snapshot has no day
        try:
            self._connection.execute("BEGIN")
            self._connection.execute("DELETE FROM manifest")
            self._connection.execute("DELETE FROM block")
            self._connection.execute("INSERT INTO manifest VALUES (?, ?, ?)", head)
            rows = [(file.name, kind, day, file.size_bytes, file.sha256) for kind, day, file in files]
            self._connection.executemany("INSERT INTO block VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise OSError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """See Catalog."""
        self._connection.close()
