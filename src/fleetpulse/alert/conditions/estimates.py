"""For which devices a figure over a window may be beyond a threshold, found much faster than the exact figures.

An exact sum of doubles takes some 100 ns a sample, a rounded one 5 ns. So figures are estimated with a margin that is
wider than any rounding, and made exactly only where the margin reaches a threshold. Ranks are not sorted for: whether
a quantile is above a threshold is told by how many samples are.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.conditions.thresholds import is_beyond
from fleetpulse.alert.conditions.window_samples import WindowSamples
from fleetpulse.model.alert_rule import AlertRule

_MARGIN = 1e-9
"""Of the sum of absolute values: sums of a million doubles are off by less."""
_QUANTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


def may_be_true(rule: AlertRule, samples: WindowSamples, was_true: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Devices of which the condition may be true; of all others it is false. bool, shape (devices,), as `was_true`."""
    has_any: NDArray[np.bool_] = samples.counts > 0
    if rule.aggregation in _QUANTILES:
        return has_any & _may_rank(rule, samples, was_true, _QUANTILES[rule.aggregation])
    lowest, highest = _bounds(rule, samples)
    found: NDArray[np.bool_] = is_beyond(rule, lowest, was_true) | is_beyond(rule, highest, was_true)
    return found & has_any


def _bounds(rule: AlertRule, samples: WindowSamples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which values the figure of each device surely is: float64, shape (devices,)."""
    counts = samples.counts.astype(np.float64)
    if rule.aggregation == "count":
        return counts, counts
    values = samples.values.astype(np.float64, copy=False)
    if rule.aggregation in ("avg", "sum"):
        sums, margin = samples.sums(values), samples.sums(np.abs(values)) * _MARGIN
        by = np.maximum(counts, 1) if rule.aggregation == "avg" else 1.0
        with np.errstate(invalid="ignore"):  # sums of huge values may be infinite: then everything is possible
            low, high = (sums - margin) / by, (sums + margin) / by
        return np.where(np.isfinite(low), low, -np.inf), np.where(np.isfinite(high), high, np.inf)
    lowest, highest = np.full(samples.count, np.inf), np.full(samples.count, -np.inf)
    np.minimum.at(lowest, samples.devices, values)
    np.maximum.at(highest, samples.devices, values)
    # The latest value is between both, a deviation between 0 and half of their distance.
    if rule.aggregation == "stddev":
        with np.errstate(invalid="ignore"):
            return np.zeros(samples.count), np.where(counts > 0, (highest - lowest) * (0.5 + _MARGIN), 0.0)
    return (
        (lowest, lowest)
        if rule.aggregation == "min"
        else ((highest, highest) if rule.aggregation == "max" else (lowest, highest))
    )


def _may_rank(rule: AlertRule, samples: WindowSamples, was_true: NDArray[np.bool_], percent: int) -> NDArray[np.bool_]:
    """By how many samples are no larger than a threshold: a quantile is the value of a rank, counted from 1."""
    ranks = np.maximum(1, -(-percent * samples.counts // 100))
    found = np.zeros(samples.count, bool)
    for threshold, is_wanted in ((rule.threshold, None), (rule.clear_threshold, was_true)):
        if threshold is None:
            continue
        below = np.bincount(samples.devices[samples.values < threshold], minlength=samples.count)
        most = np.bincount(samples.devices[samples.values <= threshold], minlength=samples.count)
        # At or above the threshold, at or below it: which of the two is strict, the exact figure decides.
        is_near: NDArray[np.bool_] = below < ranks if rule.comparison in (">", ">=") else most >= ranks
        found |= is_near if is_wanted is None else is_near & is_wanted
    return found
