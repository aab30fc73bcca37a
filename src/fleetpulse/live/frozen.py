"""What the live fleet hands to a checkpoint: exact copies of its figures, and the data that leaves memory with it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.server_clock import ClockCorrection, KnownLeaps

EXACT_COLUMNS = (
    "last_received_ns", "up_since_ns", "heartbeats", "uploads", "other_samples", "upload_high", "upload_low",
)  # fmt: skip
"""Columns that a snapshot must hold as they are at its journal position: replaying an entry twice would change them.

The others may be newer than the position, since replaying an entry does not change them a second time.
"""


@dataclass(slots=True)
class ClosingData:
    """Data that a checkpoint writes into blocks. Questions read it here until the manifest names these blocks."""

    dense: dict[int, Rows] = field(default_factory=dict)
    """Presence by day, the row of each device at its number."""
    sparse: SparsePresence = field(default_factory=SparsePresence)
    """Presence that came late, for days that were closed before."""
    samples: list[SampleColumns] = field(default_factory=list)
    doubtful: list[SampleColumns] = field(default_factory=list)
    """Samples that may repeat others; see `live.reported_samples`."""
    gaps: list[ReceptionGapColumns] = field(default_factory=list)
    corrections: list[ClockCorrection] = field(default_factory=list)
    """Of the reception gaps in blocks, in their order; those of `gaps` are correct."""

    @property
    def days(self) -> list[int]:
        """The days to close, ascending."""
        return sorted({*self.dense, *self.sparse.days})


@dataclass(frozen=True, slots=True)
class FrozenFleet:
    """The live fleet at one journal position, as a checkpoint writes it."""

    count: int
    open_from_day: int
    columns: dict[str, NDArray[np.generic]]
    """By name, each shape (count,): copies of EXACT_COLUMNS, views of the others."""
    open_dense: dict[int, Rows]
    """Presence of the open days, the fleet's own arrays: a mark made meanwhile may be in them."""
    open_sparse: SparsePresence
    closing: ClosingData
    alive_at_ns: int
    blind_ns: list[tuple[int, int]]
    leaps: KnownLeaps
    forgotten: list[Forgotten]
    """What blocks may still hold, and must not any more."""
