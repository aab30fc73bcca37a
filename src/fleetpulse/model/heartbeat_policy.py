"""The heartbeat policy: how often a device should send a heartbeat, and how long after that it is down."""

from dataclasses import dataclass

from fleetpulse.model.units import NS_PER_S, S_PER_DAY

INTERVAL_HIGHEST_S = 31 * S_PER_DAY
GRACE_HIGHEST_S = 7 * S_PER_DAY
FACTOR_THOUSANDTHS = 1_500
"""Unless configured otherwise: a heartbeat may come half an interval late."""


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """`interval_s`: seconds between two heartbeats, at least 1. `grace_s`: seconds beyond that until it is down.

    `factor_thousandths`: times the interval, in thousandths, how long two heartbeats may be apart without a gap.
    """

    interval_s: int
    grace_s: int
    factor_thousandths: int = FACTOR_THOUSANDTHS

    @property
    def late_after_ns(self) -> int:
        """Nanoseconds after the last reception from which on a device is late, but never after it is down.

        So a stretch between two beats that is no longer is never a gap, by any measure.
        """
        return min(self.gap_after_ns, self.down_after_ns)

    @property
    def gap_after_ns(self) -> int:
        """Nanoseconds between two beats beyond which the stretch between them is a gap."""
        return self.interval_s * self.factor_thousandths * (NS_PER_S // 1_000)

    @property
    def down_after_ns(self) -> int:
        """Nanoseconds after the last reception from which on a device is down."""
        return (self.interval_s + self.grace_s) * NS_PER_S
