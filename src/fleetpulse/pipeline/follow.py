"""The follower: durable batches into the live fleet, in journal order, many at a time.

Applying need not happen before the ack, only before the next read; so it is put off and done for thousands at once.
"""

from fleetpulse.errors import DamagedData
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns, Position
from fleetpulse.telemetry.counters import Counters

APPLY_AT_EVENTS = 16_384


class Follower:
    """The one that applies. `position` is what the fleet is the state of, once `catch_up` has run."""

    def __init__(self, fleet: Fleet, counters: Counters, *, position: Position = 0) -> None:
        self.fleet = fleet
        self.position = position
        self._counters = counters
        self._pending: list[EventColumns] = []
        self._pending_events = 0
        self._is_broken = False

    @property
    def pending_events(self) -> int:
        """Durable events that are not applied yet."""
        return self._pending_events

    def follow(self, batch: EventBatch, position: Position) -> None:
        """The next durable batch."""
        self.position = position
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
        """Apply all that is durable. Every read calls this first, so a device that was answered 204 reads its own write."""
        if self._is_broken:
            raise DamagedData("the live fleet is half applied after a defect: restart, and the journal has everything")
        if self._pending:
            # Whatever goes wrong here must stop all that reads or keeps the fleet, checkpoints first of all.
            self._is_broken = True
            self.fleet.apply(self._pending)
            self._is_broken = False
            self._counters.events_applied += self._pending_events
            self._pending = []
            self._pending_events = 0
