"""The terms of a device: how often it is expected to be heard, and how long it is forgiven."""

from dataclasses import dataclass

from fleetpulse.model.units import NS_PER_S, S_PER_DAY

INTERVAL_HIGHEST_S = S_PER_DAY
GRACE_HIGHEST_S = 7 * S_PER_DAY


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """`interval_s` between two beats, at least 1; `grace_s` beyond it until the device is down."""

    interval_s: int
    grace_s: int

    @property
    def late_after_ns(self) -> int:
        """Silence after which a device is late: a beat is missing, not just a little behind (half an interval)."""
        return late_after_s(self.interval_s, self.grace_s) * NS_PER_S

    @property
    def down_after_ns(self) -> int:
        """Silence after which a device is down."""
        return (self.interval_s + self.grace_s) * NS_PER_S


def late_after_s(interval_s: int, grace_s: int) -> int:
    """Seconds of silence after which a device is late; never more than until it is down."""
    return interval_s + min((interval_s + 1) // 2, grace_s)
