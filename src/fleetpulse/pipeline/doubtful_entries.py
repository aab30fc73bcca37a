"""Entries of this node whose append ended without an answer, and which may be stored after all.

Their senders were answered `outcome_unknown`, and their events count as unknown. In a shared journal they come back if
they are stored: then they move to the accepted events. Which entry is which is told by its time and its events.
"""

from dataclasses import dataclass

import numpy as np

from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.telemetry.counters import Counters

KEPT_MAX = 64
"""Beyond so many the oldest are forgotten: they were not stored, or this node is far behind."""


@dataclass(slots=True)
class _Doubt:
    """An entry, which may come back in pieces."""

    batch: EventBatch
    heartbeats_back: int = 0
    samples_back: int = 0
    has_failed: bool = False

    def take(self, columns: EventColumns) -> int:
        """How many of its events an entry holds; 0 where it is another one."""
        mine = EventColumns.of(self.batch)
        beats = slice(self.heartbeats_back, self.heartbeats_back + len(columns.heartbeat_devices))
        samples = slice(self.samples_back, self.samples_back + len(columns.sample_devices))
        pairs = (
            (columns.heartbeat_devices, mine.heartbeat_devices[beats]),
            (columns.heartbeat_sent_at_ns, mine.heartbeat_sent_at_ns[beats]),
            (columns.sample_devices, mine.sample_devices[samples]),
            (columns.sample_sent_at_ns, mine.sample_sent_at_ns[samples]),
        )
        if not all(np.array_equal(one, other) for one, other in pairs):
            return 0
        self.heartbeats_back, self.samples_back = beats.stop, samples.stop
        return len(columns)


class DoubtfulEntries:
    """On the event loop."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._under_way: EventBatch | None = None
        self._doubts: dict[int, _Doubt] = {}
        """By the time of the entry: the one that is under way, and those that failed."""

    def begin(self, batch: EventBatch) -> None:
        """A batch is about to be appended; it may come back before its append ends."""
        before = self._under_way
        doubt = None if before is None else self._doubts.get(before.received_at_ns)
        if before is not None and doubt is not None and not doubt.has_failed:
            del self._doubts[before.received_at_ns]
        self._under_way = batch if len(batch) else None
        if len(batch):
            self._doubts[batch.received_at_ns] = _Doubt(batch)
            if len(self._doubts) > KEPT_MAX:
                del self._doubts[next(iter(self._doubts))]

    def fail(self, batch: EventBatch) -> None:
        """The append of the batch that began last has failed, and its events count as unknown."""
        doubt = self._doubts.get(batch.received_at_ns)
        if doubt is not None:
            doubt.has_failed = True
            self._accept(doubt.heartbeats_back + doubt.samples_back)

    def came(self, columns: EventColumns) -> None:
        """An entry has come from the journal."""
        doubt = self._doubts.get(columns.received_at_ns)
        if doubt is not None:
            events = doubt.take(columns)
            if doubt.has_failed:
                self._accept(events)

    def _accept(self, events: int) -> None:
        self._counters.events_unknown -= events
        self._counters.events_accepted += events
        self._counters.events_applied += events
