"""The catalog on one machine: a SQLite file, `synchronous=FULL`, one connection.

device(number, id, labels, …)    number is the index into every column of the live fleet, given once, kept when deleted
pause(device, start_ns, …)       end_ns NULL: it goes on
maintenance(id, body)            body: the window as JSON
metric(number, name, body, …)    body: the definition as JSON; number 0 is upload_time
manifest(…), blind(…)            one row: position, open_from_day, taken_at_ns, alive_at_ns; and the spans of blind time
block(name, kind, day, …)        the files that the manifest names; those of one sample block share its part
"""

import contextlib
import json
import sqlite3
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from fleetpulse.catalog.catalog import DeviceRecord, Pause, Registered
from fleetpulse.errors import DamagedData, OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.manifest import BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import BUILT_IN, UPLOAD_TIME, MetricDefinition

SCHEMA_VERSION = 2
NAMES = ("devices", "metrics")
_REGISTER_ROWS = 10_000
_VERSION_1 = """
CREATE TABLE device (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, labels TEXT NOT NULL);
CREATE TABLE manifest (position INTEGER NOT NULL, open_from_day INTEGER NOT NULL, taken_at_ns INTEGER NOT NULL);
CREATE TABLE block (name TEXT PRIMARY KEY, kind TEXT NOT NULL, day INTEGER, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL);
"""
_VERSION_2 = """
ALTER TABLE device ADD COLUMN interval_s INTEGER;
ALTER TABLE device ADD COLUMN grace_s INTEGER;
ALTER TABLE device ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN created_at_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN deleted_at_ns INTEGER;
ALTER TABLE manifest ADD COLUMN alive_at_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE block ADD COLUMN part INTEGER;
ALTER TABLE block ADD COLUMN value_kind TEXT;
ALTER TABLE block ADD COLUMN start_ns INTEGER;
ALTER TABLE block ADD COLUMN end_ns INTEGER;
ALTER TABLE block ADD COLUMN samples INTEGER;
CREATE TABLE blind (start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL);
CREATE TABLE pause (device INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER);
CREATE INDEX pause_device ON pause (device);
CREATE TABLE maintenance (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE metric (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL, is_defined INTEGER NOT NULL);
"""
_STEPS = (_VERSION_1, _VERSION_2)
_KNOWN = "SELECT number, deleted_at_ns IS NOT NULL, labels, interval_s, grace_s, note FROM device WHERE id = ?"
_CHANGE = "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ? WHERE number = ?"
_DECLARE = "UPDATE device SET labels = ?, interval_s = ?, grace_s = ?, note = ?, deleted_at_ns = NULL WHERE number = ?"
_DEVICE = "number, id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns"


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
        except (sqlite3.DatabaseError, msgspec.MsgspecError, json.JSONDecodeError) as error:
            raise self._unreadable(error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Generator[Any, None, None]:
        """All that runs in it, or nothing. Raises: OSError."""
        try:
            self._connection.execute("BEGIN")
            yield self._connection.execute
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise OSError(f"{self._path}: {error}") from error
            raise

    def _migrate(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise DamagedData(
                f"{self._path} has schema {version}; this fleetpulse knows {SCHEMA_VERSION}. Run the newer version."
            )
        if version < SCHEMA_VERSION:
            self._connection.executescript(
                f"BEGIN; {''.join(_STEPS[version:])} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        self._connection.execute(
            "INSERT INTO metric VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING",
            (UPLOAD_TIME, BUILT_IN.name, _json(BUILT_IN)),
        )

    def records(self) -> Iterator[DeviceRecord]:
        """See Catalog."""
        with self._translated():
            rows = self._connection.execute(f"SELECT {_DEVICE} FROM device ORDER BY number")
            for expected, row in enumerate(rows):
                if row[0] != expected:
                    raise DamagedData(
                        f"{self._path}: device number {expected} is missing. Restore the data folder from a copy."
                    )
                yield _record(row)

    def device_count(self) -> int:
        """See Catalog."""
        with self._translated():
            return int(self._connection.execute("SELECT count(*) FROM device").fetchone()[0])

    def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """See Catalog."""
        with self._translated():
            # The numbers go as one parameter: how many there may be in a statement is limited.
            rows = self._connection.execute(
                f"SELECT {_DEVICE} FROM device WHERE number IN (SELECT value FROM json_each(?))",
                (json.dumps(list(numbers)),),
            )
            found = {row[0]: _record(row) for row in rows}
            return [found[number] for number in numbers]

    def register(self, devices: Iterable[Device], *, devices_max: int, at_ns: int, replaces: bool = True) -> Registered:
        """See Catalog."""
        # A million numbers as objects would leave the heap full of holes.
        new, changed = array("I"), array("I")
        with self._transaction() as run:
            count = run("SELECT count(*) FROM device").fetchone()[0]
            alive = run("SELECT count(*) FROM device WHERE deleted_at_ns IS NULL").fetchone()[0]
            remaining = iter(devices)
            while some := list(islice(remaining, _REGISTER_ROWS)):
                for device in some:
                    declared = _declared(device)
                    inserted = run(
                        f"INSERT INTO device ({_DEVICE}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT(id) DO NOTHING",
                        (count, device.id, *declared, at_ns),
                    ).rowcount
                    if inserted:
                        new.append(count)
                        count += 1
                        continue
                    number, is_deleted, *known = run(_KNOWN, (device.id,)).fetchone()
                    if not (replaces or is_deleted):
                        changed.append(number)
                    elif is_deleted or tuple(known) != declared:
                        run(_DECLARE, (*declared, number))
                        (new if is_deleted else changed).append(number)
                if alive + len(new) > devices_max:
                    raise OutOfRange(
                        f"there would be more than {devices_max} devices (devices_max)", reason="devices_max"
                    )
        return Registered(new, changed)

    def update(self, devices: Mapping[int, Device]) -> None:
        """See Catalog."""
        with self._transaction() as run:
            for number, device in devices.items():
                run(f"{_CHANGE} AND deleted_at_ns IS NULL", (*_declared(device), number))

    def delete(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """See Catalog."""
        with self._transaction() as run:
            for number in numbers:
                run("UPDATE device SET deleted_at_ns = ? WHERE number = ? AND deleted_at_ns IS NULL", (at_ns, number))

    def pauses(self) -> list[Pause]:
        """See Catalog."""
        with self._translated():
            rows = self._connection.execute("SELECT device, start_ns, end_ns FROM pause ORDER BY device, start_ns")
            return [Pause(*row) for row in rows]

    def replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        """See Catalog."""
        with self._transaction() as run:
            run("DELETE FROM pause WHERE device = ?", (device,))
            for pause in pauses:
                run("INSERT INTO pause VALUES (?, ?, ?)", (device, pause.start_ns, pause.end_ns))

    def windows(self) -> list[MaintenanceWindow]:
        """See Catalog."""
        with self._translated():
            rows = self._connection.execute("SELECT body FROM maintenance ORDER BY id").fetchall()
            return [msgspec.json.decode(body, type=MaintenanceWindow) for (body,) in rows]

    def put_window(self, window: MaintenanceWindow) -> None:
        """See Catalog."""
        with self._transaction() as run:
            run("INSERT OR REPLACE INTO maintenance VALUES (?, ?)", (window.id, _json(window)))

    def delete_window(self, window_id: str) -> bool:
        """See Catalog."""
        with self._transaction() as run:
            return bool(run("DELETE FROM maintenance WHERE id = ?", (window_id,)).rowcount)

    def metrics(self) -> list[tuple[int, MetricDefinition, bool]]:
        """See Catalog."""
        with self._translated():
            rows = self._connection.execute("SELECT number, body, is_defined FROM metric ORDER BY number").fetchall()
            return [
                (number, msgspec.json.decode(body, type=MetricDefinition), bool(is_defined))
                for number, body, is_defined in rows
            ]

    def put_metric(self, metric: MetricDefinition, *, metrics_max: int) -> int:
        """See Catalog."""
        known = {old.name: (number, old) for number, old, _ in self.metrics()}
        if metric.name in known:
            number, old = known[metric.name]
            if old.kind != metric.kind:
                text = f"{metric.name} is of kind {old.kind}, and its samples stay so: define another name for kind {metric.kind}"
                raise OutOfRange(text, reason="metric_kind")
        else:
            number = len(known)
            if number >= metrics_max:
                raise OutOfRange(f"there would be more than {metrics_max} metrics (metrics_max)", reason="metrics_max")
        with self._transaction() as run:
            run("INSERT OR REPLACE INTO metric VALUES (?, ?, ?, 1)", (number, metric.name, _json(metric)))
        return number

    def delete_metric(self, name: str) -> bool:
        """See Catalog."""
        with self._transaction() as run:
            return bool(run("UPDATE metric SET is_defined = 0 WHERE name = ? AND is_defined = 1", (name,)).rowcount)

    def manifest(self) -> Manifest:
        """See Catalog."""
        with self._translated():
            return self._read_manifest()

    def _read_manifest(self) -> Manifest:
        run = self._connection.execute
        head = run("SELECT position, open_from_day, taken_at_ns, alive_at_ns FROM manifest").fetchone()
        if head is None:
            return Manifest()
        days: dict[str, dict[int, BlockFile]] = {"presence": {}, "silences": {}}
        snapshot, names = None, {}
        for kind, day, *file in run(
            "SELECT kind, day, name, size_bytes, sha256 FROM block WHERE part IS NULL ORDER BY day"
        ):
            if kind == "snapshot":
                snapshot = BlockFile(*file)
            elif kind in NAMES:
                names[kind] = BlockFile(*file)
            else:
                days[kind][day] = BlockFile(*file)
        parts: dict[int, SampleBlock] = {}
        columns = "part, value_kind, day, start_ns, end_ns, samples, kind, name, size_bytes, sha256"
        for part, kind, day, start_ns, end_ns, samples, tier, *file in run(
            f"SELECT {columns} FROM block WHERE part IS NOT NULL ORDER BY part"
        ):
            block = parts.setdefault(part, SampleBlock(kind, day, start_ns, end_ns, samples, {}))
            block.files[tier] = BlockFile(*file)
        blind = tuple(run("SELECT start_ns, end_ns FROM blind ORDER BY start_ns"))
        position, open_from_day, taken_at_ns, alive_at_ns = head
        return Manifest(
            position=position,
            open_from_day=open_from_day,
            taken_at_ns=taken_at_ns,
            alive_at_ns=alive_at_ns,
            blind_ns=blind,
            snapshot=snapshot,
            presence=days["presence"],
            gaps=days["silences"],
            samples=tuple(parts.values()),
            names=names,
        )

    def commit_manifest(self, manifest: Manifest) -> None:
        """See Catalog."""
        head = (manifest.position, manifest.open_from_day, manifest.taken_at_ns, manifest.alive_at_ns)
        rows: list[tuple[object, ...]] = [
            ("presence", day, *_file(file), *[None] * 5) for day, file in manifest.presence.items()
        ]
        rows += [("silences", day, *_file(file), *[None] * 5) for day, file in manifest.gaps.items()]
        rows += [(kind, None, *_file(file), *[None] * 5) for kind, file in manifest.names.items()]
        if manifest.snapshot:
            rows.append(("snapshot", None, *_file(manifest.snapshot), *[None] * 5))
        for part, block in enumerate(manifest.samples):
            about = (part, block.kind, block.start_ns, block.end_ns, block.samples)
            rows += [(tier, block.day, *_file(file), *about) for tier, file in block.files.items()]
        with self._transaction() as run:
            run("DELETE FROM manifest")
            run("DELETE FROM block")
            run("DELETE FROM blind")
            run("INSERT INTO manifest (position, open_from_day, taken_at_ns, alive_at_ns) VALUES (?, ?, ?, ?)", head)
            self._connection.executemany("INSERT INTO blind VALUES (?, ?)", manifest.blind_ns)
            columns = "kind, day, name, size_bytes, sha256, part, value_kind, start_ns, end_ns, samples"
            self._connection.executemany(f"INSERT INTO block ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """See Catalog."""
        self._connection.close()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _file(file: BlockFile) -> tuple[str, int, str]:
    return file.name, file.size_bytes, file.sha256


def _declared(device: Device) -> tuple[str, int | None, int | None, str]:
    labels = json.dumps(device.labels, sort_keys=True) if device.labels else "{}"
    return labels, device.interval_s, device.grace_s, device.note


def _record(row: Sequence[Any]) -> DeviceRecord:
    number, device_id, labels, interval_s, grace_s, note, created_at_ns, deleted_at_ns = row
    device = Device(device_id, {} if labels == "{}" else json.loads(labels), interval_s, grace_s, note)
    return DeviceRecord(number, device, created_at_ns, deleted_at_ns is not None)
