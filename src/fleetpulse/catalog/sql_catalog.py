"""The catalog as tables, which `schema.py` describes, of a database, see `database.py`."""

import contextlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from fleetpulse.catalog import device_rows as rows_of
from fleetpulse.catalog import row_checks
from fleetpulse.catalog.alert_records import AlertRecords, SqlAlertRecords
from fleetpulse.catalog.audit_records import AuditRecords, SqlAuditRecords
from fleetpulse.catalog.badge_records import BadgeRecords, SqlBadgeRecords
from fleetpulse.catalog.catalog import DeviceRecord, Pause, Registered
from fleetpulse.catalog.change_log import note_devices, note_table
from fleetpulse.catalog.database import Database
from fleetpulse.catalog.device_checks import CHECK_SQL, changed_devices, wrong_devices, wrong_policies
from fleetpulse.catalog.earlier_policies import drop_earlier
from fleetpulse.catalog.enrolment_records import EnrolmentRecords, SqlEnrolmentRecords
from fleetpulse.catalog.file_readings import SqlFileReadings
from fleetpulse.catalog.file_records import FileRecords, SqlFileRecords, note_superseded
from fleetpulse.catalog.forget_records import ForgetRecords, SqlForgetRecords
from fleetpulse.catalog.key_records import KeyRecords, SqlKeyRecords, revoke_of_device
from fleetpulse.catalog.lease_records import LeaseRecords, SqlLeaseRecords
from fleetpulse.catalog.manifest_rows import read_manifest, write_manifest
from fleetpulse.catalog.move_records import MoveRecords, SqlMoveRecords
from fleetpulse.catalog.outbox_records import OutboxRecords, SqlOutboxRecords
from fleetpulse.catalog.person_records import PersonRecords, SqlPersonRecords
from fleetpulse.catalog.policy_records import PolicyRecords, SqlPolicyRecords
from fleetpulse.catalog.policy_rows import POLICIES_SQL, PolicyReader, note_policy, put_defaults, read_policies
from fleetpulse.catalog.receiver_records import ReceiverRecords, SqlReceiverRecords
from fleetpulse.catalog.registration import READ_ROWS, Registration
from fleetpulse.catalog.retention_records import RetentionRecords, SqlRetentionRecords, replace_graces
from fleetpulse.catalog.row_checks import ReadRows
from fleetpulse.catalog.rule_records import RuleRecords, SqlRuleRecords
from fleetpulse.catalog.sql_text import NUMBERS_IN, TEXTS_IN
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData, OutOfRange
from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.model.device import Device
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.policy_history import PolicyHistory
from fleetpulse.model.retention import graces_after
from fleetpulse.storage_causes import RESTORE

POLICY_CHANGES_MAX = 32


class _DryRunEnds(Exception):
    """Ends a transaction that must change nothing."""


