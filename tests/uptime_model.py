"""A plain model of uptime by time: it keeps every beat in a list, and looks at every second of a device's life.

It follows docs/explanation/uptime.md word by word, and shares no code with the service. A second is one truth, since
all that happens, happens at a whole second.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from status_model import Seconds, Truths


class UptimeSeconds:
    """Uptime and availability of one device, second by second from the model's origin until now."""

    def __init__(self, seconds: Seconds) -> None:
        device, self._seconds = seconds.device, seconds
        self.origin, self.count = seconds.origin, seconds.now - seconds.origin
        self.is_blind, self.is_maintained, self.is_paused = (
            truths[: self.count] for truths in (seconds.is_blind, seconds.is_maintained, seconds.is_paused)
        )
        self._is_declared = self.is_maintained | self.is_paused
        self._interval, self._grace = self._policies()
        received = [at for at, *_ in device.heard]
        late = self._interval * seconds.factor_thousandths // 1_000
        down_after = self._interval + self._grace
        self.settled = self._measure(sorted(device.beats), self._interval, late)
        self.observed = self._measure(received, self._interval, late)
        self.availability = self._measure(received, down_after, down_after)
        self._first_sent, self._first_received = min(device.beats, default=None), min(received, default=None)

    def _policies(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Interval and grace that were in force in each second."""
        (_, *first), *changes = self._seconds.device.policies
        interval, grace = np.full(self.count, first[0]), np.full(self.count, first[1])
        for at, new_interval, new_grace in changes:
            place = at - self.origin
            if place < self.count:
                # What has not taken effect by now never does.
                interval[place:], grace[place:] = interval[place], grace[place]
                effect = place + (new_interval if new_interval < interval[place] else 0)
                interval[effect:], grace[effect:] = new_interval, new_grace
        return interval, grace

    def _measure(
        self, beats: Sequence[int], first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> tuple[Truths, Truths]:
        """(down, in a gap) of each second."""
        is_down, is_gap = np.zeros(self.count, bool), np.zeros(self.count, bool)
        counts = ~(self.is_blind | self._is_declared)
        now = self.origin + self.count
        # A beat of the future shows no more than that nothing was sent until now.
        past = [at for at in beats if at < now]
        for start, end in pairwise([*past, now]) if past else ():
            inside = slice(start - self.origin, end - self.origin)
            before = np.cumsum(counts[inside]) - counts[inside]
            if (before + counts[inside] > second[inside]).any():
                is_down[inside] = counts[inside] & (before >= first[inside])
            is_gap[inside] = (np.arange(1, end - start + 1) > second[inside]).any()
        return is_down, is_gap

    def time(self, start: int, end: int) -> dict[str, tuple[int, int]]:
        """(down, accountable) seconds in [start, end), by measure."""
        inside = slice(start - self.origin, end - self.origin)
        found = {}
        for name, first in (
            ("settled", self._first_sent),
            ("observed", self._first_received),
            ("availability", self._first_received),
        ):
            down, gap = getattr(self, name)
            counts = ~self._is_declared & ~(self.is_blind & gap)
            counts[: self.count if first is None else first - self.origin] = False
            found[name] = int(down[inside].sum()), int(counts[inside].sum())
        return found

    def intervals(self, start: int, end: int) -> list[tuple[int, int, str]]:
        """(from, to, reason) over all of [start, end)."""
        reasons = np.full(self.count, "up", "<U17")
        late, late_gap = self.observed
        reasons[late | (self.is_blind & late_gap)] = "backfilled"
        reasons[: self.count if self._first_received is None else self._first_received - self.origin] = "backfilled"
        down, gap = self.settled
        reasons[down] = "down"
        reasons[self.is_blind & gap] = "blind"
        reasons[self.is_maintained] = "maintenance"
        reasons[self.is_paused] = "paused"
        reasons[: self.count if self._first_sent is None else self._first_sent - self.origin] = "before_first_seen"
        shown = reasons[start - self.origin : end - self.origin].tolist()
        edges = [0, *(place for place in range(1, len(shown)) if shown[place] != shown[place - 1]), len(shown)]
        return [(start + first, start + last, shown[first]) for first, last in pairwise(edges)]
