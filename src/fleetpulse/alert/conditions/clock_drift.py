"""Rules about the clocks of devices: how far they are from the clock of this service.

Nothing is received before it is sent, so a beat of the future shows a clock that is ahead, and the latest beats of a
device, which mostly arrive at once, tell both ways:

    drift = sent_at of the latest beat - when something was received last

Two cases look like a wrong clock and are none. A device that was ahead once, and is right again, has a latest beat of
the future until that time has come; its beats of now count as late ones meanwhile, and where such a one is near the
reception, it counts. And a device that sends what it had kept, in order, seems to be behind until it is done; that is
what the `for` of a rule is for.
"""

import numpy as np

from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Drifts, Memory
from fleetpulse.alert.conditions.thresholds import is_beyond, since
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S

NEAR_NS = 60 * NS_PER_S
"""So near to its reception a late beat must be to show that the clock of a device is right again."""


def clock_drift(rule: AlertRule, facts: Facts, memory: Memory) -> Condition:
    """True of devices whose clock is wrong by more than the rule allows, either way; the figure is in seconds."""
    drifts = _drifts(facts, memory)
    wrong_s = np.abs(drifts.drift_ns) / NS_PER_S
    known = memory.of(rule.name)
    before = np.zeros(len(wrong_s), bool)
    before[known.subjects[known.is_true & (known.subjects < len(wrong_s))]] = True
    found = np.flatnonzero(is_beyond(rule, wrong_s, before) & (drifts.heard_ns > 0))
    found = found[~facts.view.roster.is_deleted[found]]
    subjects = np.setdiff1d(facts.chosen(found, rule.labels), facts.withheld, assume_unique=True)
    return Condition(
        rule=rule.name,
        at_ns=facts.now_ns,
        subjects=subjects,
        since_ns=since(known, subjects, facts.now_ns),
        values=wrong_s[subjects],
        withheld=facts.chosen(facts.withheld, rule.labels),
        absent=facts.without(known.subjects, rule.labels),
    )


def _drifts(facts: Facts, memory: Memory) -> Drifts:
    """What is known now. Only devices that were heard since the round before may have changed."""
    live, known = facts.view.live, memory.drifts
    if known is not None and known[0] == facts.now_ns:
        return known[1]
    heard_ns, count = live.last_received_ns, facts.view.count
    drift_ns = live.last_sent_ns - heard_ns
    is_sent = (heard_ns > 0) & (live.first_sent_ns <= live.last_sent_ns)
    drift_ns[~is_sent] = 0
    is_ahead = drift_ns > NEAR_NS
    for piece in live.backfill if is_ahead.any() else ():
        inside = np.flatnonzero(piece.devices < count)
        devices = piece.devices[inside].astype(np.int64)
        late_ns = piece.end_ns[inside] - heard_ns[devices]
        is_near = is_ahead[devices] & (np.abs(late_ns) <= NEAR_NS)
        drift_ns[devices[is_near]] = late_ns[is_near]
    if known is not None:
        before = known[1]
        same = np.flatnonzero(heard_ns[: len(before.heard_ns)] == before.heard_ns[:count])
        drift_ns[same] = before.drift_ns[same]
    found = Drifts(heard_ns, drift_ns)
    memory.drifts = facts.now_ns, found
    return found
