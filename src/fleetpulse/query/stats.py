"""Figures of one device over its whole life."""

from dataclasses import replace

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.aggregate.uptime import lifetime_uptime_percent
from fleetpulse.live.figures import DeviceFigures
from fleetpulse.live.fleet import Fleet
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.query.answers import DeviceAudit, DeviceStats
from fleetpulse.query.view import FleetView


def lifetime_figures(seen: tuple[FleetView, DeviceFigures]) -> DeviceFigures:
    """The figures without blocks, less the minutes of late data that a block holds as well. Raises: DamagedData."""
    view, figures = seen
    repeated = 0
    for day, rows in view.live.dense.items():
        closed = view.history.row(day, view.live.devices.start, manifest=view.manifest)
        if closed is not None:
            repeated += sum(int(count_minutes(row & closed).sum()) for row in rows)
    return replace(figures, minutes_present=figures.minutes_present - repeated)


def device_stats(figures: DeviceFigures) -> DeviceStats:
    """The published answer: the average is the floor of the exact sum over the count."""
    average_ns = figures.upload_time_total // figures.uploads if figures.uploads else 0
    uptime = lifetime_uptime_percent(
        minutes_present=figures.minutes_present, first_minute=figures.first_minute, last_minute=figures.last_minute
    )
    return DeviceStats(uptime=uptime, avg_upload_time=format_duration(average_ns))


def device_audit(fleet: Fleet, device: int, *, pending: int) -> DeviceAudit:
    """Events of a device by what became of them; `pending` are durable and not applied to the fleet yet."""
    heartbeats = int(fleet.heartbeats[device])
    samples = int(fleet.uploads[device]) + int(fleet.other_samples[device])
    applied = heartbeats + samples
    return DeviceAudit(applied + pending, applied, pending, heartbeats, samples)
