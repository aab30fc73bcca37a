"""How finely a metric is kept on each day of a window: as samples, or where these are gone as minutes or hours.

A bucket cannot be divided. So where an edge of the window lies inside one, the whole bucket counts, and where a step is
no multiple of it, the bucket counts in the step in which it begins. The same holds for samples of such a day that are
still in memory or in a fresh block, so that an answer does not change when they are folded into roll-ups.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.manifest import HOUR, MINUTE
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.window import Window

SAMPLE_NS = 1
"""The length of a bucket that is a single sample."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The length of the buckets of each UTC day from `first_day` on: int64, ns, shape (days,), dividing a day."""

    first_day: int
    buckets_ns: NDArray[np.int64]

    @property
    def is_fine(self) -> bool:
        """Whether all samples are kept."""
        return bool((self.buckets_ns == SAMPLE_NS).all())

    @property
    def longest_ns(self) -> int:
        """The length of the longest buckets of any day."""
        return int(self.buckets_ns.max())

    def bucket_ns(self, day: int) -> int:
        """The length of the buckets of a day; days outside of the window count as the nearest one."""
        return int(self.buckets_ns[min(max(day - self.first_day, 0), len(self.buckets_ns) - 1)])

    def of_times(self, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The lengths of the buckets that times, int64, shape (rows,), are in; the same shape and dtype."""
        return self.buckets_ns[np.clip(at_ns // NS_PER_DAY - self.first_day, 0, len(self.buckets_ns) - 1)]

    def begins(self, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the buckets begin that times, int64, shape (rows,), are in; the same shape and dtype."""
        return at_ns if self.is_fine else at_ns - at_ns % self.of_times(at_ns)

    def widened(self, window: Window) -> Window:
        """The window with the buckets at its edges whole."""
        first_ns = self.bucket_ns(window.start_ns // NS_PER_DAY)
        last_ns = self.bucket_ns((window.end_ns - 1) // NS_PER_DAY)
        start_ns, end_ns = window.start_ns // first_ns * first_ns, -(-window.end_ns // last_ns) * last_ns
        return replace(window, start_ns=start_ns, end_ns=end_ns)


class EdgeBuckets:
    """Which buckets stick out of a window, or of one of its steps, of all that a question reads."""

    def __init__(self, window: Window, resolution: Resolution) -> None:
        self._window = window
        self._resolution = resolution
        self._lengths_ns: set[int] = set()
        self._is_before = self._is_after = False

    def note(self, starts_ns: NDArray[np.int64], ends_ns: NDArray[np.int64]) -> bool:
        """Note rows, each with samples in a span of time that the question cannot divide, or with a single sample.

        Args:
            starts_ns, ends_ns: int64, shape (rows,).
        Returns: whether any is of a day whose samples are gone.
        """
        if self._resolution.is_fine:
            return False
        window, lengths_ns = self._window, self._resolution.of_times(starts_ns)
        is_before, is_after = starts_ns < window.start_ns, ends_ns > window.end_ns
        self._is_before |= bool(is_before.any())
        self._is_after |= bool(is_after.any())
        is_out = is_before | is_after
        if window.grain_ns is not None:
            is_out |= window.grain_ns % lengths_ns != 0
        self._lengths_ns.update(np.unique(lengths_ns[is_out]).tolist())
        return bool((lengths_ns != SAMPLE_NS).any())

    def tiers(self) -> list[str]:
        """The names of the tiers of these buckets."""
        return [
            tier for tier, length_ns in ((HOUR, NS_PER_HOUR), (MINUTE, NS_PER_MINUTE)) if length_ns in self._lengths_ns
        ]

    def span(self, widened: Window) -> Window | None:
        """The window with these buckets whole; None where none sticks out of it. Args: widened: with all of them."""
        if not self._is_before and not self._is_after:
            return None
        start_ns = widened.start_ns if self._is_before else self._window.start_ns
        return Window(start_ns, widened.end_ns if self._is_after else self._window.end_ns)
