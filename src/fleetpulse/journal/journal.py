"""The journal's promises, whichever engine keeps them.

In come entries (bytes, one event batch each); out come the same entries, in the order of their positions.
After a crash or a power cut every entry whose `append` returned is still there; one whose `append` did not return may be.
"""

from collections.abc import Iterator
from typing import Protocol

from fleetpulse.model.events import Position


class Journal(Protocol):
    """A durable, ordered log. All calls block, and come from one thread at a time: the journal's only writer."""

    def append(self, body: bytes) -> Position:
        """Make `body` durable as the next entry; return its position, one more than the entry before.

        Raises: OSError: nothing may be acknowledged, and nothing may be appended any more: after a failed fsync the page
            may be gone, so a retry could report a success that is none.
        """
        ...

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """The entries past `after`, in order. Raises: DamagedData: one is missing or cannot be read."""
        ...

    def last_position(self) -> Position:
        """Position of the newest entry ever appended, dropped or not; 0 before the first."""
        ...

    def first_position(self) -> Position:
        """Position of the oldest entry that is still kept; `last_position() + 1` where none is."""
        ...

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """Forget up to `entries_max` of the oldest entries up to and including `through`; True while some are left.

        Bounded, so that appends can go on between the calls.
        """
        ...

    def close(self) -> None:
        """Release the engine. What was appended stays."""
        ...
