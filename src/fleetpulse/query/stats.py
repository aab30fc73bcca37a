"""Figures of one device over its whole life."""

from fleetpulse.aggregate.uptime import lifetime_uptime_percent
from fleetpulse.live.fleet import DeviceFigures, Fleet
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.query.answers import DeviceAudit, DeviceStats


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
