"""The lives of alerts: when they fire, when they end, and what stands still meanwhile."""

import pytest

from alert_lives import AlertLives, fired, numbers, resolved
from fleetpulse.model.alert_rule import AlertRule

PATIENT = AlertRule(name="patient", kind="device_down", for_s=60, keep_firing_for_s=30)


def test_an_alert_fires_at_once_and_ends_at_once_without_waits() -> None:
    lives = AlertLives()
    assert fired(lives.round(0, [3, 5])) == [3, 5]
    assert fired(lives.round(1, [3, 5, 9])) == [9]
    changes = lives.round(2, [3, 9])
    assert resolved(changes) == {2: "recovered"}
    assert lives.open == {3: "firing", 9: "firing"}
    assert changes.altered.tolist() == changes.resolved.tolist()


def test_for_is_counted_from_when_the_condition_became_true() -> None:
    lives = AlertLives(PATIENT)
    lives.round(10, [1], since_s=0)
    assert lives.open == {1: "pending"}
    assert fired(lives.round(59, [1])) == []
    assert fired(lives.round(60, [1])) == [1]


def test_a_pending_alert_whose_condition_turns_false_is_gone_and_never_had_a_number() -> None:
    lives = AlertLives(PATIENT)
    assert lives.round(0, [1]).pending_of == {0}
    changes = lives.round(1)
    assert (changes.pending_of, lives.open, lives.lives.next_number) == ({0}, {}, 1)
    assert lives.round(2).pending_of == frozenset()


def test_an_alert_keeps_firing_for_a_while_and_starts_that_time_anew_when_it_is_true_again() -> None:
    lives = AlertLives(PATIENT)
    lives.round(0, [1])
    lives.round(60, [1])
    assert resolved(lives.round(70)) == {}
    lives.round(90, [1])
    assert resolved(lives.round(95)) == {}
    assert resolved(lives.round(124)) == {}
    assert resolved(lives.round(125)) == {1: "recovered"}


def test_timers_stand_still_while_nothing_can_be_said() -> None:
    lives = AlertLives(PATIENT)
    lives.round(0, [1])
    lives.round(30, withheld=[1])
    lives.round(1_000, withheld=[1])
    assert lives.round(1_010, [1]).pending_of == {0}  # 20 s of 30 to 1,010 are left
    assert fired(lives.round(1_039, [1])) == []
    assert fired(lives.round(1_040, [1])) == [1]
    changes = lives.round(1_050, withheld=[1])
    assert numbers(changes.alerts, changes.withheld) == [1]
    assert resolved(lives.round(5_000, withheld=[1])) == {}
    lives.round(5_001)
    assert resolved(lives.round(5_030)) == {}
    assert resolved(lives.round(5_031)) == {1: "recovered"}


def test_what_was_withheld_before_it_became_true_counts_from_the_end_of_that() -> None:
    lives = AlertLives(PATIENT)
    lives.round(100, withheld=[1])
    lives.round(200, [1], since_s=0)
    assert fired(lives.round(259, [1], since_s=0)) == []
    assert fired(lives.round(260, [1], since_s=0)) == [1]


def test_timers_do_not_count_time_in_which_the_service_did_not_run() -> None:
    lives = AlertLives(PATIENT)
    lives.round(0, [1])
    lives.blind = [(10, 1_000)]
    assert fired(lives.round(1_049, [1])) == []
    assert fired(lives.round(1_050, [1])) == [1]
    lives.round(1_060)
    lives.blind += [(1_070, 2_000)]
    assert resolved(lives.round(2_019)) == {}
    assert resolved(lives.round(2_020)) == {1: "recovered"}


@pytest.mark.parametrize(("parts", "resolution"), [({"absent": [1]}, "removed"), ({"ran": [1]}, "ran")])
def test_why_an_alert_ended(parts: dict[str, list[int]], resolution: str) -> None:
    lives = AlertLives()
    lives.round(0, [1])
    assert resolved(lives.round(1, **parts)) == {1: resolution}


