"""What the live fleet shows to one question: everything it holds, as it was at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.aggregate.presence import Rows, RowsOfDay
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparseDay, SparsePresence
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.server_clock import ClockCorrection

if TYPE_CHECKING:
    from fleetpulse.live.fleet import Fleet


@dataclass(frozen=True, slots=True)
class LiveView:
    """The devices with the numbers `devices`, and data that no block holds yet. Columns are copies, shape (n,).

    Another thread may read it while events are applied: nothing in it changes, except that the presence of several
    devices may gain minutes, which is harmless, since a minute that is marked stays marked.
    """

    devices: range
    first_sent_ns: NDArray[np.int64]
    """sent_at of the first beat; NO_FIRST_NS, which is beyond all windows, where there was none."""
    last_sent_ns: NDArray[np.int64]
    """sent_at of the last beat; NO_LAST_NS where there was none."""
    last_received_ns: NDArray[np.int64]
    """When anything was last received; 0 where nothing ever was."""
    up_since_ns: NDArray[np.int64]
    """When the last reception gap ended; 0 where there was none."""
    policy_codes: NDArray[np.uint32]
    """The history of policies of each device."""
    policies: Sequence[HeartbeatPolicy]
    """By code: the policy that was declared last."""
    policy_table: PolicyTable
    """By code: the policies in force at any time."""
    dense: Mapping[int, Sequence[RowsOfDay]]
    """Presence by day: rows of the first devices of `devices`, each of at most n."""
    sparse: Mapping[int, Sequence[SparseDay]]
    """Presence by day of the devices that have any on days that were not open; perhaps also of other devices.

    The fleet's own, which no question may change: copying a million rows would hold the event loop."""
    beat_gaps: Sequence[DeviceSpans]
    """Gaps between beats of all devices, in any order; those of a device do not overlap. They are not divided yet."""
    backfill: Sequence[DeviceSpans]
    """What late beats of the devices cover, perhaps also of others, in any order; they divide also gaps in blocks."""
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


def view_of(fleet: Fleet, devices: range, *, from_day: int) -> LiveView:
    """What a question may see of these devices, of their presence that of the day `from_day` and later."""
    part = slice(devices.start, devices.stop)
    dense, sparse = presence_from(
        from_day, devices, dense=(fleet.dense, fleet.closing.dense), sparse=(fleet.sparse, fleet.closing.sparse)
    )
    return LiveView(
        devices=devices,
        first_sent_ns=fleet.first_sent_ns[part].copy(),
        last_sent_ns=fleet.last_sent_ns[part].copy(),
        last_received_ns=fleet.last_received_ns[part].copy(),
        up_since_ns=fleet.up_since_ns[part].copy(),
        policy_codes=fleet.policy_codes[part].copy(),
        policies=list(fleet.policies.latest),
        policy_table=fleet.policies.table,
        dense=dense,
        sparse=sparse,
        beat_gaps=[*fleet.closing.beats.all_gaps(), *fleet.beats.all_gaps()],
        backfill=[*fleet.closing.beats.backfill, *fleet.beats.all_backfill(devices)],
        gaps=[*fleet.closing_gaps(), *fleet.gaps],
        corrections=[*fleet.closing.corrections, *fleet.corrections],
        samples=[*fleet.closing.samples, *fleet.samples.certain.pieces()],
        doubtful=fleet.doubtful(),
        blind_ns=list(fleet.blind_ns),
    )


def presence_from(
    first_day: int, devices: range, *, dense: Sequence[Mapping[int, HourColumns]], sparse: Sequence[SparsePresence]
) -> tuple[dict[int, list[RowsOfDay]], dict[int, list[SparseDay]]]:
    """The presence of devices on `first_day` and later, as `LiveView.dense` and `LiveView.sparse`."""
    if len(devices) == 1:
        # One device's rows are joined and copied at once, and not searched for among all sparse rows.
        rows = rows_of(devices.start, dense=dense, sparse=sparse)
        return {day: [row[None]] for day, row in rows.items() if day >= first_day}, {}
    days = [day for day in _days(dense, sparse) if day >= first_day] if devices else []
    return (
        {day: [hours[day].part(devices) for hours in dense if day in hours] for day in days},
        {day: [rows.of(day) for rows in sparse if rows.has(day)] for day in days},
    )


def rows_of(
    device: int, *, dense: Sequence[Mapping[int, HourColumns]], sparse: Sequence[SparsePresence]
) -> dict[int, Rows]:
    """The presence of one device by day, each shape (23,), a copy; days of which there is no row are left out."""
    found: dict[int, Rows] = {}
    parts = [{day: hours.row(device) for day, hours in one.items() if device < len(hours)} for one in dense]
    for part in [*parts, *(one.rows_of(device) for one in sparse)]:
        for day, row in part.items():
            found[day] = row if day not in found else found[day] | row
    return found


def _days(dense: Sequence[Mapping[int, HourColumns]], sparse: Sequence[SparsePresence]) -> set[int]:
    return {*chain(*dense), *chain.from_iterable(one.days for one in sparse)}
