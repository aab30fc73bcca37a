"""What an answer about metrics lacks because of retention, in words and numbers."""

from dataclasses import dataclass

from fleetpulse.model.manifest import Expired
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.count import count_text
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.metrics import MetricResult
from fleetpulse.query.window import Window


@dataclass(frozen=True, slots=True)
class ExpiredSamples:
    """The samples of a metric, of all devices, that retention has deleted of the UTC days that a window touches.

    The last of these days ends at `until_ns`. `count` is 0 where they could not be counted.
    """

    count: int
    until_ns: int

    @property
    def note(self) -> str:
        """A sentence about it."""
        count = count_text(self.count, "sample") if self.count else "samples"
        return (
            f"retention has deleted {count} of the metric, of all devices, in the days of the window before "
            f"{format_rfc3339(self.until_ns)}: figures are of what is left"
        )


def expired_samples(expired: Expired, metric: int, window: Window) -> ExpiredSamples | None:
    """What retention has deleted of the days that a window touches; None where it is nothing."""
    days = window.whole_days()
    start_day, end_day = days.start_ns // NS_PER_DAY, days.end_ns // NS_PER_DAY
    counts = {day: count for day, count in expired.get(metric, {}).items() if start_day <= day < end_day}
    return ExpiredSamples(sum(counts.values()), (max(counts) + 1) * NS_PER_DAY) if counts else None


def buckets_note(result: MetricResult, window: Window) -> str:
    """What stands in for samples that are gone. Args: result: one that has `coarse` buckets."""
    tiers = ", ".join(result.coarse)
    if result.span is None:
        return f"samples are gone (raw_days): whole buckets of {tiers} count in the step in which they begin"
    note = (
        f"samples at the edges of the window are gone (raw_days): whole buckets of {tiers} stand in, "
        f"so figures are of {result.span.start} to {result.span.end}"
    )
    return note if window.step_ns is None else f"{note}; a bucket counts in the step in which it begins"
