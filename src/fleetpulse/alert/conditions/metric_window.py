"""Rules about a figure of a metric over a window, of each device: the figures are those of answers about metrics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.aggregations import RULES, Figure, or_none
from fleetpulse.aggregate.rollup import fold_samples
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.estimates import may_be_true
from fleetpulse.alert.conditions.facts import LONG_WINDOW_S, Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.alert.conditions.thresholds import is_beyond, since
from fleetpulse.alert.conditions.window_samples import NumberedMetric, WindowSamples, window_samples
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import Aggregation
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.window import Window


def metric_window(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of devices whose figure is beyond the threshold. Devices without samples in the window have none.

    Where a block cannot be read, alerts that are open stay as they are. A metric that is not defined has no subjects.
    """
    known = memory.of(rule.name)
    entry = facts.metrics.get(rule.metric)
    if entry is None:
        return Condition(rule=rule.name, at_ns=facts.window_end_ns, absent=known.subjects)
    absent = facts.without(known.subjects, rule.labels)
    figures = _figures(rule, facts, NumberedMetric(*entry), known)
    if figures is None:
        open_ones = np.setdiff1d(known.subjects, absent, assume_unique=True)
        return Condition(rule=rule.name, at_ns=facts.window_end_ns, withheld=open_ones, absent=absent)
    is_true = is_beyond(rule, figures, _was_true(known, len(figures)))
    is_true[facts.withheld] = False
    subjects = facts.chosen(facts.registered(np.flatnonzero(is_true)), rule.labels)
    return Condition(
        rule=rule.name,
        at_ns=facts.window_end_ns,
        subjects=subjects,
        since_ns=since(known, subjects, facts.window_end_ns),
        values=figures[subjects],
        withheld=facts.chosen(facts.withheld, rule.labels),
        absent=absent,
    )


def _was_true(known: OpenAlerts, count: int) -> NDArray[np.bool_]:
    before = np.zeros(count, bool)
    before[known.subjects[known.is_true & (known.subjects < count)]] = True
    return before


def _figures(rule: AlertRule, facts: Facts, metric: NumberedMetric, known: OpenAlerts) -> NDArray[np.float64] | None:
    """The figures of devices of which the condition may be true, nan of others; None: a block cannot be read."""
    samples = None if rule.window_s > LONG_WINDOW_S else window_samples(facts, metric, rule.window_s)
    if samples is None:
        return _stored_figures(rule, facts, metric)
    if not samples.is_whole:
        return None
    candidates = may_be_true(rule, samples, _was_true(known, samples.count))
    figures = np.full(samples.count, np.nan)
    devices = np.flatnonzero(candidates)
    if len(devices):
        cells = np.full(samples.count, -1)
        cells[devices] = np.arange(len(devices))
        wanted = samples.of(candidates[samples.devices])
        figures[devices] = _as_doubles(exact_figures(wanted, cells[wanted.devices], len(devices), rule.aggregation))
    return figures


def exact_figures(
    samples: WindowSamples, cells: NDArray[np.int64], count: int, aggregation: Aggregation
) -> Sequence[Figure | None]:
    """The figure of each cell, None where there is none. Args: cells: that of each sample, int64, shape (n,)."""
    rule = RULES[aggregation]
    if rule.of_samples is not None:
        counts = np.bincount(cells, minlength=count)
        return or_none(rule.of_samples(cells, samples.values, count), counts, empty=rule.empty)
    assert rule.of_cells is not None, "an aggregation is of samples or of cells"
    folded = fold_samples(cells, samples.values, samples.at_ns, count=count, parts=rule.parts)
    return or_none(rule.of_cells(folded), folded.counts, empty=rule.empty)


def _stored_figures(rule: AlertRule, facts: Facts, metric: NumberedMetric) -> NDArray[np.float64] | None:
    """The figures of all devices, nan where there is none, as an answer of this window gives them."""
    key = "stored", metric.number, rule.aggregation, rule.window_s
    if key not in facts.shared:
        assert facts.samples is not None, "facts for rules about metrics have samples"
        codes = np.arange(facts.view.count, dtype=np.int32)
        result = find(
            facts.samples,
            number=metric.number,
            metric=metric.definition,
            aggregation=rule.aggregation,
            selection=DeviceSelection(None, codes, max(1, len(codes))),
            window=Window(facts.window_end_ns - rule.window_s * NS_PER_S, facts.window_end_ns),
        )
        values = _as_doubles(result.values)[: facts.view.count]
        values[np.array(result.counts[: facts.view.count], np.int64) == 0] = np.nan
        facts.shared[key] = None if result.missing else values
    found: NDArray[np.float64] | None = facts.shared[key]
    return found


def _as_doubles(values: Sequence[Figure | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)
