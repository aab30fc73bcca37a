"""Forgetting what a device sent before a time, in what the live fleet holds in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fleetpulse.aggregate.presence import first_minute_of, minutes_from
from fleetpulse.live.forget_beats import forget_backfill, forget_beats
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.live.view import rows_of
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS
from fleetpulse.model.events import EventColumns
from fleetpulse.model.forgotten import NO_MINUTE, Forgotten, Order, read_orders
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_MINUTE

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
    beat_ns = forget_beats(
        [closing.beats, fleet.beats], device, before_ns=order.before_ns, is_kept=fleet.device_policies.is_kept
    )
    if fleet.first_sent_ns[device] < order.before_ns:
        forget_first(fleet, device, first_minute=min(first, order.blocks.first_minute), beat_ns=beat_ns)
    first_ns = int(fleet.first_sent_ns[device])
    first_kept_ns = order.before_ns if first_ns == NO_FIRST_NS else max(order.before_ns, first_ns)
    forget_backfill([closing.beats, fleet.beats], device, first_ns=first_kept_ns)
    fleet.first_kept_ns[device] = max(fleet.first_kept_ns.get(device, first_kept_ns), first_kept_ns)
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


def forget_first(fleet: Fleet, device: int, *, first_minute: int, beat_ns: int | None) -> None:
    """Set the first beat of a device, of which only the minute is known, except where `beat_ns` is in this minute."""
    if first_minute == NO_MINUTE:
        fleet.first_sent_ns[device], fleet.last_sent_ns[device] = NO_FIRST_NS, NO_LAST_NS
        fleet.gap_until_ns[device] = 0
    elif beat_ns is not None and beat_ns // NS_PER_MINUTE == first_minute:
        fleet.first_sent_ns[device] = beat_ns
    else:
        fleet.first_sent_ns[device] = first_minute * NS_PER_MINUTE


def forget_presence(
    device: int, *, before_minute: int, dense: Sequence[Mapping[int, HourColumns]], sparse: Sequence[SparsePresence]
) -> int:
    """Clear the minutes of a device before a minute since 1970. Returns its first minute that stays, or NO_MINUTE."""
    before_day, minute_of_day = divmod(before_minute, MINUTES_PER_DAY)
    kept = {True: minutes_from(minute_of_day), False: minutes_from(MINUTES_PER_DAY)}
    for hours_by_day in dense:
        for day, hours in hours_by_day.items():
            if day <= before_day and device < len(hours):
                hours.keep(device, kept[day == before_day])
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
