"""A batch of events: columns, never one object an event.

Built from typed arrays (cheap to append to) and read as numpy columns (cheap to compute with), without a copy between.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UPLOAD_TIME_HIGHEST = 2**63 - 1
"""Integer metrics are signed 64-bit, like Go's time.Duration: 292 years."""

Position = int
"""Place of an entry in the journal: 1, 2, 3, … without gaps; 0 is before the first."""


@dataclass(slots=True)
class EventBatch:
    """Events that are accepted together and become durable together.

    A heartbeat is (device number, sent_at); a sample has a metric's number and a value beside them: the 64 bits of a signed
    integer or of a double, as the metric's kind says.

    Beside events, an entry may say that the service was blind: it did not run, or stood still, in [start, end). An entry
    without anything says that the service is alive.
    """

    heartbeat_devices: array[int] = field(default_factory=lambda: array("I"))
    heartbeat_sent_at_ns: array[int] = field(default_factory=lambda: array("q"))
    sample_devices: array[int] = field(default_factory=lambda: array("I"))
    sample_sent_at_ns: array[int] = field(default_factory=lambda: array("q"))
    sample_values: array[int] = field(default_factory=lambda: array("q"))
    sample_metrics: array[int] = field(default_factory=lambda: array("H"))
    blind_ns: array[int] = field(default_factory=lambda: array("q"))
    received_at_ns: int = 0

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
    """An event batch as numpy columns; the arrays may be read-only views."""

    heartbeat_devices: NDArray[np.uint32]
    heartbeat_sent_at_ns: NDArray[np.int64]
    sample_devices: NDArray[np.uint32]
    sample_sent_at_ns: NDArray[np.int64]
    sample_values: NDArray[np.int64]
    sample_metrics: NDArray[np.uint16]
    blind_ns: NDArray[np.int64]
    received_at_ns: int

    def __len__(self) -> int:
        return len(self.heartbeat_devices) + len(self.sample_devices)

    @classmethod
    def of(cls, batch: EventBatch) -> EventColumns:
        """The columns of a batch that nobody appends to any more, without copying."""
        return cls(
            np.frombuffer(batch.heartbeat_devices, np.uint32),
            np.frombuffer(batch.heartbeat_sent_at_ns, np.int64),
            np.frombuffer(batch.sample_devices, np.uint32),
            np.frombuffer(batch.sample_sent_at_ns, np.int64),
            np.frombuffer(batch.sample_values, np.int64),
            np.frombuffer(batch.sample_metrics, np.uint16),
            np.frombuffer(batch.blind_ns, np.int64),
            batch.received_at_ns,
        )
