"""A journal in memory, for tests that start and stop the service many times a second.

Several may be journals of one `MemoryStream`, as the nodes of a cluster share one stream of NATS.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from fleetpulse.journal.journal import Deliver, check_next
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import Position
from fleetpulse.reached import Reached

DELIVERED_MAX = 1_000
"""How many entries are delivered at once."""


class MemoryStream:
    """The entries that one or several MemoryJournals hold. May be used by several threads."""

    def __init__(self) -> None:
        self.entries: dict[Position, bytes] = {}
        self.last: Position = 0
        self.identity: str | None = None
        self.entries_max: float = math.inf
        """Beyond which a test has it count as full."""
        self.changed = threading.Condition()
        """Held by whoever uses the stream; notified of what was appended or dropped, and of the ends of followers."""

    def __deepcopy__(self, _: object) -> "MemoryStream":
        """A stream of its own with the same entries, as a copy of the servers' disks would be."""
        copied = MemoryStream()
        copied.entries, copied.last, copied.identity = dict(self.entries), self.last, self.identity
        return copied

    def append(self, body: bytes) -> Position:
        """Store the next entry."""
        with self.changed:
            self.last += 1
            self.entries[self.last] = bytes(body)
            self.changed.notify_all()
            return self.last

    def first(self) -> Position:
        """Position of the oldest entry that is there; one after the last where none is."""
        with self.changed:
            return next(iter(self.entries), self.last + 1)


class MemoryJournal:
    """See Journal. The entries survive `close`, but not the end of the process."""

    def __init__(self, stream: MemoryStream | None = None, *, is_pumped: bool = False) -> None:
        """Without `stream`, a journal of its own, which is not shared.

        `is_pumped`: entries are delivered while the test calls `pump`, in the test's thread, and not by themselves.
        """
        self.is_shared = stream is not None
        self.stream = stream or MemoryStream()
        self._is_pumped = is_pumped
        self._following: _Following | None = None
        self.mark: Reached | None = None
        """What a test has recorded."""
        self.trouble: OSError | None = None
        """What appends and copies raise instead of storing anything, as while the servers of a stream are away."""
        self.lost_answer: OSError | None = None
        """What the next append raises, once, after it has stored the entry."""

    def append(self, body: bytes) -> Position:
        """See Journal."""
        if self.trouble is not None:
            raise self.trouble
        position = self.stream.append(body)
        lost, self.lost_answer = self.lost_answer, None
        if lost is not None:
            raise lost
        return position

    def follow(self, *, after: Position, deliver: Deliver, missed: Callable[[Position], None]) -> Callable[[], None]:
        """See Journal."""
        following = self._following = _Following(self.stream, after, deliver, missed)
        if not self._is_pumped:
            threading.Thread(target=following.run, name="journal-follow", daemon=True).start()
        return following.end

    def pump(self, entries_max: int = DELIVERED_MAX) -> bool:
        """Deliver the next entries to whoever follows, at most so many; False where there were none."""
        return self._following is not None and self._following.step(entries_max)

    def bring(self, body: bytes, *, position: Position) -> None:
        """See Journal."""
        check_next(self, position)
        self.append(body)

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
        with self.stream.changed:
            if self.stream.last < through:
                self.stream.entries.clear()
                self.stream.last = through
                self.stream.changed.notify_all()

    def copy_bytes(self) -> int:
        """See Journal."""
        return sum(len(body) for _, body in self.read(after=self.first_position() - 1))

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:  # noqa: ARG002  # there is no disk to rest
        """See Journal."""
        if self.trouble is not None:
            raise self.trouble
        with contextlib.closing(SqliteJournal(target)) as journal:
            journal.accept_loss(through=self.first_position() - 1)
            for _, body in self.read(after=0):
                journal.append(body)

    @property
    def filled(self) -> float:
        """See Journal."""
        return len(self.stream.entries) / self.stream.entries_max

    @property
    def waits_for_lock(self) -> bool:
        """See Journal."""
        return False

    def check(self) -> None:
        """See Journal."""

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """See Journal."""
        for position in range(max(after + 1, self.first_position()), self.stream.last + 1):
            yield position, self.stream.entries[position]

    def last_position(self) -> Position:
        """See Journal."""
        return self.stream.last

    def first_position(self) -> Position:
        """See Journal."""
        return self.stream.first()

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """See Journal."""
        with self.stream.changed:
            dropped = [position for position in self.stream.entries if position <= through]
            for position in dropped[:entries_max]:
                del self.stream.entries[position]
            self.stream.changed.notify_all()
        return len(dropped) > entries_max

    def close(self) -> None:
        """See Journal."""
        if self._following is not None:
            self._following.end()

    def identity(self) -> str | None:
        """See Journal."""
        return self.stream.identity

    def identify(self, identity: str) -> None:
        """See Journal."""
        self.stream.identity = self.stream.identity or identity


class _Following:
    """One who follows a stream."""

    def __init__(
        self, stream: MemoryStream, after: Position, deliver: Deliver, missed: Callable[[Position], None]
    ) -> None:
        self._stream, self._reached = stream, after
        self._deliver, self._missed = deliver, missed
        self._has_ended = False

    def run(self) -> None:
        """Deliver until it is ended."""
        while not self._has_ended:
            if not self.step(DELIVERED_MAX):
                with self._stream.changed:
                    self._stream.changed.wait_for(lambda: self._has_ended or self._stream.last > self._reached)

    def step(self, entries_max: int) -> bool:
        """Deliver once; False where there is nothing to deliver."""
        with self._stream.changed:
            if self._has_ended or self._stream.last <= self._reached:
                return False
            first = self._stream.first()
            self._has_ended = first > self._reached + 1
            end = min(self._stream.last, self._reached + entries_max) + 1
            entries = (
                [] if self._has_ended else [(at, self._stream.entries[at]) for at in range(self._reached + 1, end)]
            )
        if entries:
            self._reached = end - 1
            self._deliver(entries)
        else:
            self._missed(first)
        return True

    def end(self) -> None:
        """Deliver nothing more."""
        with self._stream.changed:
            self._has_ended = True
            self._stream.changed.notify_all()
