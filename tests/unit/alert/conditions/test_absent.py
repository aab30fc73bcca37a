"""Which devices a rule about a metric that stopped finds."""

import numpy as np

from alert_samples import SampledFleet
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.model.alert_rule import AlertRule
from sample_blocks import CPU, UPLOAD

RULE = AlertRule(name="silent", kind="absent", metric="cpu", window_s=600)


def find(fleet: SampledFleet, memory: Memory | None = None, minute: float | None = None) -> Condition:
    return evaluate(RULE, fleet.facts(RULE, minute=minute), memory or Memory())


def test_it_is_true_of_devices_that_sent_it_once_and_not_lately() -> None:
    fleet = SampledFleet(devices=4, minute=60)
    fleet.named = [fleet.blocks.part((CPU, 0, 20, 1.0), (CPU, 1, 20, 1.0)), fleet.blocks.fresh((CPU, 2, 49, 1.0))]
    fleet.live = [(CPU, 1, 55, 1.0), (UPLOAD, 0, 59, 1)]
    condition = find(fleet)
    assert condition.subjects.tolist() == [0, 2], "d3 never sent it"
    assert condition.values.tolist() == [2_400.0, 660.0]
    assert [fleet.now_ns - one for one in condition.since_ns.tolist()] == [1_800_000_000_000, 60_000_000_000]


def test_it_ends_when_the_metric_comes_again() -> None:
    fleet, memory = SampledFleet(devices=1, minute=60), Memory()
    fleet.live = [(CPU, 0, 20, 1.0)]
    assert find(fleet, memory).subjects.tolist() == [0]
    fleet.live.append((CPU, 0, 60, 1.0))
    assert find(fleet, memory, minute=60.5).subjects.tolist() == []
    fleet.live = []
    fleet.one.now += 660_000_000_000
    fleet.one.beat_at(fleet.one.now, 0)
    condition = find(fleet, memory, minute=72)
    assert condition.subjects.tolist() == [0], "it remembers what no longer is in memory"


def test_an_open_alert_tells_after_a_restart_that_the_metric_was_there() -> None:
    fleet = SampledFleet(devices=2, minute=60)
    since_ns = fleet.now_ns - 100 * 86_400 * 1_000_000_000
    known = OpenAlerts(subjects=np.array([1]), since_ns=np.array([since_ns]), is_true=np.array([True]))
    condition = find(fleet, Memory(open={"silent": known}))
    assert (condition.subjects.tolist(), condition.since_ns.tolist()) == ([1], [since_ns])


def test_of_devices_that_are_down_paused_or_gone_nothing_is_said() -> None:
    fleet = SampledFleet(devices=3, minute=60)
    fleet.live = [(CPU, device, 20, 1.0) for device in range(3)]
    fleet.one.pause_at(fleet.now_ns, None, 1)
    fleet.one.delete("d2")
    for device in (0, 1):
        fleet.one.beat_at(fleet.now_ns, device)
    condition = find(fleet, minute=60)
    assert (condition.subjects.tolist(), condition.withheld.tolist()) == ([0], [1])
    condition = find(fleet, minute=90)
    assert (condition.subjects.tolist(), condition.withheld.tolist()) == ([], [0, 1])
    facts = fleet.facts(RULE)
    facts.metrics = {}
    known = OpenAlerts(subjects=np.array([1]), since_ns=np.array([0]), is_true=np.array([True]))
    assert evaluate(RULE, facts, Memory(open={"silent": known})).absent.tolist() == [1]
