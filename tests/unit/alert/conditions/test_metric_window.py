"""A rule about a metric finds the devices of which the answer about the same window is beyond its threshold."""

import random
from typing import Any

import numpy as np
import pytest

from alert_samples import SampledFleet
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.alert.conditions.thresholds import is_beyond
from fleetpulse.model.alert_rule import AlertRule, Comparison
from fleetpulse.model.metric import AGGREGATIONS, Aggregation
from sample_blocks import CPU

RULE = AlertRule(
    name="hot", kind="metric", metric="cpu", aggregation="avg", window_s=600, comparison=">", threshold=90.0
)
COMPARISONS: tuple[Comparison, ...] = (">", ">=", "<", "<=")


def open_alerts(*devices: int) -> OpenAlerts:
    return OpenAlerts(
        subjects=np.array(devices, np.int64), since_ns=np.arange(len(devices)), is_true=np.ones(len(devices), bool)
    )


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("metric", ["cpu", "upload_time"])
def test_it_finds_whom_the_answer_puts_beyond_the_threshold(aggregation: Aggregation, metric: str) -> None:
    chance = random.Random(f"{aggregation} {metric}")
    for _ in range(6):
        fleet = SampledFleet(devices=7, minute=chance.randrange(130, 1_400))
        fleet.scatter(chance, count=chance.choice([8, 40, 200]))
        for window_s in (60, 600, 7_200, 86_400):
            rule: dict[str, Any] = {"name": "r", "kind": "metric", "metric": metric, "aggregation": aggregation}
            plain = AlertRule(**rule, window_s=window_s)
            answers = [fleet.answer(plain, device) for device in range(fleet.devices)]
            values = np.array([np.nan if one is None else one for one in answers])
            threshold = chance.choice([one for one in answers if one is not None] + [0.2, 3.0])
            clear = chance.choice([None, threshold])
            for comparison in COMPARISONS:
                checked = AlertRule(
                    **rule, window_s=window_s, comparison=comparison, threshold=threshold, clear_threshold=clear
                )
                known = open_alerts(1, 3)
                before = np.isin(np.arange(fleet.devices), known.subjects)
                condition = evaluate(checked, fleet.facts(checked), Memory(open={"r": known}))
                expected = np.flatnonzero(is_beyond(checked, values, before))
                assert condition.subjects.tolist() == expected.tolist()
                assert condition.values.tolist() == values[expected].tolist()


def test_one_moment_for_all_windows() -> None:
    fleet = SampledFleet(devices=1, minute=60.5)
    fleet.live = [(CPU, 0, 59, 95.0), (CPU, 0, 60.2, 10.0)]
    facts = fleet.facts(RULE)
    facts.window_step_ns = 60_000_000_000
    condition = evaluate(RULE, facts, Memory())
    assert (condition.values.tolist(), fleet.now_ns - condition.at_ns) == ([95.0], 30_000_000_000)


def test_hysteresis_holds_until_the_figure_is_past_the_second_threshold() -> None:
    rule = AlertRule(**{**{name: getattr(RULE, name) for name in RULE.__struct_fields__}, "clear_threshold": 85.0})
    fleet = SampledFleet(devices=3, minute=60)
    fleet.live = [(CPU, 0, 59, 86.0), (CPU, 1, 59, 86.0), (CPU, 2, 59, 84.0)]
    condition = evaluate(rule, fleet.facts(rule), Memory(open={"hot": open_alerts(0, 2)}))
    assert (condition.subjects.tolist(), condition.since_ns.tolist()) == ([0], [0])


def test_devices_without_samples_are_not_found() -> None:
    fleet = SampledFleet(devices=2, minute=60)
    fleet.live = [(CPU, 0, 10, 95.0)]
    for aggregation in AGGREGATIONS:
        rule = AlertRule(name="r", kind="metric", metric="cpu", aggregation=aggregation, window_s=60, comparison="<")
        for window_s in (60, 86_400):
            longer = AlertRule(**{**{f: getattr(rule, f) for f in rule.__struct_fields__}, "window_s": window_s})
            found = evaluate(longer, fleet.facts(longer), Memory()).subjects.tolist()
            assert 1 not in found


def test_paused_deleted_and_undefined() -> None:
    fleet = SampledFleet(devices=3, minute=60)
    fleet.live = [(CPU, device, 59, 95.0) for device in range(3)]
    fleet.one.pause_at(fleet.now_ns - 1, None, 1)
    fleet.one.delete("d2")
    condition = evaluate(RULE, fleet.facts(RULE), Memory(open={"hot": open_alerts(1, 2)}))
    assert (condition.subjects.tolist(), condition.withheld.tolist(), condition.absent.tolist()) == ([0], [1], [2])
    facts = fleet.facts(RULE)
    facts.metrics = {}
    assert evaluate(RULE, facts, Memory(open={"hot": open_alerts(1)})).absent.tolist() == [1]


def test_alerts_stay_as_they_are_while_a_block_cannot_be_read() -> None:
    fleet = SampledFleet(devices=3, minute=60)
    fleet.named = [fleet.blocks.fresh((CPU, 0, 59, 95.0))]
    for file in fleet.named[0].files.values():
        fleet.blocks.store.remove(file.name)
    for window_s in (600, 86_400):
        rule = AlertRule(**{**{f: getattr(RULE, f) for f in RULE.__struct_fields__}, "window_s": window_s})
        condition = evaluate(rule, fleet.facts(rule), Memory(open={"hot": open_alerts(0)}))
        assert (condition.subjects.tolist(), condition.withheld.tolist()) == ([], [0])


def test_more_samples_than_may_be_held_are_not_held() -> None:
    chance = random.Random(1)
    fleet = SampledFleet(devices=5, minute=300)
    fleet.scatter(chance, count=100)
    expected = evaluate(RULE, fleet.facts(RULE), Memory())
    facts = fleet.facts(RULE)
    facts.samples_max = 10
    condition = evaluate(RULE, facts, Memory())
    assert condition.subjects.tolist() == expected.subjects.tolist()
    assert not any("longest" in str(key) and value[1] is not None for key, value in facts.shared.items())
