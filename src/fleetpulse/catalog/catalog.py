"""What every catalog promises, whichever engine stores it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from fleetpulse.catalog.alert_records import AlertRecords
from fleetpulse.catalog.audit_records import AuditRecords
from fleetpulse.catalog.badge_records import BadgeRecords
from fleetpulse.catalog.enrolment_records import EnrolmentRecords
from fleetpulse.catalog.file_readings import FileReadings
from fleetpulse.catalog.file_records import FileRecords
from fleetpulse.catalog.key_records import KeyRecords
from fleetpulse.catalog.lease_records import LeaseRecords
from fleetpulse.catalog.move_records import MoveRecords
from fleetpulse.catalog.outbox_records import OutboxRecords
from fleetpulse.catalog.person_records import PersonRecords
from fleetpulse.catalog.policy_records import PolicyRecords
from fleetpulse.catalog.receiver_records import ReceiverRecords
from fleetpulse.catalog.retention_records import RetentionRecords
from fleetpulse.catalog.rule_records import RuleRecords
from fleetpulse.catalog.shared_catalog import SharedCatalog
from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.model.device import Device
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.own_policy import OwnPolicy
from fleetpulse.model.policy_history import PolicyHistory
from fleetpulse.reached import Loss, Reached

Span = tuple[int, int | None]
"""[start_ns, end_ns); an end of None: it goes on."""


class DeviceRecord(msgspec.Struct, frozen=True, gc=False):
    """A device with its number, and when it was first declared."""

    number: int
    device: Device
    created_at_ns: int
    is_deleted: bool = False
    deletions: tuple[Span, ...] = ()
    """When it was deleted, ascending, each until it was declared again."""
    unreadable: str = ""
    """The fields of its row that cannot be read, and count as not declared; empty where all can."""
    policies: tuple[OwnPolicy, ...] = ()
    """What was declared of its interval and grace; empty where these never changed."""
    is_undeclared: bool = False
    """It registered itself; the first policy of its own that it gets holds since ever."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A span [start_ns, end_ns) in which a device is expected to send nothing; `end_ns` None: until it is resumed."""

    device: int
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The numbers that a registration touched.

    `new`: devices that were not registered, or were deleted. `changed`: registered devices that are declared
    differently now, or, where the registration does not replace, all that were registered already.
    """

    new: array[int]
    changed: array[int]
    policies_joined: int = 0
    """Changes of policies that were joined with older ones, see `policy_records.py`."""


class Catalog(SharedCatalog, FileReadings, Protocol):
    """What people decide, and the manifest. All calls block, and come from one thread at a time.

    A change is durable when its call returns. Every call that changes something may raise OSError: nothing was changed.
    Every call that reads may raise DamagedData: the catalog is not what was written.
    """

    policy_changes_max: int
    """So many changes of the heartbeat policy are kept, of each device and of the service."""
    lease: LeaseRecords
    """Which node does what only one may do."""
    badges: BadgeRecords
    """Badges with tokens of their own."""
    enrolments: EnrolmentRecords
    """Enrolment keys, and which devices enrolled with them."""

    @property
    def alert_rules(self) -> RuleRecords:
        """The rules of alerts that people declared, changed or removed."""
        ...

    @property
    def alerts(self) -> AlertRecords:
        """Alerts, what people decided of them, and the state of the rounds that make them."""
        ...

    @property
    def audit(self) -> AuditRecords:
        """The audit log. What a transaction changes on behalf of somebody gets its entry there, see `acting.py`."""
        ...

    @property
    def files(self) -> FileRecords:
        """Which files of the block store this catalog wrote."""
        ...

    @property
    def keys(self) -> KeyRecords:
        """The keys that were ever made."""
        ...

    @property
    def moves(self) -> MoveRecords:
        """Where this catalog comes from or has gone to, and all of its rows, to be taken there."""
        ...

    @property
    def outbox(self) -> OutboxRecords:
        """Messages to receivers."""
        ...

    @property
    def policies(self) -> PolicyRecords:
        """The service's own heartbeat policies over time."""
        ...

    @property
    def receivers(self) -> ReceiverRecords:
        """Receivers and routes."""
        ...

    @property
    def retention(self) -> RetentionRecords:
        """What the definitions of before still keep."""
        ...

    @property
    def people(self) -> PersonRecords:
        """Who may sign in, and who has."""
        ...

    def transaction(self, *, is_dry: bool = False) -> AbstractContextManager[None]:
        """Calls within it take effect together, or, if one of them fails, not at all; with `is_dry` never."""
        ...

    def declared(self) -> DeclaredVersion:
        """How often devices, pauses and maintenance windows were changed, and when last."""
        ...

    def records(self, numbers: range | None = None) -> Iterator[DeviceRecord]:
        """The devices of these numbers (None: all), deleted ones too, in the order of their numbers, without gaps."""
        ...

    def damage(self) -> list[str]:
        """What is wrong with the catalog, as sentences. Reads all of it. Raises: DamagedData: it cannot be read."""
        ...

    def wrong_rows(self) -> list[str]:
        """What is wrong with rows about windows, pauses and metrics, as sentences. Raises: DamagedData."""
        ...

    def device_count(self) -> int:
        """How many devices there are, deleted ones too, so also the next number."""
        ...

    def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """The devices of these numbers, in this order."""
        ...

    def find(self, device_id: str) -> DeviceRecord | None:
        """The device of this id, deleted or not; None where there never was one."""
        ...

    def found(self, device_ids: Sequence[str]) -> dict[str, DeviceRecord]:
        """`find` for many at once; ids that there never were are not in it."""
        ...

    def register(self, devices: Iterable[Device], *, devices_max: int, at_ns: int, replaces: bool = True) -> Registered:
        """Register all `devices` or none: new ones get the next numbers, registered ones are declared anew.

        A device that was deleted gets its old number again, and so its history. Without `replaces`, a device that is
        registered keeps what was declared of it, and of a new one nothing counts as declared.
        Raises: OutOfRange: more than `devices_max` devices would be registered.
        """
        ...

    def update(self, devices: Mapping[int, Device], *, at_ns: int, since_ns: int | None = None) -> int:
        """Declare registered devices anew, by number: all or none. Deleted devices stay as they are.

        Args: since_ns: a correction: since when they have had their interval and grace. None: since `at_ns`.
        Returns: how many changes of policies were joined with older ones.
        """
        ...

    def delete(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """Mark devices as deleted, end their pauses, and revoke their keys. Their numbers are not given to others."""
        ...

    def pauses(self) -> list[Pause]:
        """All pauses, sorted by device and start."""
        ...

    def replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        """Replace the pauses of a device."""
        ...

    def windows(self) -> list[MaintenanceWindow]:
        """All maintenance windows."""
        ...

    def put_window(self, window: MaintenanceWindow) -> None:
        """Add a maintenance window, or replace the one with the same id."""
        ...

    def delete_window(self, window_id: str) -> bool:
        """Remove a maintenance window. Returns whether there was one."""
        ...

    def metrics(self) -> list[tuple[int, MetricDefinition, bool]]:
        """(number, definition, whether devices may report it) of all metrics ever defined, sorted by number."""
        ...

    def put_metric(self, metric: MetricDefinition, *, metrics_max: int, keep_until_ns: int = 0) -> int:
        """Define a metric, or replace its definition. Returns its number.

        What a longer retention of before keeps is kept on until `keep_until_ns`.
        Raises: OutOfRange: its kind would change, or there would be more than `metrics_max` metrics.
        """
        ...

    def delete_metric(self, name: str) -> bool:
        """End the reporting of a metric; its number and its samples stay. Returns whether it was defined."""
        ...

    def manifest(self) -> Manifest:
        """The manifest committed last; an empty one before the first."""
        ...

    def restore(
        self,
        records: Iterable[DeviceRecord],
        metrics: Iterable[tuple[int, MetricDefinition, bool]],
        *,
        defaults: PolicyHistory = (),
    ) -> None:
        """Take over devices and metrics with their numbers, and `defaults`, in a catalog that has no devices yet."""
        ...

    def commit_manifest(
        self, manifest: Manifest, *, forgotten: Sequence[Forgotten] = (), was_at_rest: bool = False
    ) -> None:
        """Replace the manifest, and record what it supersedes and what its blocks have forgotten, in one transaction.

        Args:
            was_at_rest: the manifest that is replaced is the one that the service found when it started.
        """
        ...

    def forgotten(self) -> list[Forgotten]:
        """All that was ever forgotten, oldest first."""
        ...

    def activity(self) -> int | None:
        """A number that changes while something is written; None while another program's lock is waited for.

        May be read by any thread.
        """
        ...

    def transactions(self) -> int:
        """How many transactions have changed the catalog."""
        ...

    def reached(self) -> Reached | None:
        """How many had certainly changed it, as was recorded outside of it; None where nothing is recorded."""
        ...

    @property
    def mark_trouble(self) -> str:
        """Why that could not be recorded last; empty where it was. May be read by any thread."""
        ...

    def is_marked(self) -> bool:
        """Whether what is recorded outside was certainly on disk once, for journal and catalog, and so must be there.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def note_marked(self, *, at_ns: int) -> bool:
        """Make durable what is recorded outside, and record that it is; False where it cannot be (`mark_trouble`).

        Raises: OSError; DatabaseBusy.
        """
        ...

    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """Record a loss that people accepted, and that no more transactions are missing than it says.

        Raises: OSError; DatabaseBusy.
        """
        ...

    def losses(self) -> list[tuple[int, Loss]]:
        """When each loss was accepted, and the loss, oldest first."""
        ...

    def copy_bytes(self) -> int:
        """How large a copy may become, about. From any thread. Raises: OSError: it does not answer."""
        ...

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """Write all of it, as it is at one moment, into the new SQLite file `target`. From any thread; commits go on.

        Args: rest: called between two pieces with the seconds that it should take, so that commits have the disk.
        Raises: OperatorError.
        """
        ...

    def close(self) -> None:
        """Release the engine."""
        ...
