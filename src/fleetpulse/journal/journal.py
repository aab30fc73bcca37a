"""What every journal promises, whichever engine stores it.

In come entries (bytes, one event batch each), out come the same entries in the order of their positions. After a crash
or a power cut every entry whose `append` returned is still there. An entry whose `append` did not return may be there
or not.

A journal may be shared: other nodes append to it too. Then the entries of all nodes have one order, each node learns of
them by `follow`, and an entry whose `append` raised may turn up later; but never twice, and never behind a later entry
of the same node.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from fleetpulse.errors import DamagedData
from fleetpulse.model.events import Position
from fleetpulse.reached import Reached

Deliver = Callable[[Sequence[tuple[Position, bytes]]], None]


class Journal(Protocol):
    """A durable, ordered log. All calls block, and come from one thread at a time, this process's only writer of it."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may append to it too, so that entries are applied as `follow` delivers them."""
        ...

    @property
    def filled(self) -> float:
        """The share of the room that the servers of a shared journal have which is taken; 0 where it is not known."""
        ...

    def append(self, body: bytes) -> Position:
        """Make `body` durable as the next entry; return its position.

        That is one more than the position of the entry before, which may be another node's where it is shared.
        Raises: OSError: the entry must not be acknowledged. If the error `is_final` (see storage_causes), the journal
            must not be appended to again: after a failed fsync the kernel may have dropped the page, so that a second
            try could succeed without the entry on disk. After any other, such as that of a full disk, nothing was
            written, or, where it is shared, the entry may turn up once; later appends may succeed.
            DatabaseBusy: another program holds a lock; nothing was written, and later appends may succeed.
        """
        ...

    def bring(self, body: bytes, *, position: Position) -> None:
        """Append an entry of another journal at the position that it has there, which must be the next one here.

        Nobody else may append meanwhile. Raises: as `append`; DamagedData: the next position is another one.
        """
        ...

    def reached(self) -> Reached | None:
        """How far the journal had certainly come, as was recorded outside of it; None where nothing is recorded."""
        ...

    @property
    def mark_trouble(self) -> str:
        """Why acknowledged entries may vanish unnoticed, or that could not be recorded last; empty where all is well.

        May be read by any thread.
        """
        ...

    def make_mark(self) -> bool:
        """Make durable what is recorded outside; False where it cannot be, and `mark_trouble` says why."""
        ...

    def accept_loss(self, *, through: Position) -> None:
        """Record that the journal ends where it does, since people accepted that the rest has vanished.

        Where it ends before `through`, its entries are dropped, and the next one will be that after `through`.

        Raises: OSError; DatabaseBusy.
        """
        ...

    @property
    def waits_for_lock(self) -> bool:
        """Whether an append is waiting for the lock of another program. May be read by any thread."""
        ...

    def check(self) -> None:
        """See that what is appended can be found again. Raises: OSError: the journal is not where it was opened."""
        ...

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """(position, entry) of all entries behind position `after`, in order.

        Raises: DamagedData: an entry is missing or cannot be read. DatabaseBusy.
        """
        ...

    def follow(self, *, after: Position, deliver: Deliver, missed: Callable[[Position], None]) -> Callable[[], None]:
        """Have the entries behind `after`, of all nodes, delivered as they come: in order, each once. Returns at once.

        Only of a shared journal, and one at a time; from any thread.

        Args:
            deliver: called from a thread of the journal's own, with at least one entry. While it blocks, nothing more
                is read. It must not raise.
            missed: called from the same thread where the next entry is not there any more, with the position of the
                oldest one behind it that is. Nothing is delivered after that: load a snapshot, and follow anew.
        Returns: what ends it, from any thread, at once: no call begins after that; one that has begun may go on.
        """
        ...

    def last_position(self) -> Position:
        """Position of the newest entry ever appended, even if it was dropped since; 0 before the first."""
        ...

    def first_position(self) -> Position:
        """Position of the oldest entry that was not dropped; `last_position() + 1` where all were."""
        ...

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """Delete the oldest entries up to `through`, at most `entries_max`; True while some up to `through` are left.

        A call takes a bounded time, so that appends can go on between the calls.
        Raises: OSError; DatabaseBusy: another program holds a lock. Either way nothing was deleted.
        """
        ...

    def identity(self) -> str | None:
        """The id of the data folder that the journal belongs to; None where it was never told."""
        ...

    def identify(self, identity: str) -> None:
        """Record the id of the data folder, for good. Raises: OSError; DatabaseBusy."""
        ...

    def copy_bytes(self) -> int:
        """How large a copy may become, about. From any thread. Raises: OSError."""
        ...

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """Write all of it, as it is at one moment, into the new SQLite file `target`. From any thread; commits go on.

        Args: rest: called between two pieces with the seconds that it should take, so that commits have the disk.
        Raises: OperatorError.
        """
        ...

    def close(self) -> None:
        """Release the engine. The entries stay."""
        ...


def check_next(journal: Journal, position: Position) -> None:
    """Raises: DamagedData: `position` is not the one that comes next."""
    if position != journal.last_position() + 1:
        raise DamagedData(
            f"entry {position} cannot be brought to a journal that has come to entry {journal.last_position()}: empty "
            "it first"
        )
