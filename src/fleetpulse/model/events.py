"""A batch of events, as columns: there is never an object for each event, which would cost too much memory and time.

A batch is filled as typed arrays, which are cheap to append to, and read as numpy columns, without a copy in between.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_S

Position = int
"""The place of an entry in the journal: 1, 2, 3, … without gaps. 0 is the place before the first entry."""

QUIET_NS = 20 * NS_PER_S
"""Nodes write to a shared journal more often than this: when it is quiet for longer, no node could hear devices."""


@dataclass(slots=True)
class EventBatch:
    """Events that are accepted together and become durable together.

    A heartbeat is a device number and sent_at. A sample also has the number of a metric, and a value of 64 bits: a
    signed integer or the bits of a double, according to the kind of the metric.

    Besides events, `blind_ns` may hold spans [start, end), written start, end, start, end, …, in which the service did
    not run or stood still, and so could hear no device. A batch without events and spans only records that the service
    runs. `leap_ns` holds a span over which the server's clock leapt, or may have leapt, and `correction_ns` what is to
    be corrected of all before this batch (since, at: see ClockCorrection); or nothing.
    """

    heartbeat_devices: array[int] = field(default_factory=lambda: array("I"))
    heartbeat_sent_at_ns: array[int] = field(default_factory=lambda: array("q"))
    sample_devices: array[int] = field(default_factory=lambda: array("I"))
    sample_sent_at_ns: array[int] = field(default_factory=lambda: array("q"))
    sample_values: array[int] = field(default_factory=lambda: array("q"))
    sample_metrics: array[int] = field(default_factory=lambda: array("H"))
    blind_ns: array[int] = field(default_factory=lambda: array("q"))
    leap_ns: array[int] = field(default_factory=lambda: array("q"))
    correction_ns: array[int] = field(default_factory=lambda: array("q"))
    forgotten: array[int] = field(default_factory=lambda: array("q"))
    """Orders to forget, see `model/forgotten.py`; they come after the events of the batch."""
    catalog_version: array[int] = field(default_factory=lambda: array("q"))
    """One number, or none: whoever follows the journal knows the catalog up to it before applying this batch."""
    checkpoint_ns: array[int] = field(default_factory=lambda: array("q"))
    """One time, or none: a checkpoint begins here, after the events of the batch, in which days before it are open."""
    received_at_ns: int = 0
    is_shared: bool = False
    """Whether it is written into a journal that other nodes write, too: see `EventColumns`."""

    def __len__(self) -> int:
        return len(self.heartbeat_devices) + len(self.sample_devices)

    def extend(self, other: EventBatch) -> None:
        """Append all events of `other`."""
        self.heartbeat_devices.extend(other.heartbeat_devices)
        self.heartbeat_sent_at_ns.extend(other.heartbeat_sent_at_ns)
        self.sample_devices.extend(other.sample_devices)
        self.sample_sent_at_ns.extend(other.sample_sent_at_ns)
        self.sample_values.extend(other.sample_values)
        self.sample_metrics.extend(other.sample_metrics)


@dataclass(frozen=True, slots=True)
class EventColumns:
    """An event batch as numpy columns, which may be read-only views.

    The heartbeat columns share one length, the sample columns another; `blind_ns` has shape (2 · spans,),
    `leap_ns` and `correction_ns` (2,) or (0,),
    `forgotten` (8 · orders,), `catalog_version` and `checkpoint_ns` (1,) or (0,).
    `do_reports_mark` says whether a report of metrics marks presence, as a heartbeat does; in entries of earlier
    versions it did not, and what they say must not change when they are replayed.
    `is_shared` says that the batch is of a journal to which several nodes write. A quiet time before it that is longer
    than QUIET_NS is blind, and nothing that follows from it depends on the batches that are applied together with it.
    """

    heartbeat_devices: NDArray[np.uint32]
    heartbeat_sent_at_ns: NDArray[np.int64]
    sample_devices: NDArray[np.uint32]
    sample_sent_at_ns: NDArray[np.int64]
    sample_values: NDArray[np.int64]
    sample_metrics: NDArray[np.uint16]
    blind_ns: NDArray[np.int64]
    leap_ns: NDArray[np.int64]
    correction_ns: NDArray[np.int64]
    forgotten: NDArray[np.int64]
    catalog_version: NDArray[np.int64]
    checkpoint_ns: NDArray[np.int64]
    received_at_ns: int
    do_reports_mark: bool = True
    is_shared: bool = False

    def __len__(self) -> int:
        return len(self.heartbeat_devices) + len(self.sample_devices)

    def cut(self, events_max: int) -> list[EventColumns]:
        """The same in pieces of at most so many events, without a copy: applied in their order they are the whole.

        What comes before the events of a batch (a version of the catalog, a correction, spans, a leap) is in the first
        piece, and what comes after them (orders to forget, a checkpoint) in the last one.
        """
        if len(self) <= events_max:
            return [self]
        beats, nothing = len(self.heartbeat_devices), self.blind_ns[:0]
        pieces = []
        for start in range(0, len(self), events_max):
            heartbeats = slice(start, start + events_max)
            samples = slice(max(0, start - beats), max(0, start + events_max - beats))
            piece = replace(
                self,
                heartbeat_devices=self.heartbeat_devices[heartbeats],
                heartbeat_sent_at_ns=self.heartbeat_sent_at_ns[heartbeats],
                sample_devices=self.sample_devices[samples],
                sample_sent_at_ns=self.sample_sent_at_ns[samples],
                sample_values=self.sample_values[samples],
                sample_metrics=self.sample_metrics[samples],
                forgotten=nothing,
                checkpoint_ns=nothing,
            )
            if start:
                piece = replace(
                    piece, catalog_version=nothing, blind_ns=nothing, leap_ns=nothing, correction_ns=nothing
                )
            pieces.append(piece)
        pieces[-1] = replace(pieces[-1], forgotten=self.forgotten, checkpoint_ns=self.checkpoint_ns)
        return pieces

    @classmethod
    def of(cls, batch: EventBatch) -> EventColumns:
        """The columns of a batch, without a copy: the batch must not be appended to afterwards."""
        return cls(
            np.frombuffer(batch.heartbeat_devices, np.uint32),
            np.frombuffer(batch.heartbeat_sent_at_ns, np.int64),
            np.frombuffer(batch.sample_devices, np.uint32),
            np.frombuffer(batch.sample_sent_at_ns, np.int64),
            np.frombuffer(batch.sample_values, np.int64),
            np.frombuffer(batch.sample_metrics, np.uint16),
            np.frombuffer(batch.blind_ns, np.int64),
            np.frombuffer(batch.leap_ns, np.int64),
            np.frombuffer(batch.correction_ns, np.int64),
            np.frombuffer(batch.forgotten, np.int64),
            np.frombuffer(batch.catalog_version, np.int64),
            np.frombuffer(batch.checkpoint_ns, np.int64),
            batch.received_at_ns,
            is_shared=batch.is_shared,
        )
