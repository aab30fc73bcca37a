"""When which rule is looked at."""

import msgspec

from fleetpulse.alert.cadence import Cadence
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S

DOWN = AlertRule(name="down", kind="device_down")
CPU = AlertRule(name="cpu", kind="metric", metric="cpu", window_s=600)
LONG = AlertRule(name="long", kind="metric", metric="cpu", window_s=7 * 86_400)
UPTIME = AlertRule(name="uptime", kind="uptime_below", window_s=86_400)


def test_windows_are_looked_at_when_they_end_and_all_else_in_each_round() -> None:
    cadence, settings, seen = Cadence(), ConditionSettings(), []
    for second in range(86_400 * 100, 86_400 * 100 + 10_200, 30):
        due, cadence = cadence.due((DOWN, CPU, LONG, UPTIME), settings, now_ns=second * NS_PER_S)
        seen += [rule.name for rule in due]
    assert {name: seen.count(name) for name in seen} == {"down": 340, "cpu": 170, "uptime": 34, "long": 2}


def test_a_rule_that_is_new_or_changed_is_looked_at_at_once() -> None:
    settings = ConditionSettings()
    _, cadence = Cadence().due((CPU,), settings, now_ns=NS_PER_S)
    changed = msgspec.structs.replace(CPU, threshold=5.0)
    assert cadence.due((changed, UPTIME), settings, now_ns=2 * NS_PER_S)[0] == [changed, UPTIME]
    assert cadence.due((CPU,), settings, now_ns=2 * NS_PER_S)[0] == []


def test_what_failed_can_be_looked_at_again_before_its_time() -> None:
    settings = ConditionSettings()
    _, cadence = Cadence().due((CPU, LONG), settings, now_ns=NS_PER_S)
    assert cadence.without(["long", "unknown"]).due((CPU, LONG), settings, now_ns=2 * NS_PER_S)[0] == [LONG]
