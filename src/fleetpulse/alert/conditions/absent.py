"""Rules about devices that have stopped to send a metric."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.alert.conditions.window_samples import NumberedMetric, latest_sent, window_samples
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S

LOOK_BACK_DAYS = 32
"""A device that has not sent the metric for so long, and has no open alert, does not count as one that ever did."""


def absent(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of devices that sent the metric once, and not in the window; the figure is the time since then in seconds.

    Of devices that are down nothing is said: they send nothing at all, which another rule tells.
    """
    known = memory.of(rule.name)
    entry = facts.metrics.get(rule.metric)
    if entry is None:
        return Condition(rule=rule.name, at_ns=facts.window_end_ns, absent=known.subjects)
    window_ns, end_ns = rule.window_s * NS_PER_S, facts.window_end_ns
    latest_ns = _latest(rule, facts, NumberedMetric(*entry), memory, known)
    withheld = np.union1d(facts.withheld, facts.down)
    is_true = (latest_ns > 0) & (latest_ns < end_ns - window_ns)
    is_true[withheld] = False
    subjects = facts.chosen(facts.registered(np.flatnonzero(is_true)), rule.labels)
    return Condition(
        rule=rule.name,
        at_ns=end_ns,
        subjects=subjects,
        since_ns=latest_ns[subjects] + window_ns,
        values=(end_ns - latest_ns[subjects]) / NS_PER_S,
        withheld=facts.chosen(withheld, rule.labels),
        absent=facts.without(known.subjects, rule.labels),
    )


def _latest(
    rule: AlertRule, facts: Facts, metric: NumberedMetric, memory: Memory, known: OpenAlerts
) -> NDArray[np.int64]:
    """When each device sent the latest sample, int64 ns, shape (devices,); 0: it never did, as far as is known."""
    latest_ns = memory.latest_ns.get(metric.number)
    samples = window_samples(facts, metric, rule.window_s)
    if latest_ns is None or samples is None:
        days = max(LOOK_BACK_DAYS, rule.window_s * NS_PER_S // NS_PER_DAY + 2)
        found = latest_sent(facts, metric, facts.window_end_ns - days * NS_PER_DAY)
    else:
        found = np.zeros(facts.view.count, np.int64)
    if samples is not None:
        np.maximum.at(found, samples.devices, samples.at_ns)
    if latest_ns is not None:
        found[: len(latest_ns)] = np.maximum(found[: len(latest_ns)], latest_ns[: len(found)])
    memory.latest_ns[metric.number] = found.copy()
    # An alert that is open tells since when, also after a restart.
    inside = np.flatnonzero((known.subjects < len(found)) & known.is_true)
    subjects = known.subjects[inside]
    sent_ns = known.since_ns[inside] - rule.window_s * NS_PER_S
    found[subjects] = np.maximum(found[subjects], sent_ns)
    return found
