"""What the live fleet hands to a checkpoint: exact copies of its figures, and the data that leaves memory with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.device_policies import DevicePolicies
from fleetpulse.live.beat_gaps import LiveBeats
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.server_clock import ClockCorrection, KnownLeaps

EXACT_COLUMNS = (
    "first_sent_ns", "last_sent_ns", "gap_until_ns",
    "last_received_ns", "up_since_ns", "heartbeats", "uploads", "other_samples", "upload_high", "upload_low",
)  # fmt: skip
"""Columns that a snapshot must hold as they are at its journal position: replaying an entry twice would change them.

The others may be newer than the position, since replaying an entry does not change them a second time.
"""

PIECE_DEVICES = 24_576
"""Devices whose figures are copied in one go, not quite 2 MB."""


@dataclass(slots=True)
class ClosingData:
    """Data that a checkpoint writes into blocks. Questions read it here until the manifest names these blocks."""

    dense: dict[int, HourColumns] = field(default_factory=dict)
    """Presence by day, of days that were open."""
    sparse: SparsePresence = field(default_factory=SparsePresence)
    """Presence that came late, for days that were closed before."""
    samples: list[SampleColumns] = field(default_factory=list)
    doubtful: list[SampleColumns] = field(default_factory=list)
    """Samples that may repeat others; see `live.reported_samples`."""
    beats: LiveBeats = field(default_factory=lambda: LiveBeats(reserve=0))
    """Gaps between beats, and the late beats in them."""
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
    """By name, each shape (count,): copies of EXACT_COLUMNS, complete when `Freezing` is, and views of the others."""
    open_dense: dict[int, HourColumns]
    """Presence of the open days, the fleet's own columns: a mark made meanwhile may be in them."""
    open_sparse: SparsePresence
    """Presence of days ahead, in the same way; no day that was not there yet."""
    closing: ClosingData
    policies: DevicePolicies
    alive_at_ns: int
    blind_ns: list[tuple[int, int]]
    leaps: KnownLeaps
    forgotten: list[Forgotten]
    """What blocks may still hold, and must not any more."""
    first_kept_ns: dict[int, int]
    """By device: stored gaps that begin before it do not count any more, since the beat where they begin is forgotten.

    What was sent again since, from then until the first beat that had stayed, is in the gaps of `closing`."""
    catalog_version: int = 0
    """`policies` are those of this version of the catalog, in a shared journal."""


class Freezing:
    """The copying of EXACT_COLUMNS, a piece at a time. Until it is complete, nothing may be applied to the fleet."""

    def __init__(self, fleet: FrozenFleet, *, names: Sequence[str] = EXACT_COLUMNS) -> None:
        """The columns of `fleet` are those of the live fleet; copies take the place of those of `names`."""
        self._fleet = fleet
        self._columns = [(fleet.columns[name], np.empty_like(fleet.columns[name])) for name in names]
        fleet.columns.update(zip(names, [copy for _, copy in self._columns], strict=True))
        self._copied = 0

    @property
    def is_complete(self) -> bool:
        """Whether all is copied."""
        return self._copied >= self._fleet.count

    def copy_piece(self) -> None:
        """Copy the figures of some more devices: about a millisecond."""
        piece = slice(self._copied, self._copied + PIECE_DEVICES)
        for column, copy in self._columns:
            copy[piece] = column[piece]
        self._copied = piece.stop

    def complete(self) -> FrozenFleet:
        """Copy what is left at once, and return what is frozen."""
        while not self.is_complete:
            self.copy_piece()
        return self._fleet
