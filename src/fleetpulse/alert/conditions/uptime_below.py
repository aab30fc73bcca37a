"""Rules about the uptime or availability of devices over a window that ends now."""

import numpy as np

from fleetpulse.alert.condition import NO_SUBJECTS, Condition
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.conditions.thresholds import is_beyond, since, was_true
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.fleet_columns import fleet_columns


def uptime_below(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of devices whose uptime is below the threshold, by one measure; those of which no time counts have none.

    Reads blocks. Where one cannot be read, nothing is said: alerts that are open stay as they are.
    """
    known, end_ns = memory.of(rule.name), facts.window_end_ns
    key = rule.measure, rule.window_s
    if key not in facts.shared:
        start_ns = end_ns - rule.window_s * NS_PER_S
        facts.shared[key] = fleet_columns(
            facts.view, start_ns=start_ns, end_ns=end_ns, measures=[rule.measure]
        ).time.get(rule.measure)
    time = facts.shared[key]
    absent = facts.without(known.subjects, rule.labels)
    if time is None:
        open_ones = np.setdiff1d(known.subjects, absent, assume_unique=True)
        return Condition(rule=rule.name, at_ns=end_ns, withheld=open_ones, absent=absent)
    devices = facts.members(rule.labels)
    counted_ns = time.accountable_ns[devices]
    uptime = np.where(counted_ns > 0, time.up_ns[devices] / np.maximum(counted_ns, 1), np.nan)
    is_true = is_beyond(rule, uptime, was_true(known, devices))
    withheld = facts.chosen(facts.withheld, rule.labels)
    is_true &= ~np.isin(devices, withheld, assume_unique=True)
    subjects = devices[is_true] if len(devices) else NO_SUBJECTS
    return Condition(
        rule=rule.name,
        at_ns=end_ns,
        subjects=subjects,
        since_ns=since(known, subjects, end_ns),
        values=uptime[is_true],
        withheld=withheld,
        absent=absent,
    )
