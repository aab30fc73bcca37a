"""Which devices a rule about wrong clocks finds."""

from alert_rounds import alerts_of, look, look_now, three_devices
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.model.alert_rule import AlertRule

RULE = AlertRule(name="clock", kind="drift", comparison=">", threshold=300.0, clear_threshold=60.0)


def test_clocks_that_are_ahead_and_behind_are_found_with_how_much() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0, sent_at="10:10:00")
    one.hear("10:00:00", device=1, sent_at="09:50:00")
    one.hear("10:00:00", device=2, sent_at="09:59:00")
    condition = look(one, "10:00:01", RULE)
    assert (condition.subjects.tolist(), condition.values.tolist()) == ([0, 1], [600.0, 600.0])
    in_lyon = AlertRule(name="clock", kind="drift", labels=(("site", "lyon"),), comparison=">", threshold=30.0)
    assert look(one, "10:00:01", in_lyon).subjects.tolist() == [2]


def test_it_goes_on_until_the_clock_is_nearly_right() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0, sent_at="09:58:00")
    assert look(one, "10:00:01", RULE).subjects.tolist() == []
    condition = look(one, "10:00:01", RULE, d0="09:00:00")
    assert (condition.subjects.tolist(), condition.since_ns.tolist()) == ([0], [one.at("09:00:00")])
    one.hear("10:01:00", device=0)
    assert look(one, "10:01:01", RULE, d0="09:00:00").subjects.tolist() == []


def test_a_clock_that_was_ahead_and_is_right_again_is_not_found() -> None:
    one = three_devices()
    memory = Memory()
    one.hear("10:00:00", device=0)
    one.hear("10:01:00", device=0, sent_at="2026-05-11T22:00:00")
    assert look_now(one, RULE, alerts_of(one), memory=memory).subjects.tolist() == [0]
    one.hear("10:02:00", device=0)
    assert look_now(one, RULE, alerts_of(one, d0="10:01:00"), memory=memory).subjects.tolist() == []
    one.checkpoint()
    one.mark("10:02:30")
    assert look_now(one, RULE, alerts_of(one), memory=memory).subjects.tolist() == [], "nothing new was heard"
    assert look_now(one, RULE, alerts_of(one), memory=memory).subjects.tolist() == [], "the same moment"


def test_old_beats_of_a_device_that_also_sends_new_ones_do_not_matter() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.hear("12:00:00", device=0)
    one.hear("12:00:10", device=0, sent_at="10:30:00")
    assert look(one, "12:00:11", RULE).subjects.tolist() == []


def test_devices_that_were_never_heard_and_those_withheld_are_not_found() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0, sent_at="09:00:00")
    one.pause("10:00:01", device=0)
    condition = look(one, "10:00:02", RULE)
    assert (condition.subjects.tolist(), condition.withheld.tolist()) == ([], [0])
    one.hear("10:00:00", device=1, sent_at="09:00:00")
    one.delete("d1")
    assert look(one, "10:00:02", RULE, d1="10:00:00").absent.tolist() == [1]
