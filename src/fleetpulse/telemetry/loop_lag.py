"""How late the event loop runs what is due: a histogram, and the longest delay of the last minute and since the start.

A timer of the loop fires every `SAMPLE_S`, and how late it fires is recorded. Whatever holds the loop, a callback of
ours or another thread with the interpreter's lock, delays every heartbeat that arrives meanwhile just as long. A delay
is measured from when the timer was due, so one that begins just after the timer fired reads up to `SAMPLE_S` shorter.
"""

import asyncio
import bisect
from collections.abc import Callable

SAMPLE_S = 0.01
"""A hundred timers a second take about a thousandth of a core."""
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the buckets, inclusive, in seconds; a last bucket has no bound."""
SPAN_S = 10.0
SPANS = 6
"""The longest delay of the last minute is kept for each of six spans, so it covers 50 to 60 seconds."""


class LoopLag:
    """The delays since the process started. Used on the loop only."""

    def __init__(self, *, now_s: Callable[[], float] | None = None) -> None:
        """`now_s`: a clock that nobody sets, in seconds; None for that of the loop."""
        self.counts = [0] * (len(BUCKETS_S) + 1)
        """How many delays fell into each bucket."""
        self.sum_s = 0.0
        self.longest_s = 0.0
        self._now_s = now_s
        self._recent_s: dict[int, float] = {}
        """The longest delay by span, which is numbered by the clock."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        loop = asyncio.get_running_loop()
        self._now_s = self._now_s or loop.time
        self._wait(loop, self._now_s)

    def stop(self) -> None:
        """End measuring; the figures stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, loop: asyncio.AbstractEventLoop, now_s: Callable[[], float]) -> None:
        due_s = now_s() + SAMPLE_S

        def fire() -> None:
            fired_s = now_s()
            self.record(fired_s - due_s, at_s=fired_s)
            self._wait(loop, now_s)

        self._timer = loop.call_later(SAMPLE_S, fire)

    def record(self, delay_s: float, *, at_s: float) -> None:
        """Count one delay that ended at `at_s`; a timer that fired early, by rounding, counts as none."""
        delay_s = max(0.0, delay_s)
        self.counts[bisect.bisect_left(BUCKETS_S, delay_s)] += 1
        self.sum_s += delay_s
        self.longest_s = max(self.longest_s, delay_s)
        span = int(at_s / SPAN_S)
        if span not in self._recent_s:
            self._forget(span)
            self._recent_s[span] = 0.0
        self._recent_s[span] = max(self._recent_s[span], delay_s)

    def longest_recent_s(self) -> float:
        """The longest delay of the last minute."""
        if self._now_s is not None:
            self._forget(int(self._now_s() / SPAN_S))
        return max(self._recent_s.values(), default=0.0)

    def _forget(self, span: int) -> None:
        self._recent_s = {kept: delay_s for kept, delay_s in self._recent_s.items() if kept > span - SPANS}