def test_a_device_of_which_it_is_learned_later_that_it_ran_is_said_to_have_run() -> None:
    lives = AlertLives()
    lives.round(0, [1])
    lives.round(1)
    changes = lives.round(30, ran=[1])
    assert (len(changes.resolved), changes.ran.of["number"].tolist()) == (0, [1])
    assert len(lives.round(31, ran=[1]).ran) == 0


def test_an_alert_that_fires_again_soon_is_the_same_one_and_later_another() -> None:
    lives = AlertLives(flap_within_s=100, flap_times=10)
    lives.round(0, [1])
    lives.round(10)
    changes = lives.round(110, [1])
    assert numbers(changes.alerts, changes.fired) == [1]
    assert changes.alerts.of["times"][changes.fired].tolist() == [2]
    lives.round(120)
    changes = lives.round(221, [1])
    assert numbers(changes.alerts, changes.fired) == [2]


def test_a_flapping_alert_is_told_of_once_and_ends_when_it_was_quiet() -> None:
    lives = AlertLives(flap_times=3, flap_within_s=600, flap_quiet_s=300)
    rounds = [lives.round(at_s, [1] if at_s % 20 == 0 else ()) for at_s in range(0, 200, 10)]
    assert [len(changes.fired) for changes in rounds if len(changes.fired)] == [1, 1, 1]
    assert sum(len(changes.flapping) for changes in rounds) == 1
    assert lives.open == {1: "firing"}
    assert lives.lives.open.of["times"].tolist() == [10]
    assert resolved(lives.round(489)) == {}
    assert resolved(lives.round(490)) == {1: "recovered"}
    changes = lives.round(500, [1])
    assert (len(changes.fired), len(changes.flapping)) == (1, 0)


def test_a_flapping_device_that_was_heard_in_between_is_not_said_to_have_run() -> None:
    lives = AlertLives(flap_times=3, flap_within_s=600, flap_quiet_s=300)
    for at_s in range(0, 200, 10):
        lives.round(at_s, [1] if at_s % 20 == 0 else ())
    assert resolved(lives.round(490, ran=[1])) == {1: "recovered"}
    assert len(lives.round(500, ran=[1]).ran) == 0


def test_a_device_that_was_heard_while_its_alert_was_kept_firing_is_not_said_to_have_run() -> None:
    lives = AlertLives(AlertRule(name="kept", kind="device_down", keep_firing_for_s=30))
    for at_s, true in ((0, [1]), (10, []), (20, [1]), (30, [])):
        lives.round(at_s, true)
    assert resolved(lives.round(60, ran=[1])) == {1: "recovered"}
    assert len(lives.round(61, ran=[1]).ran) == 0


def test_slow_comings_and_goings_do_not_flap() -> None:
    lives = AlertLives(flap_times=3, flap_within_s=600)
    flapping = [len(lives.round(at_s, true).flapping) for at_s in range(0, 6_000, 301) for true in ([1], [])]
    assert sum(flapping) == 0


def test_a_removed_or_disabled_rule_ends_its_alerts_and_forgets_pending_ones() -> None:
    for rules in ((), (AlertRule(name="offline", kind="device_down", is_enabled=False),)):
        lives = AlertLives()
        lives.round(0, [1])
        lives.rules, lives.at_s = rules, 1
        assert resolved(lives.look()) == {1: "rule_changed"}
        assert lives.open == {}
        assert resolved(lives.look()) == {}


