"""What the live fleet shows to one question: everything it holds, as it was at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.live.sparse_presence import SparseDay, SparsePresence
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.server_clock import ClockCorrection


@dataclass(frozen=True, slots=True)
class LiveView:
    """The devices with the numbers `devices`, and data that no block holds yet. Columns are copies, shape (n,).

    Another thread may read it while events are applied: nothing in it changes, except that the presence of several
    devices may gain minutes, which is harmless, since a minute that is marked stays marked.
    """

    devices: range
    first_minute: NDArray[np.int32]
    """Minute since 1970 of the first presence by the device's clock; beyond all windows where there was none."""
    last_received_ns: NDArray[np.int64]
    """When anything was last received; 0 where nothing ever was."""
    up_since_ns: NDArray[np.int64]
    """When the last reception gap ended; 0 where there was none."""
    policy_codes: NDArray[np.uint16]
    policies: Sequence[HeartbeatPolicy]
    """The policies that `policy_codes` stand for."""
    dense: Mapping[int, Sequence[Rows]]
    """Presence by day: rows of the first devices of `devices`, each shape (at most n, 23)."""
    sparse: Mapping[int, Sequence[SparseDay]]
    """Presence by day of the devices that have any on days that were not open; perhaps also of other devices.

    The fleet's own, which no question may change: copying a million rows would hold the event loop."""
    gaps: Sequence[ReceptionGapColumns]
    """Reception gaps of all devices."""
    samples: Sequence[SampleColumns]
    """Samples of all devices, none twice and none of them in a block."""
    doubtful: Sequence[SampleColumns]
    """Further ones, of which each may repeat one that comes before, one of `samples`, or one of a block."""
    corrections: Sequence[ClockCorrection]
    """Of the reception gaps in blocks; those of `gaps` are correct."""
    blind_ns: Sequence[tuple[int, int]]
    """Spans [start, end) in which the service did not run, ascending."""

    def has_presence(self, day: int) -> bool:
        """Whether it holds any presence of a day."""
        return bool(self.dense.get(day) or self.sparse.get(day))


def presence_from(
    first_day: int, devices: range, *, dense: Sequence[Mapping[int, Rows]], sparse: Sequence[SparsePresence]
) -> tuple[dict[int, list[Rows]], dict[int, list[SparseDay]]]:
    """The presence of devices on `first_day` and later, as `LiveView.dense` and `LiveView.sparse`."""
    if len(devices) == 1:
        # One device's rows are joined and copied at once, and not searched for among all sparse rows.
        rows = rows_of(devices.start, dense=dense, sparse=sparse)
        return {day: [row[None]] for day, row in rows.items() if day >= first_day}, {}
    days = [day for day in _days(dense, sparse) if day >= first_day] if devices else []
    part = slice(devices.start, devices.stop)
    return (
        {day: [open_rows[day][part] for open_rows in dense if day in open_rows] for day in days},
        {day: [rows.of(day) for rows in sparse if rows.has(day)] for day in days},
    )


def rows_of(device: int, *, dense: Sequence[Mapping[int, Rows]], sparse: Sequence[SparsePresence]) -> dict[int, Rows]:
    """The presence of one device by day, each shape (23,), a copy; days of which there is no row are left out."""
    found: dict[int, Rows] = {}
    parts = [{day: rows[device].copy() for day, rows in one.items() if device < len(rows)} for one in dense]
    for part in [*parts, *(one.rows_of(device) for one in sparse)]:
        for day, row in part.items():
            found[day] = row if day not in found else found[day] | row
    return found


def _days(dense: Sequence[Mapping[int, Rows]], sparse: Sequence[SparsePresence]) -> set[int]:
    return {*chain(*dense), *chain.from_iterable(one.days for one in sparse)}
