"""The catalog's promises, whichever engine keeps them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fleetpulse.model.device import Device
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device with its number, and when it was declared."""

    number: int
    device: Device
    created_at_ns: int
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch in which nobody expects to hear of a device; `end_ns` None: it goes on."""

    device: int
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration changed: numbers of devices that are new or came back, and of others that are declared otherwise now."""

    new: array[int]
    changed: array[int]


class Catalog(Protocol):
    """What people decide, and the manifest. All calls block, and come from one thread at a time. What returned is durable.

    Raises, whoever writes: OSError: nothing of it was written.
    """

    def records(self) -> Iterator[DeviceRecord]:
        """All devices in the order of their numbers 0, 1, 2, …, without gaps, the deleted ones too."""
        ...

    def device_count(self) -> int:
        """How many numbers were given, those of deleted devices too."""
        ...

    def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """Some devices, in the order asked for."""
        ...

    def register(self, devices: Iterable[Device], *, devices_max: int, at_ns: int, replaces: bool = True) -> Registered:
        """Give numbers to those that have none, in order; replace what is declared of the others. All or none.

        A device that was deleted comes back with its number, and so with its history. Without `replaces`, what is declared of
        those that are there stays, and they are told as changed.
        Raises: OutOfRange: there would be more than `devices_max`.
        """
        ...

    def update(self, devices: Mapping[int, Device]) -> None:
        """Replace what is declared of known devices, by number. All or none."""
        ...

    def delete(self, numbers: Sequence[int], *, at_ns: int) -> None:
        """Mark devices as deleted; their numbers stay theirs."""
        ...

    def pauses(self) -> list[Pause]:
        """All pauses, by device and start."""
        ...

    def replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        """Replace the pauses of a device."""
        ...

    def windows(self) -> list[MaintenanceWindow]:
        """All maintenance windows."""
        ...

    def put_window(self, window: MaintenanceWindow) -> None:
        """Add a maintenance window, or replace the one of its id."""
        ...

    def delete_window(self, window_id: str) -> bool:
        """Remove a maintenance window; False where there is none."""
        ...

    def metrics(self) -> list[tuple[int, MetricDefinition, bool]]:
        """Number, definition and whether it may be reported, of all metrics ever defined, by number."""
        ...

    def put_metric(self, metric: MetricDefinition, *, metrics_max: int) -> int:
        """Define a metric, or replace its definition; its number.

        Raises: OutOfRange: its kind would change, or there would be more than `metrics_max`.
        """
        ...

    def delete_metric(self, name: str) -> bool:
        """A metric is no longer reported; False where it was not. Its number and its samples stay until retention."""
        ...

    def manifest(self) -> Manifest:
        """The last manifest that was committed; an empty one before the first."""
        ...

    def commit_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, in one transaction."""
        ...

    def close(self) -> None:
        """Release the engine."""
        ...
