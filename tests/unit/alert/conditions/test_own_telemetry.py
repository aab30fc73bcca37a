"""What a rule about the service itself finds."""

import math

from alert_rounds import group_alerts, look_now
from fleetpulse.alert.conditions.memory import NO_ALERTS, Memory
from fleetpulse.model.alert_rule import AlertRule
from one_fleet import OneFleet

ERRORS = AlertRule(name="errors", kind="service", telemetry="error_ratio", window_s=300, comparison=">", threshold=0.01)
DISK = AlertRule(
    name="disk", kind="service", telemetry="disk_free", comparison="<", threshold=0.1, clear_threshold=0.12
)


def test_a_figure_beyond_the_threshold_is_found_until_it_is_past_the_second() -> None:
    one = OneFleet()
    one.move("10:00:00")
    assert look_now(one, DISK, NO_ALERTS, disk_free=0.11).subjects.tolist() == []
    condition = look_now(one, DISK, NO_ALERTS, disk_free=0.09)
    assert (condition.subjects.tolist(), condition.groups, condition.values.tolist()) == ([0], ["service"], [0.09])
    condition = look_now(one, DISK, group_alerts("service"), disk_free=0.11)
    assert (condition.subjects.tolist(), condition.since_ns.tolist()) == ([0], [0])
    assert look_now(one, DISK, group_alerts("service"), disk_free=0.13).subjects.tolist() == []


def test_a_figure_that_is_not_known_is_not_true() -> None:
    one = OneFleet()
    one.move("10:00:00")
    for rule in (DISK, ERRORS):
        assert look_now(one, rule, NO_ALERTS).subjects.tolist() == []
    assert look_now(one, DISK, NO_ALERTS, disk_free=math.nan).subjects.tolist() == []


def test_errors_are_a_share_of_the_answers_of_the_window() -> None:
    one, memory = OneFleet(), Memory()

    def errors(text: str, answers: float, failed: float) -> list[float]:
        one.move(text)
        return look_now(one, ERRORS, NO_ALERTS, memory=memory, answers=answers, answers_failed=failed).values.tolist()

    assert errors("10:00:00", 5_000, 4_000) == [], "what was before the service was watched does not count"
    assert errors("10:00:01", 5_100, 4_000) == []
    assert errors("10:00:02", 5_200, 4_010) == [10 / 200]
    assert errors("10:04:00", 6_000, 4_010) == [], "1 % is not above 1 %"
    assert errors("10:04:01", 6_000, 4_020) == [20 / 1_000]
    assert errors("10:05:01", 6_000, 4_020) == [20 / 900], "the window has moved on"
    assert errors("10:10:00", 6_000, 4_020) == [], "no answers, no errors"
    assert errors("10:10:01", 100, 0) == [], "the service counts from 0 again"
    assert errors("10:10:02", 200, 50) == [0.5]
