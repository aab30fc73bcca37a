"""A journal in memory, for tests that start and stop the service many times a second."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import Position
from fleetpulse.reached import Reached


class MemoryJournal:
    """See Journal. The entries survive `close`, but not the end of the process."""

    def __init__(self) -> None:
        self._entries: dict[Position, bytes] = {}
        self._last = 0
        self._identity: str | None = None
        self.mark: Reached | None = None
        """What a test has recorded."""

    def append(self, body: bytes) -> Position:
        """See Journal."""
        self._last += 1
        self._entries[self._last] = bytes(body)
        return self._last

    def reached(self) -> Reached | None:
        """See Journal."""
        return self.mark

    mark_trouble = ""

    def make_mark(self) -> bool:
        """See Journal. What is in memory has no mark outside of it."""
        return False

    def accept_loss(self, *, through: Position) -> None:
        """See Journal."""
        self.mark = None
        if self._last < through:
            self._entries.clear()
            self._last = through

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:  # noqa: ARG002  # there is no disk to rest
        """See Journal."""
        with contextlib.closing(SqliteJournal(target)) as journal:
            journal.accept_loss(through=self.first_position() - 1)
            for _, body in self.read(after=0):
                journal.append(body)

    @property
    def waits_for_lock(self) -> bool:
        """See Journal."""
        return False

    def check(self) -> None:
        """See Journal."""

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """See Journal."""
        for position in range(max(after + 1, self.first_position()), self._last + 1):
            yield position, self._entries[position]

    def last_position(self) -> Position:
        """See Journal."""
        return self._last

    def first_position(self) -> Position:
        """See Journal."""
        return next(iter(self._entries), self._last + 1)

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """See Journal."""
        dropped = [position for position in self._entries if position <= through]
        for position in dropped[:entries_max]:
            del self._entries[position]
        return len(dropped) > entries_max

    def close(self) -> None:
        """See Journal."""

    def identity(self) -> str | None:
        """See Journal."""
        return self._identity

    def identify(self, identity: str) -> None:
        """See Journal."""
        self._identity = identity
