"""What a device's figures must be by its plan, compared with what the server answers."""

import re
from dataclasses import dataclass

from fleetpulse.model.units import NS_PER_S
from fleetpulse.simulation.plan import DevicePlan

UPTIME_TOLERANCE = 1e-9
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)(?:\.(\d{1,9}))?s)?")
_SMALL = re.compile(r"(\d+)(?:\.(\d{1,6}))?(ns|µs|ms)")


@dataclass(slots=True)
class Verdict:
    """One device: the figures of its plan, and those of the server."""

    device_id: str
    uptime_expected: float
    uptime_actual: float
    average_expected_ns: int
    average_actual: str
    is_uptime_right: bool
    is_average_right: bool

    @property
    def is_right(self) -> bool:
        """Whether both figures are."""
        return self.is_uptime_right and self.is_average_right


def judge(plan: DevicePlan, stats: dict[str, object]) -> Verdict:
    """Compare an answer with the plan, exactly: a report that was sent again after a lost answer counts once."""
    expected, actual = plan.uptime_percent(), float(str(stats.get("uptime")))
    uploads = plan.uploads()
    average = str(stats.get("avg_upload_time"))
    average_ns = sum(uploads) // max(1, len(uploads))
    return Verdict(
        device_id=plan.device_id,
        uptime_expected=float(expected),
        uptime_actual=actual,
        average_expected_ns=average_ns,
        average_actual=average,
        is_uptime_right=abs(actual - float(expected)) <= UPTIME_TOLERANCE,
        is_average_right=parse_duration(average) == average_ns,
    )


def parse_duration(text: str) -> int | None:
    """Nanoseconds of a duration as Go writes it; None where it is none."""
    small = _SMALL.fullmatch(text)
    if small:
        digits = {"ns": 0, "µs": 3, "ms": 6}[small[3]]
        return int(small[1] + (small[2] or "").ljust(digits, "0")[:digits])
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    hours, minutes, seconds, fraction = match.groups()
    whole_s = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole_s * NS_PER_S + int((fraction or "").ljust(9, "0"))
