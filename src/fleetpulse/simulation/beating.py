"""When the devices of a simulated or generated fleet beat: one set of names for both."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fleetpulse.model.heartbeat_policy import INTERVAL_HIGHEST_S
from fleetpulse.model.units import NS_PER_S

INTERVAL_DEFAULT_S = 60
PERIOD_HIGHEST_S = 2 * INTERVAL_HIGHEST_S
DRIFT_HIGHEST_PPM = 500_000
GAP_EVERY_LOWEST = 2
"""Of fewer beats none would be left."""
Phase = Literal["spread", "edge"]


@dataclass(frozen=True, slots=True)
class Beating:
    """When the devices beat. Without outages, and less or more by the jitter, a beat comes in every period.

    Attributes:
        interval_s: Interval of the devices, in whole seconds.
        period_s: Seconds that really pass between two beats, such as 60.2 (default: the interval).
        drift_ppm: How much slower the clocks of the devices run: so many millionths are added to the period.
        phase: Each device beats at a moment of its own, or all at the edge of a slot: at whole multiples of the
            interval since 1970, which for 60 s means around the full minute.
        gap_every: Flapping: the last of so many beats is always left out; 0 leaves out none.
        silent_s: How many seconds before the end of the run the devices fall silent.
    """

    interval_s: int = INTERVAL_DEFAULT_S
    period_s: float | None = None
    drift_ppm: float = 0.0
    phase: Phase = "spread"
    gap_every: int = 0
    silent_s: float = 0.0

    @property
    def step_s(self) -> float:
        """Seconds between two beats, by the clock of the service."""
        period_s = self.interval_s if self.period_s is None else self.period_s
        return period_s * (1 + self.drift_ppm / 1e6)

    def first_edge_ns(self, start_ns: int) -> int:
        """The first edge of a slot at `start_ns` or later."""
        interval_ns = self.interval_s * NS_PER_S
        return -(-start_ns // interval_ns) * interval_ns

    def check(self) -> None:
        """Raises: ValueError: says which flag is wrong, and what is expected."""
        if not 1 <= self.interval_s <= INTERVAL_HIGHEST_S:
            raise ValueError(f"--interval-s must be 1 to {INTERVAL_HIGHEST_S}, not {self.interval_s}")
        if not -DRIFT_HIGHEST_PPM <= self.drift_ppm <= DRIFT_HIGHEST_PPM:
            text = f"--drift-ppm must be {-DRIFT_HIGHEST_PPM} to {DRIFT_HIGHEST_PPM}, not {self.drift_ppm:g}"
            raise ValueError(text)
        if self.period_s is not None and not 1 <= self.period_s <= PERIOD_HIGHEST_S:
            raise ValueError(f"--period-s must be 1 to {PERIOD_HIGHEST_S}, not {self.period_s:g}")
        if self.gap_every and self.gap_every < GAP_EVERY_LOWEST:
            raise ValueError(f"--gap-every must be 0, or at least {GAP_EVERY_LOWEST}, not {self.gap_every}")
        if not 0 <= self.silent_s < math.inf:
            raise ValueError(f"--silent-s must be at least 0, not {self.silent_s:g}")


def check_behaviour(values: Mapping[str, float]) -> None:
    """Shares must be 0 to 1, all other values at least 0. Raises: ValueError: says which flag is wrong."""
    for name, value in values.items():
        if not 0 <= value <= (1 if name.endswith("_share") else math.inf):
            raise ValueError(f"--{name.replace('_', '-')} {value:g}")
