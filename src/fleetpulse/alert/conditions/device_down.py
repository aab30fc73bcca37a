"""Rules about devices that are down."""

import numpy as np

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.conditions.ran import ran_meanwhile
from fleetpulse.model.alert_rule import AlertRule


def device_down(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of devices that are down, since when they are. Costs by the devices that are down or withheld."""
    known = memory.of(rule.name)
    subjects = facts.chosen(facts.down, rule.labels)
    absent = facts.without(known.subjects, rule.labels)
    return Condition(
        rule=rule.name,
        at_ns=facts.now_ns,
        subjects=subjects,
        since_ns=facts.status[1][subjects],
        values=np.full(len(subjects), np.nan),
        withheld=facts.chosen(facts.withheld, rule.labels),
        absent=absent,
        ran=ran_meanwhile(facts, known, absent),
    )