class SqlCatalog(SqlFileReadings):
    """See Catalog."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use a database whose tables are as they must be. Args: clock: for the time of changes."""
        super().__init__(database)
        self._clock = clock
        self.alerts: AlertRecords = SqlAlertRecords(database)
        self.files: FileRecords = SqlFileRecords(database)
        self.forget_orders: ForgetRecords = SqlForgetRecords(database)
        self.keys: KeyRecords = SqlKeyRecords(database)
        self.lease: LeaseRecords = SqlLeaseRecords(database)
        self.enrolments: EnrolmentRecords = SqlEnrolmentRecords(database)
        self.audit: AuditRecords = SqlAuditRecords(database)
        self.policy_changes_max = POLICY_CHANGES_MAX
        self.policies: PolicyRecords = SqlPolicyRecords(database)
        self.retention: RetentionRecords = SqlRetentionRecords(database)
        self.moves: MoveRecords = SqlMoveRecords(database)
        self.people: PersonRecords = SqlPersonRecords(database)
        self.alert_rules: RuleRecords = SqlRuleRecords(database)
        self.badges: BadgeRecords = SqlBadgeRecords(database)
        self.outbox: OutboxRecords = SqlOutboxRecords(database)
        self.receivers: ReceiverRecords = SqlReceiverRecords(database)

    @contextlib.contextmanager
    def transaction(self, *, is_dry: bool = False) -> Generator[None, None, None]:
        """See Catalog."""
        with contextlib.suppress(_DryRunEnds), self._transaction():
            yield
            if is_dry:
                raise _DryRunEnds

    def declared(self) -> DeclaredVersion:
        """See Catalog."""
        with self._reading():
            return DeclaredVersion(*self._select("SELECT version, changed_at_ns FROM declared").fetchone())

    def records(self, numbers: range | None = None) -> Iterator[DeviceRecord]:
        """See Catalog."""
        part = (numbers.start, numbers.stop) if numbers else (0, 2**32)
        with self._reading():
            text = f"SELECT {rows_of.DEVICE_SQL} FROM device WHERE number >= ? AND number < ? ORDER BY number"
            with self._database.snapshot():
                rows = self._database.all_rows(text, *part, is_long=True)
                text = f"{rows_of.DELETIONS_SQL} WHERE device >= ? AND device < ? ORDER BY start_ns"
                deletions = rows_of.read_deletions(self._select(text, part))
                text = f"{POLICIES_SQL} WHERE device >= ? AND device < ? ORDER BY device, number"
                policy_rows = self._database.all_rows(text, *part, is_long=True)
            policies = PolicyReader(policy_rows)
            for expected, row in enumerate(rows, part[0]):
                if row[0] != expected:
                    raise DamagedData(f"{self._database.name}: device number {expected} is missing. {RESTORE}")
                yield rows_of.read_record(row, deletions, policies.of(expected))

    def damage(self) -> list[str]:
        """See Catalog."""
        with self._reading():
            found = self._database.damage()
            unreadable = {record.number: record.device.id for record in self.records() if record.unreadable}
            changed = changed_devices(self._database.all_rows(CHECK_SQL, is_long=True))
            found += wrong_policies(self._database.all_rows)
        changed = {number: name for number, name in changed.items() if number not in unreadable}
        found += wrong_devices("cannot be read", unreadable) + wrong_devices("are not what was written", changed)
        wrong_rules = [*self.alert_rules.wrong_rows(), *self.receivers.wrong_rows()]
        return [*found, *self.wrong_rows(), *self.keys.wrong_rows(), *wrong_rules]

    def wrong_rows(self) -> list[str]:
        """See Catalog."""
        return row_checks.sentences(self._windows().wrong, self._pauses().wrong, self._metrics().wrong)

    def device_count(self) -> int:
        """See Catalog."""
        with self._reading():
            return int(self._select("SELECT count(*) FROM device").fetchone()[0])

    def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """See Catalog."""
        with self._reading():
            # The numbers are one parameter, since SQLite limits how many parameters a statement may have.
            listed, among = json.dumps(list(numbers)), NUMBERS_IN
            rows = self._database.all_rows(f"SELECT {rows_of.DEVICE_SQL} FROM device WHERE number {among}", listed)
            text = f"{rows_of.DELETIONS_SQL} WHERE device {among} ORDER BY start_ns"
            deletions = rows_of.read_deletions(self._select(text, (listed,)))
            text = f"{POLICIES_SQL} WHERE device {among} ORDER BY device, number"
            policies = read_policies(self._database.all_rows(text, listed))
            found = {row[0]: rows_of.read_record(row, deletions, policies.get(row[0], ())) for row in rows}
            return [found[number] for number in numbers]

    def find(self, device_id: str) -> DeviceRecord | None:
        """See Catalog."""
        with self._reading():
            query = f"SELECT {rows_of.DEVICE_SQL} FROM device WHERE id = ?"
            row = next(self._database.all_rows(query, device_id), None)
            return None if row is None else rows_of.read_record(row)

    def found(self, device_ids: Sequence[str]) -> dict[str, DeviceRecord]:
        """See Catalog."""
        with self._reading():
            query = f"SELECT {rows_of.DEVICE_SQL} FROM device WHERE id {TEXTS_IN}"
            rows = self._database.all_rows(query, json.dumps(list(device_ids)))
            return {row[1]: rows_of.read_record(row) for row in rows}

    def register(self, devices: Iterable[Device], *, devices_max: int, at_ns: int, replaces: bool = True) -> Registered:
        """See Catalog."""
        with self._transaction() as run:
            most = self.policy_changes_max
            registration = Registration(run, self._database, at_ns, replaces=replaces, changes_max=most)
            return registration.register(devices, devices_max=devices_max)

    def update(self, devices: Mapping[int, Device], *, at_ns: int, since_ns: int | None = None) -> int:
        """See Catalog."""
        joined, most = 0, self.policy_changes_max
        with self._transaction() as run:
            terms = {number: row for number, *row in run(rows_of.TERMS_SQL, (json.dumps(list(devices)),))}
            for number, device in devices.items():
                if (before := terms.get(number)) is not None:
                    joined += note_policy(run, number, before, device, at_ns=at_ns, since_ns=since_ns, changes_max=most)
                rows_of.note_update(run, number, device)
            rows = [(*rows_of.written_fields(device), number) for number, device in devices.items()]
            self._database.many(rows_of.UPDATE_SQL, rows)
            if devices:
                note_devices(run, devices)
                rows_of.note_change(run, at_ns)
        return joined

    def delete(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """See Catalog."""
        with self._transaction() as run:
            note_devices(run, numbers)
            for number in numbers:
                rows_of.note_update(run, number, None)
                text = "UPDATE device SET deleted_at_ns = ? WHERE number = ? AND deleted_at_ns IS NULL"
                if run(text, (at_ns, number)).rowcount:
                    run("INSERT INTO deletion VALUES (?, ?, NULL)", (number, at_ns))
                    run("DELETE FROM pause WHERE device = ? AND start_ns >= ?", (number, at_ns))
                    row_checks.end_pauses(run, number, at_ns=at_ns)
                    revoke_of_device(run, self._database, number, at_ns=at_ns)
                    run("DELETE FROM badge WHERE device = ?", (number,))
                    rows_of.note_change(run, at_ns)

    def pauses(self) -> list[Pause]:
        """See Catalog."""
        return self._pauses().values

    def _pauses(self) -> ReadRows[Pause]:
        with self._reading():
            return row_checks.read_pauses(self._database.all_rows(row_checks.PAUSES_SQL))

    def replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        """See Catalog."""
        with self._transaction() as run:
            row_checks.note_pauses(run, device, pauses)
            run("DELETE FROM pause WHERE device = ?", (device,))
            for pause in pauses:
                row_checks.put_pause(run, replace(pause, device=device))
            rows_of.note_change(run, self._clock.now_ns())

    def windows(self) -> list[MaintenanceWindow]:
        """See Catalog."""
        return self._windows().values

    def _windows(self) -> ReadRows[MaintenanceWindow]:
        with self._reading():
            return row_checks.read_windows(self._database.all_rows(row_checks.WINDOWS_SQL))

    def put_window(self, window: MaintenanceWindow) -> None:
        """See Catalog."""
        with self._transaction() as run:
            row_checks.note_body(run, "maintenance window", window.id, window)
            row_checks.put_window(run, window)
            rows_of.note_change(run, self._clock.now_ns())

    def delete_window(self, window_id: str) -> bool:
        """See Catalog."""
        with self._transaction() as run:
            row_checks.note_body(run, "maintenance window", window_id, None)
            was_there = bool(run("DELETE FROM maintenance WHERE id = ?", (window_id,)).rowcount)
            if was_there:
                rows_of.note_change(run, self._clock.now_ns())
            return was_there

    def metrics(self) -> list[tuple[int, MetricDefinition, bool]]:
        """See Catalog."""
        return self._metrics().values

    def _metrics(self) -> ReadRows[tuple[int, MetricDefinition, bool]]:
        with self._reading():
            return row_checks.read_metrics(self._database.all_rows(row_checks.METRICS_SQL))

    def put_metric(self, metric: MetricDefinition, *, metrics_max: int, keep_until_ns: int = 0) -> int:
        """See Catalog."""
        with self._transaction() as run:
            read = self._metrics()
            known = {old.name: (number, old) for number, old, _ in read.values}
            number, old = known.get(metric.name, (len(known), None))
            if old is not None:
                if old.kind != metric.kind and number not in read.wrong:
                    raise OutOfRange(
                        f"{metric.name} is of kind {old.kind}, and so are its samples; "
                        f"define a metric of another name for kind {metric.kind}",
                        reason="metric_kind",
                    )
            elif number >= metrics_max:
                raise OutOfRange(f"there would be more than {metrics_max} metrics (metrics_max)", setting="metrics_max")
            before = self.retention.graces().get(number, [])
            graces = [] if old is None else graces_after(before, old, metric, until_ns=keep_until_ns)
            row_checks.note_body(run, "metric", metric.name, metric)
            row_checks.put_metric(run, number, metric)
            replace_graces(run, number, graces)
        return number

    def delete_metric(self, name: str) -> bool:
        """See Catalog."""
        with self._transaction() as run:
            row_checks.note_body(run, "metric", name, None)
            return row_checks.end_metric(run, name)

    def manifest(self) -> Manifest:
        """See Catalog."""
        with self._reading(), self._database.snapshot():
            return read_manifest(self._database.statements)

    def restore(
        self,
        records: Iterable[DeviceRecord],
        metrics: Iterable[tuple[int, MetricDefinition, bool]],
        *,
        defaults: PolicyHistory = (),
    ) -> None:
        """See Catalog."""
        with self._transaction() as run:
            put_defaults(run, defaults)
            remaining = iter(records)
            while piece := list(islice(remaining, READ_ROWS)):
                rows_of.insert_records(run, self._database, piece)
            for number, metric, is_defined in metrics:
                row_checks.put_metric(run, number, metric, is_defined=is_defined)
            rows_of.note_change(run, self._clock.now_ns())

    def commit_manifest(
        self, manifest: Manifest, *, forgotten: Sequence[Forgotten] = (), was_at_rest: bool = False
    ) -> None:
        """See Catalog."""
        with self._transaction() as run:
            note_superseded(run, manifest, at_ns=self._clock.now_ns(), was_at_rest=was_at_rest)
            drop_earlier(run, position=manifest.position)
            write_manifest(self._database.statements, manifest)
            note_table(run, "manifest")
            for one in forgotten:
                row = (one.device, one.before_ns, one.at_ns, one.minutes, one.samples)
                run("INSERT INTO forgotten VALUES (?, ?, ?, ?, ?)", row)

    def forgotten(self) -> list[Forgotten]:
        """See Catalog."""
        with self._reading():
            text = "SELECT device, before_ns, at_ns, minutes, samples FROM forgotten ORDER BY rowid"
            return [Forgotten(*row) for row in self._select(text)]
