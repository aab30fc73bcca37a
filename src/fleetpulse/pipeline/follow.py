"""The follower: applies durable batches to the live fleet, in journal order.

Applying need not happen before the ack, only before the next read; so it is put off and done for thousands at once.
After a crash the replay of the journal does the same work.
"""

from fleetpulse.errors import DamagedData
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns, Position
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.readiness import blocks_away
from fleetpulse.telemetry.counters import Counters

APPLY_AT_EVENTS = 16_384


class Follower:
    """The only writer of events to the fleet. `position` is the journal entry that `catch_up` brings the fleet to."""

    def __init__(self, fleet: Fleet, counters: Counters, *, position: Position = 0) -> None:
        self.fleet = fleet
        self.position = position
        self._counters = counters
        self._pending: list[EventColumns] = []
        self._pending_events = 0
        self._is_broken = False
        self.is_away = False
        """The fleet has no snapshot, so nothing can be applied: the journal keeps the events until it is replayed."""

    @property
    def pending_events(self) -> int:
        """Durable events that are not applied yet."""
        return self._pending_events

    def follow(self, batch: EventBatch, position: Position) -> None:
        """Take the next durable batch, which is entry `position` of the journal."""
        self.position = position
        if self.is_away:
            self._pending_events += len(batch)
            return
        self._pending.append(EventColumns.of(batch))
        self._pending_events += len(batch)
        if self._pending_events >= APPLY_AT_EVENTS:
            self.catch_up()

    def pending_of(self, device: int) -> int:
        """Durable events of one device that are not applied yet."""
        return sum(
            int((column == device).sum())
            for batch in self._pending
            for column in (batch.heartbeat_devices, batch.sample_devices)
        )

    def catch_up(self) -> None:
        """Apply all that is durable. Every read calls this first, so that an event that was answered 204 is found.

        Raises: DamagedData: an earlier call failed in its middle, so the fleet is no state of the journal.
            NotAccepting: the fleet has no snapshot yet.
        """
        if self.is_away:
            raise blocks_away()
        if self._is_broken:
            raise DamagedData("the live fleet is half applied after a defect: restart, and the journal has everything")
        if self._pending:
            # If applying fails, nothing may read the fleet any more; a checkpoint, above all, must not store it.
            self._is_broken = True
            self.fleet.apply(self._pending)
            self._is_broken = False
            self._counters.events_applied += self._pending_events
            self._pending = []
            self._pending_events = 0

    def come_back(self, position: Position) -> None:
        """The fleet has its snapshot, and the journal was replayed up to `position`, where it ends."""
        self.position, self.is_away = position, False
        self._counters.events_applied += self._pending_events
        self._pending_events = 0

    def advance(self, now_ns: int) -> None:
        """Apply all that is durable, and open the day of `now_ns` in the fleet."""
        self.catch_up()
        self.fleet.advance(now_ns // NS_PER_DAY)