def test_a_rule_that_is_changed_keeps_alerts_that_it_still_has_and_says_of_others_that_it_changed() -> None:
    lives = AlertLives(AlertRule(name="hot", kind="metric", metric="cpu", threshold=80, keep_firing_for_s=600))
    lives.round(0, [1, 2])
    lives.change(threshold=90.0)
    assert resolved(lives.round(1, [2])) == {1: "rule_changed"}
    lives.change(severity="critical", for_s=5)
    changes = lives.round(2, [2])
    assert (resolved(changes), numbers(changes.alerts, changes.altered)) == ({}, [2])
    lives.change(metric="memory")
    changes = lives.round(3, [2])
    assert (resolved(changes), fired(changes)) == ({2: "rule_changed"}, [])
    assert lives.open == {2: "pending"}


def test_a_change_counts_until_the_condition_is_looked_at_again() -> None:
    lives = AlertLives(AlertRule(name="hot", kind="metric", metric="cpu", threshold=80))
    lives.round(0, [1])
    lives.change(threshold=90.0)
    lives.at_s = 1
    assert resolved(lives.look()) == {}
    assert resolved(lives.round(60)) == {1: "rule_changed"}


def test_rules_that_come_and_go_leave_the_alerts_of_others_alone() -> None:
    first, second = (AlertRule(name=name, kind="device_down") for name in ("a", "b"))
    lives = AlertLives(second)
    lives.round(0, [7])
    lives.rules = (first, second)
    changes = lives.look(lives.condition("a", [7]), lives.condition("b", [7]))
    assert (numbers(changes.alerts, changes.fired), resolved(changes)) == ([2], {})
    assert lives.lives.open.of["rule"].tolist() == [0, 1]
    lives.rules = (second,)
    assert resolved(lives.look(lives.condition("b", [7]))) == {2: "rule_changed"}


def test_a_rule_without_a_condition_in_a_round_stays_as_it_is() -> None:
    lives = AlertLives(PATIENT)
    lives.round(0, [1])
    lives.at_s = 100
    lives.look()
    assert lives.open == {1: "pending"}


def test_groups_keep_their_numbers_whatever_order_a_condition_lists_them_in() -> None:
    rule = AlertRule(name="sites", kind="fleet", by="site")
    lives = AlertLives(rule)
    lives.round(0, [1], groups=["site=lyon", "site=paris"])
    changes = lives.round(1, [0, 1], groups=["site=paris", "site=rome"])
    assert resolved(changes) == {}
    places = lives.lives.open.of["subject"].tolist()
    groups = lives.lives.groups[0]
    assert groups is not None
    assert [groups[place] for place in places] == ["site=paris", "site=rome"]


def test_no_more_alerts_than_there_may_be_and_severe_ones_first() -> None:
    minor, severe = (
        AlertRule(name="minor", kind="device_down"),
        AlertRule(name="severe", kind="device_down", severity="critical"),
    )
    lives = AlertLives(minor, severe, alerts_open_max=5)
    changes = lives.look(lives.condition("minor", range(4)), lives.condition("severe", range(4)))
    assert (len(changes.fired), changes.beyond) == (5, 3)
    assert lives.lives.open.of["rule"].tolist() == [0, 1, 1, 1, 1]
    lives.at_s = 1
    changes = lives.look(lives.condition("minor", range(4)), lives.condition("severe", []))
    assert (len(changes.resolved), changes.beyond) == (4, 3)
    changes = lives.look(lives.condition("minor", range(4)), lives.condition("severe", []))
    assert (len(changes.fired), changes.beyond) == (3, 0)


def test_a_value_that_moves_is_no_change_that_must_be_stored() -> None:
    lives = AlertLives(AlertRule(name="hot", kind="metric", metric="cpu"))
    lives.round(0, [1], value=91.0)
    changes = lives.round(1, [1], value=92.0)
    assert (changes.altered.tolist(), changes.alerts.of["value"].tolist()) == ([], [92.0])


def test_times_of_a_clock_that_was_ahead_do_not_keep_timers_from_running() -> None:
    lives = AlertLives(PATIENT)
    lives.round(100_000, [1])
    lives.round(0, [1])
    assert fired(lives.round(60, [1])) == [1]
