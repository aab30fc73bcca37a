"""Totals of this service as rounds before have seen them, for how much they grew over a window."""

from collections import deque
from collections.abc import Mapping

from fleetpulse.model.units import NS_PER_S

SEEN_EVERY_S = 1
"""Totals are kept at most so often."""


class SeenTotals:
    """Totals as they were in rounds before: at most one every SEEN_EVERY_S."""

    def __init__(self) -> None:
        self._window_s = 0
        self._seen: deque[tuple[int, Mapping[str, float]]] = deque()

    def add(self, at_ns: int, totals: Mapping[str, float], *, window_s: int) -> None:
        """Totals of a round, for windows of that length; they are kept for the longest window."""
        self._window_s = max(self._window_s, window_s)
        if self._seen and (at_ns < self._seen[-1][0] or any(totals[one] < self._seen[-1][1][one] for one in totals)):
            self._seen.clear()  # the clock was corrected, or the service counts from 0 again
        if not self._seen or at_ns - self._seen[-1][0] >= SEEN_EVERY_S * NS_PER_S:
            self._seen.append((at_ns, totals))
        while len(self._seen) > 1 and self._seen[1][0] <= at_ns - self._window_s * NS_PER_S:
            self._seen.popleft()

    def before(self, at_ns: int) -> Mapping[str, float] | None:
        """The latest totals that are no later than a time, else the earliest; None where there are none."""
        found = None
        for seen_ns, totals in self._seen:
            if seen_ns > at_ns and found is not None:
                break
            found = totals
        return found
