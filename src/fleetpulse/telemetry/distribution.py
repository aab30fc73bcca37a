"""A distribution of values over buckets with fixed bounds, as Prometheus' histograms have it."""

import bisect
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

REQUEST_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Of answers to requests: the goals are 50 ms for reports and 200 ms for questions."""
COMMIT_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
BATCH_BOUNDS = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536)
"""Of events in a commit."""
WORK_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Of checkpoints and of compaction."""


class Distribution:
    """How many values fell into each bucket, and their sum. Used by one thread."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(
        self,
        bounds: Sequence[float],
        counts: Sequence[int] | None = None,
        sum: float = 0.0,  # noqa: A002  # as Prometheus calls it
    ) -> None:
        """`bounds`: upper bounds, inclusive and ascending. `counts`: one for each, and one for what is above all."""
        assert all(low < high for low, high in pairwise(bounds)), bounds
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1) if counts is None else list(counts)
        self.sum = sum

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add_many(self, values: NDArray[np.float64]) -> None:
        """Count values: float64, shape (values,)."""
        places = np.searchsorted(np.array(self.bounds), values, side="left")
        for place, count in enumerate(np.bincount(places, minlength=len(self.counts)).tolist()):
            self.counts[place] += count
        self.sum += float(values.sum())

    def copy(self) -> "Distribution":
        """The distribution as it is now."""
        return Distribution(self.bounds, self.counts, self.sum)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts)
