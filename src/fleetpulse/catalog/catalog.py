"""The catalog's promises, whichever engine keeps them."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from fleetpulse.model.device import Device
from fleetpulse.model.manifest import Manifest


class Catalog(Protocol):
    """Devices and manifest. All calls block, and come from one thread at a time. What returned is durable."""

    def ids(self) -> Iterator[str]:
        """Ids of all devices in the order of their numbers 0, 1, 2, …, without gaps."""
        ...

    def labels(self, device_id: str) -> dict[str, str] | None:
        """Labels of a device, None where it is unknown."""
        ...

    def register(self, devices: Iterable[Device], *, devices_max: int) -> list[str]:
        """Give numbers to those that have none, in order; replace the labels of the others. All or none.

        Returns: ids of the new ones, in the order of their numbers.
        Raises: OutOfRange: there would be more than `devices_max`. OSError: nothing is registered.
        """
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
