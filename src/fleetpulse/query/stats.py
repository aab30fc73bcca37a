"""Figures of one device over its whole life."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from msgspec import UNSET

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.aggregate.uptime import lifetime_uptime_percent
from fleetpulse.blocks.sample_repeats import Comparison
from fleetpulse.blocks.stored_late import late_of_device
from fleetpulse.errors import DamagedData
from fleetpulse.live.figures import DeviceFigures, sum_uploads
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.metric import UPLOAD_TIME, MetricDefinition
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.query.answers import DeviceAccount, DeviceStats, Missing
from fleetpulse.query.live_samples import LiveRange
from fleetpulse.query.missing import note_missing, note_missing_day, note_missing_days
from fleetpulse.query.view import FleetView


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Figures of a device, and the spans of which they may lack something."""

    figures: DeviceFigures
    missing: list[Missing]


def lifetime_figures(seen: tuple[FleetView, DeviceFigures], *, upload_time: MetricDefinition) -> Lifetime:
    """The figures without blocks, less the minutes that a block holds as well, and with those of late blocks.

    Upload times that came late, and repeat no other, are added. Where a block cannot be read, it is not known what of
    the late data is new, so none of it is counted there.
    Args: upload_time: the definition of the metric.
    """
    view, figures = seen
    device, live = view.live.devices.start, view.live.dense
    missing: list[Missing] = []
    late = late_of_device(view.history, view.manifest, device, on_damage=partial(note_missing_days, missing))
    more = 0
    for day in sorted({*live, *late}):
        view.budget.check()
        present = [rows[:] for rows in live.get(day, ())]
        counted = sum(int(count_minutes(row).sum()) for row in present)
        rows = np.bitwise_or.reduce([*present, *([late[day][None]] if day in late else [])])
        try:
            closed = view.history.row(day, device, manifest=view.manifest)
        except DamagedData as error:
            note_missing_day(missing, day, error)
            more -= counted
            continue
        more += int(count_minutes(rows if closed is None else rows & ~closed).sum()) - counted
    uploads = _late_uploads(view, upload_time, missing)
    whole = replace(
        figures,
        minutes_present=figures.minutes_present + more,
        uploads=figures.uploads + len(uploads),
        upload_time_total=figures.upload_time_total + sum_uploads(uploads),
    )
    return Lifetime(whole, missing)


def _late_uploads(view: FleetView, upload_time: MetricDefinition, missing: list[Missing]) -> SampleColumns:
    """The doubtful upload times of a device that are new; none where they cannot be compared, which is noted."""
    wanted = LiveRange(UPLOAD_TIME, -(2**63), 2**63 - 1, device=view.live.devices.start)
    doubtful = [wanted.of(piece) for piece in view.live.doubtful]
    certain = [wanted.of(piece) for piece in view.live.samples] if any(map(len, doubtful)) else []
    today = view.now_ns // NS_PER_DAY
    comparison = Comparison(certain, view.history, view.manifest, {UPLOAD_TIME: upload_time}, today)
    try:
        return comparison.compare(doubtful).new
    except DamagedData as error:
        at_ns = join_samples(doubtful).at_ns
        note_missing(missing, int(at_ns.min()), int(at_ns.max()) + 1, error)
        return join_samples([])


def device_stats(figures: DeviceFigures, missing: Sequence[Missing] = ()) -> DeviceStats:
    """The published answer: the average is the floor of the exact sum over the count."""
    average_ns = figures.upload_time_total // figures.uploads if figures.uploads else 0
    uptime = lifetime_uptime_percent(
        minutes_present=figures.minutes_present, first_minute=figures.first_minute, last_minute=figures.last_minute
    )
    return DeviceStats(uptime, format_duration(average_ns), [*missing] if missing else UNSET)


def device_account(fleet: Fleet, device: int, *, pending: int) -> DeviceAccount:
    """Events of a device by what became of them; `pending` are durable and not applied to the fleet yet."""
    heartbeats = int(fleet.heartbeats[device])
    samples = int(fleet.uploads[device]) + int(fleet.other_samples[device])
    applied = heartbeats + samples
    return DeviceAccount(applied + pending, applied, pending, heartbeats, samples)
