"""What a catalog promises to nodes that share it."""

from collections.abc import Callable
from typing import Protocol

from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.catalog.forget_records import ForgetRecords


class SharedCatalog(Protocol):
    """The part of a catalog that says what other nodes changed, and keeps what all of them must have alike."""

    forget_orders: ForgetRecords
    """What people want forgotten of devices."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may use it at the same time."""
        ...

    def share(self) -> None:
        """Note from now on what each transaction changes: others use it, too."""
        ...

    def version(self) -> int:
        """How many transactions have changed it, those of other nodes too. Raises: DamagedData; DatabaseBusy."""
        ...

    def changes(self, after: int) -> CatalogChanges:
        """What the transactions after a version have changed, our own too. Raises: DamagedData; DatabaseBusy."""
        ...

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:
        """Call `heard` in a thread where a version is announced, 0: one that is not known. Returns: what ends that.

        Announcements may be lost, and an engine may have none.
        """
        ...

    def note_started(self) -> None:
        """Wait no longer for other nodes than transactions of a running service do."""
        ...

    def following_version(self) -> int:
        """The newest version, as far as is known here, that changed what following the journal needs.

        May be read by any thread.
        """
        ...

    def secret(self, name: str) -> str:
        """A secret that all nodes have; empty where there is none yet. Raises: DamagedData; DatabaseBusy."""
        ...

    def put_secret(self, name: str, secret: str) -> None:
        """Store a secret in place of the one of its name. Raises: OSError; DatabaseBusy."""
        ...
