"""The heartbeat policy: how often a device should send a heartbeat, and how long after that it is down."""

from dataclasses import dataclass

from fleetpulse.model.units import NS_PER_S, S_PER_DAY

INTERVAL_HIGHEST_S = S_PER_DAY
GRACE_HIGHEST_S = 7 * S_PER_DAY


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """`interval_s`: seconds between two heartbeats, at least 1. `grace_s`: seconds beyond that until it is down."""

    interval_s: int
    grace_s: int

    @property
    def late_after_ns(self) -> int:
        """Nanoseconds after the last reception from which on a device is late; see the function."""
        return late_after_ns(self.interval_s, self.grace_s)

    @property
    def down_after_ns(self) -> int:
        """Nanoseconds after the last reception from which on a device is down."""
        return (self.interval_s + self.grace_s) * NS_PER_S


def late_after_ns(interval_s: int, grace_s: int) -> int:
    """Nanoseconds after the last reception from which on a device is late.

    Exactly an interval and a half, since a heartbeat may come a little late; but never after the moment when it is
    down.
    """
    return interval_s * NS_PER_S + min(interval_s * NS_PER_S // 2, grace_s * NS_PER_S)
