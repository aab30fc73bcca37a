"""Forgetting what a device sent before a time, in what the live fleet holds in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fleetpulse.aggregate.presence import Rows, first_minute_of, minutes_from
from fleetpulse.live.figures import NO_MINUTE_FIRST, NO_MINUTE_LAST
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.live.view import rows_of
from fleetpulse.model.events import EventColumns
from fleetpulse.model.forgotten import NO_MINUTE, Forgotten, Order, read_orders
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import MINUTES_PER_DAY

if TYPE_CHECKING:
    from fleetpulse.live.fleet import Fleet


def forget_all(fleet: Fleet, batch: EventColumns) -> list[Forgotten]:
    """Forget what the orders of a batch say, after its events."""
    return [forget(fleet, order, at_ns=batch.received_at_ns) for order in read_orders(batch.forgotten)]


def forget(fleet: Fleet, order: Order, *, at_ns: int) -> Forgotten:
    """Forget what a device sent before a time: here at once; in the blocks the next checkpoint does it."""
    device, closing = order.device, fleet.closing
    first = forget_presence(
        device,
        before_minute=order.before_minute,
        dense=(fleet.dense, closing.dense),
        sparse=(fleet.sparse, closing.sparse),
    )
    if fleet.first_minute[device] < order.before_minute:
        fleet.first_minute[device] = min(first, order.blocks.first_minute)
        if fleet.first_minute[device] == NO_MINUTE_FIRST:
            fleet.last_minute[device] = NO_MINUTE_LAST
    closing.samples[:], removed = forget_samples(closing.samples, device, before_ns=order.before_ns)
    closing.doubtful[:], _ = forget_samples(closing.doubtful, device, before_ns=order.before_ns)
    live = fleet.samples.certain.forget(device, before_ns=order.before_ns)
    fleet.samples.doubtful.forget(device, before_ns=order.before_ns)
    # Doubtful upload times are not in the average yet.
    uploads = [value for piece in (removed, live) for value in piece.values[piece.metrics == UPLOAD_TIME].tolist()]
    count, total = order.blocks.uploads + len(uploads), order.blocks.upload_time_total + sum(uploads)
    # They leave the average. They were accepted, so they still count as samples in the accounts.
    fleet.uploads[device] -= count
    fleet.other_samples[device] += count
    left = (int(fleet.upload_high[device]) << 32) + int(fleet.upload_low[device]) - total
    fleet.upload_high[device], fleet.upload_low[device] = divmod(left, 2**32)
    return Forgotten(device, order.before_ns, at_ns, order.minutes, order.samples)


def forget_presence(
    device: int, *, before_minute: int, dense: Sequence[Mapping[int, Rows]], sparse: Sequence[SparsePresence]
) -> int:
    """Clear the minutes of a device before a minute since 1970. Returns its first minute that stays, or NO_MINUTE."""
    before_day, minute_of_day = divmod(before_minute, MINUTES_PER_DAY)
    kept = {True: minutes_from(minute_of_day), False: minutes_from(MINUTES_PER_DAY)}
    for rows_by_day in dense:
        for day, rows in rows_by_day.items():
            if day <= before_day and device < len(rows):
                rows[device] &= kept[day == before_day]
    for sparse_days in sparse:
        for day in sparse_days.days:
            if day <= before_day:
                sparse_days.of(day).keep(device, kept[day == before_day])
    firsts = [
        day * MINUTES_PER_DAY + first
        for day, row in rows_of(device, dense=dense, sparse=sparse).items()
        if (first := first_minute_of(row)) is not None
    ]
    return min(firsts, default=NO_MINUTE)


def forget_samples(
    pieces: Sequence[SampleColumns], device: int, *, before_ns: int
) -> tuple[list[SampleColumns], SampleColumns]:
    """(pieces without the samples of a device with sent_at before a time, these samples). No piece is changed."""
    kept: list[SampleColumns] = []
    removed: list[SampleColumns] = []
    for piece in pieces:
        is_forgotten = (piece.devices == device) & (piece.at_ns < before_ns)
        if is_forgotten.any():
            removed.append(piece.where(is_forgotten))
            kept.append(piece.where(~is_forgotten))
        else:
            kept.append(piece)
    return kept, join_samples(removed)
