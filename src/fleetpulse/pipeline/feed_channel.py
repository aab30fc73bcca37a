"""The recent events of one scope: each is encoded once, for all clients, and numbered.

                 dropped │ kept                          │ latest
    events ... 5   6   7 │ 8   9   10   11   12   13  14 │
                 ^                  ^                  ^
            client C             client B           client A
            (missed 2)

A client is a number in this row: that of the last event that it was given. So a client costs no memory for what it has
not read, and how far it may be behind is bounded by what is kept for all. Whoever is behind that is told how many
events it missed, and goes on with the latest.

The id of an event is `<epoch>-<number>`. A channel has an epoch of its own, new with each process, each scope, and each
time that nobody has watched for long. So an id of another epoch tells nothing about what was missed since.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from msgspec.json import encode

from fleetpulse.model.access import Scope
from fleetpulse.query.feed_events import EndReason, FeedMissed, MissedReason

PIECE_EVENTS = 64
"""Events that a client is given at once, when it is behind."""
Event = tuple[str, bytes]
"""Its kind, and its data."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Events that a client did not get; `events` is None where nobody knows how many."""

    events: int | None
    reason: MissedReason


class Channel:
    """The events of one scope. `last`: the number of the latest event; `counts`: the data of the latest counts."""

    def __init__(self, scope: Scope, *, epoch: str, kept_max: int) -> None:
        """`kept_max`: how many events are kept, those of the last publication always."""
        self.scope = scope
        self.epoch = epoch
        self.last = 0
        self.counts = b""
        self.streams: set[Stream] = set()
        self.counted_at_s = 0.0
        """When clients were given the counts, by the monotonic clock."""
        self.left_at_s = 0.0
        """When its last client left, by the monotonic clock."""
        self._kept_max = kept_max
        self._frames: deque[bytes] = deque()
        self._newest = b""
        """The events of the last publication, as all clients that are not behind are given them."""
        self._newest_after = 0
        self._lost = 0
        """Before this number, events were lost that nobody has counted."""

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept."""
        return self.last - len(self._frames) + 1

    def publish(self, events: Sequence[Event]) -> None:
        """Take the next events. Whoever waits for them is not woken by that."""
        after, frames = self.last, []
        for number, (kind, data) in enumerate(events, self.last + 1):
            frames.append(self.frame(kind, data, number))
        self._frames.extend(frames)
        self.last += len(frames)
        while len(self._frames) > max(self._kept_max, len(frames)):
            self._frames.popleft()
        self._newest, self._newest_after = b"".join(frames), after

    def lose(self) -> None:
        """Something happened that nobody can tell: all clients have missed it."""
        self._frames.clear()
        self.last += 1
        self._lost = self.last
        self._newest, self._newest_after = b"", -1

    def missed_after(self, number: int, reason: MissedReason) -> Missed | None:
        """What is missed by a client that goes on after this number; None where it gets everything."""
        if number < self._lost:
            return Missed(None, "failed")
        return Missed(self.last - number, reason) if number + 1 < self.first else None

    def frame(self, kind: str, data: bytes, number: int) -> bytes:
        """An event as it is sent."""
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (self.epoch.encode(), number, kind.encode(), data)

    def after(self, number: int) -> tuple[bytes, int]:
        """The next events after one of those that are kept, and the number of the last of them. Not all, if many."""
        if number == self._newest_after:
            return self._newest, self.last
        start = number - self.first + 1
        frames = list(islice(self._frames, start, start + PIECE_EVENTS))
        return b"".join(frames), number + len(frames)

    def place_of(self, event_id: str) -> tuple[int, Missed | None]:
        """Where a client goes on that has had the event with this id, and what it has missed."""
        epoch, _, text = event_id.rpartition("-")
        is_number = text.isascii() and text.isdigit() and len(text) < 20
        if epoch != self.epoch or not is_number or int(text) > self.last:
            return self.last, Missed(None, "unknown_id")
        missed = self.missed_after(int(text), "gone")
        return (int(text), None) if missed is None else (self.last, missed)


class Stream:
    """One client of a channel. `place`: the number of the last event that it was given.

    `end`: why it ends, None while it goes on.
    """

    __slots__ = ("_greeting", "_waiter", "address", "channel", "end", "missed", "place", "sender")

    def __init__(
        self, channel: Channel, *, last_event_id: str | None = None, address: str = "", sender: object = None
    ) -> None:
        """`last_event_id`: of the last event that the client has had, None for a new one.

        `address` and `sender`: by which clients are counted that are the same.
        """
        self.channel, self.address, self.sender = channel, address, sender
        self.place, missed = (channel.last, None) if last_event_id is None else channel.place_of(last_event_id)
        self.end: EndReason | None = None
        self.missed = 0
        """How many events it has missed by being slow."""
        self._waiter: asyncio.Future[None] | None = None
        self._greeting = b""
        """What it is given next, before further events."""
        if last_event_id is None or missed is not None:
            self._greet(missed)

    def _greet(self, missed: Missed | None) -> None:
        """Tell the client what it has missed, and how the fleet is."""
        channel, frames = self.channel, []
        if missed is not None:
            frames.append(channel.frame("missed", encode(FeedMissed(missed.events, missed.reason)), self.place))
        if channel.counts:
            frames.append(channel.frame("counts", channel.counts, self.place))
        self._greeting = b"".join(frames)

    @property
    def has_more(self) -> bool:
        """Whether there is something to be given to the client."""
        return bool(self._greeting) or self.place != self.channel.last

    async def wait(self) -> None:
        """Wait until there is more, or it ends."""
        while self.end is None and not self.has_more:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def wake(self) -> None:
        """Let whoever waits look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def stop(self, reason: EndReason) -> None:
        """End it, whatever the client has not been given."""
        self.end = self.end or reason
        self.wake()

    def take(self) -> bytes:
        """What the client is to be given next; nothing: there is no more at the moment."""
        channel = self.channel
        missed = None if self._greeting else channel.missed_after(self.place, "slow")
        if missed is not None:
            self.missed += missed.events or 0
            self.place = channel.last
            self._greet(missed)
        if self._greeting:
            piece, self._greeting = self._greeting, b""
            return piece
        if self.place == channel.last:
            return b""
        piece, self.place = channel.after(self.place)
        return piece
