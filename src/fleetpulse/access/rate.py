"""A rate limit as GCRA keeps it: one number for each sender, the time at which its debts are paid.

    interval     1 / per_s: what one request costs, in seconds
    tolerance    (burst - 1) * interval: how far ahead of the present this time may be when a request is taken
    next_s       the time: a request is taken where next_s <= now + tolerance, which moves it on to
                 max(next_s, now) + interval

So a rested sender may send `burst` requests at once, and then one each `interval`. The number says exactly when the
next one is taken. It means nothing once it is past, so what is forgotten of a rested sender is not missed.
"""

import math
from functools import lru_cache
from typing import NamedTuple

SLACK_S = 1e-6
"""Added to the tolerance: the last request of a burst must not fail by the rounding of the sums before it."""


class Rate(NamedTuple):
    """So many requests a second for long, 0: any number; and so many at once."""

    per_s: float
    burst: int

    @property
    def interval_s(self) -> float:
        """What one request costs."""
        return 1 / self.per_s if self.per_s else 0.0

    @property
    def tolerance_s(self) -> float:
        """How far ahead a sender's time may be when a request is taken."""
        return (self.burst - 1) / self.per_s + SLACK_S if self.per_s else math.inf

    def wait_s(self, next_s: float, now_s: float) -> int:
        """Whole seconds until a request of a sender is taken; 0: now."""
        return max(0, math.ceil(next_s - now_s - self.tolerance_s)) if self.per_s else 0

    @property
    def text(self) -> str:
        """For people to read."""
        return _text(self.per_s, self.burst)

    @property
    def window_s(self) -> int:
        """In which time a whole burst is earned again."""
        return max(1, math.ceil(self.burst / self.per_s)) if self.per_s else 1


@lru_cache(256)  # refusals say it, and there may be floods of them
def _text(per_s: float, burst: int) -> str:
    return f"{per_s:g} a second after {burst} at once" if per_s else "any number"
