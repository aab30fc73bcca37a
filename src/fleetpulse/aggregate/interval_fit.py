"""Which interval the distances between beats suggest, and whether the declared one fits.

A device that beats regularly beats every interval. So the interval is about the median of the distances; where they
vary, it is so long that nine in ten distances are no gap. Distances that are known by minutes only may be up to a
minute shorter or longer: a declared interval is called wrong only if it is so for all that they may be.
Source: docs/howto/devices.md, "Which interval shall I declare?".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.distances import MS_PER_MINUTE, Distances
from fleetpulse.model.heartbeat_policy import INTERVAL_HIGHEST_S
from fleetpulse.model.interval_fit import FITS, TOO_FEW, TOO_LONG, TOO_SHORT

DISTANCES_LOWEST = 5
"""Of fewer distances nothing follows."""
TYPICAL_SHARE, RARE_SHARE, HIGHEST_SHARE = 0.5, 0.9, 0.99
SHORT_FACTOR = 1.25
"""So much longer than declared may the suggested interval be."""
LONG_FACTOR = 2.0
"""So much shorter may it be: an interval that is twice too long only notices later that a device is down."""
_NICE_S = ((1, 1), (20, 5), (120, 10), (600, 60), (7_200, 300), (172_800, 3_600))
"""From so many seconds on, intervals are suggested in multiples of so many."""
_NEARLY = 0.98
"""An interval that is so little longer than a multiple is taken for it: nobody declares 60.2 s."""


@dataclass(frozen=True, slots=True)
class IntervalFit:
    """What the distances of each code tell, shape (count,).

    `median_ms`, `rare_ms` (nine in ten are no longer) and `highest_ms` (99 in 100): int64, -1 where there are none.
    `is_exact`: whether the median is. `suggested_s`: int64, 0 where there are too few. `verdicts`: codes of VERDICTS.
    """

    totals: NDArray[np.int64]
    median_ms: NDArray[np.int64]
    rare_ms: NDArray[np.int64]
    highest_ms: NDArray[np.int64]
    is_exact: NDArray[np.bool_]
    suggested_s: NDArray[np.int64]
    verdicts: NDArray[np.int8]


def fit_intervals(
    distances: Distances, *, interval_s: NDArray[np.int64], gap_after_ms: NDArray[np.int64]
) -> IntervalFit:
    """Fit an interval to the distances of each code.

    Args:
        interval_s: the declared interval, int64, shape (count,).
        gap_after_ms: from which distance on there is a gap, by the declared interval.
    """
    count = len(interval_s)
    median_ms, is_exact = distances.quantile(TYPICAL_SHARE, count)
    rare_ms, is_rare_exact = distances.quantile(RARE_SHARE, count)
    highest_ms, _ = distances.quantile(HIGHEST_SHARE, count)
    totals = distances.totals(count)
    factor = gap_after_ms / (1_000 * interval_s)
    doubt_ms, rare_doubt_ms = ~is_exact * MS_PER_MINUTE, ~is_rare_exact * MS_PER_MINUTE
    # The mean of whole minutes is finer than their median, without those in which a beat was missed.
    mean_ms = distances.mean_up_to(median_ms + median_ms // 2 + doubt_ms)
    typical_ms = np.where(is_exact | np.isnan(mean_ms), median_ms, mean_ms)
    lowest_s = np.maximum(median_ms - doubt_ms, (rare_ms - rare_doubt_ms) / factor) / 1_000
    greatest_s = np.maximum(median_ms + doubt_ms, (rare_ms + rare_doubt_ms) / factor) / 1_000
    wanted_s = np.maximum(typical_ms, (rare_ms - rare_doubt_ms) / factor) / 1_000
    verdicts = np.full(count, FITS, np.int8)
    verdicts[lowest_s > SHORT_FACTOR * interval_s] = TOO_SHORT
    verdicts[LONG_FACTOR * greatest_s < interval_s] = TOO_LONG
    verdicts[totals < DISTANCES_LOWEST] = TOO_FEW
    suggested_s = np.where(verdicts == FITS, interval_s, nice_interval_s(np.maximum(1.0, wanted_s)))
    suggested_s[verdicts == TOO_FEW] = 0
    return IntervalFit(totals, median_ms, rare_ms, highest_ms, is_exact, suggested_s, verdicts)


def nice_interval_s(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The interval that people would declare for beats so many seconds apart: int64, the same shape."""
    step_s = np.ones(len(seconds))
    for from_s, multiple_s in _NICE_S:
        step_s = np.where(seconds >= from_s, multiple_s, step_s)
    nearest_s = np.rint(seconds / step_s) * step_s
    nice_s = np.where(_NEARLY * seconds <= nearest_s, nearest_s, np.ceil(seconds / step_s) * step_s)
    return np.clip(nice_s, 1, INTERVAL_HIGHEST_S).astype(np.int64)
