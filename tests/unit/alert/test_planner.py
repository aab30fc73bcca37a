"""Who is told of what, and when: each rule of the planner by an example."""

from alert_planning import START_S, Planned, brief
from fleetpulse.alert.message_text import what_of
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert import RESOLUTIONS, Silence
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import EscalationStep, Matcher, Route
from fleetpulse.model.units import NS_PER_S

PARIS = {"site": "paris"}
ALL = Route(name="all", receivers=("ops",), group_by=(), group_wait_s=0, group_interval_s=60, repeat_interval_s=0)


def route(**changes: object) -> Route:
    """The plain route with other values."""
    return Route(**{name: getattr(ALL, name) for name in ALL.__struct_fields__} | changes)  # type: ignore[arg-type]  # by name


def test_without_a_receiver_nobody_is_told_and_the_incident_is_there() -> None:
    fleet = Planned([PARIS] * 4, receivers=())
    fleet.fire(0, 1, 2, 3)
    decided = fleet.round()
    assert decided.messages == ()
    assert [(one.label, one.value, one.members) for one in decided.incidents] == [("site", "paris", 4)]


def test_an_alert_is_told_once_and_so_is_its_end() -> None:
    fleet = Planned([{}], routes=[ALL])
    fleet.fire(0)
    assert brief(fleet.wait(600)) == [("ops", "firing", ("d0",))]
    fleet.end(1)
    assert brief(fleet.wait(600)) == [("ops", "resolved", ("d0",))]
    assert fleet.state.groups == {}


def test_an_alert_that_ends_while_it_waits_is_not_told_of() -> None:
    fleet = Planned([{}], routes=[route(group_wait_s=30)])
    fleet.fire(0)
    assert fleet.wait(20) == []
    fleet.end(1)
    assert fleet.wait(600) == []


def test_a_group_tells_what_changed_after_its_interval() -> None:
    fleet = Planned([{}] * 3, routes=[ALL])
    fleet.fire(0)
    fleet.wait(1)
    fleet.fire(1, 2)
    fleet.end(1)
    (message,) = fleet.wait(59)
    assert brief([message]) == [("ops", "firing", ("d1", "d2", "d0"))]
    assert (message.firing, message.resolved, message.omitted) == (2, 1, 0)


def test_a_site_that_goes_dark_and_returns_is_one_message_and_one_end() -> None:
    fleet = Planned([{"site": "paris", "rack": f"r{number // 4}"} for number in range(40)], routes=[ALL])
    numbers = fleet.fire(*range(40))
    (message,) = fleet.wait(600)
    assert (message.kind, message.firing, message.omitted) == ("firing", 40, 20)
    assert message.cause is not None
    assert message.cause.explanation == (
        "40 of 40 devices with site=paris went down within 1 s; the next best label, rack=r0, explains 4"
    )
    fleet.end(*numbers)
    (message,) = fleet.wait(600)
    assert (message.kind, message.firing, message.resolved, message.omitted) == ("resolved", 0, 40, 20)
    assert fleet.state.incidents == {}


def test_a_long_list_of_ends_has_those_first_that_did_not_return() -> None:
    fleet = Planned([PARIS] * 40, routes=[ALL])
    numbers = fleet.fire(*range(40))
    fleet.wait(300)
    fleet.set(*numbers, resolution=RESOLUTIONS.index("recovered"))
    fleet.end(*numbers[:30])
    fleet.wait(1)
    fleet.set(numbers[-1], resolution=RESOLUTIONS.index("removed"))
    fleet.end(*numbers[30:])
    (message,) = fleet.wait(600)
    assert (message.resolved, [one.resolution for one in message.alerts]) == (40, ["removed", *["recovered"] * 19])
    assert "returned" not in what_of(message)


def test_a_device_that_stays_down_is_told_of_on_its_own_once() -> None:
    fleet = Planned([PARIS] * 10, routes=[ALL])
    numbers = fleet.fire(*range(10))
    fleet.wait(300)
    fleet.end(*numbers[1:])
    resolved, alone = fleet.wait(600)
    assert resolved.cause is not None
    assert (resolved.kind, resolved.resolved, resolved.cause.down) == ("resolved", 9, 1)
    assert brief([alone]) == [("ops", "firing", ("d0",))]
    assert alone.cause is None
    fleet.end(numbers[0])
    assert brief(fleet.wait(600)) == [("ops", "resolved", ("d0",))]


def test_the_end_of_an_incident_is_told_at_once_with_what_stays_down() -> None:
    settings = AlertSettings(common_cause_within_s=5)
    fleet = Planned([PARIS] * 10, routes=[route(group_interval_s=3600)], settings=settings)
    numbers = fleet.fire(*range(10))
    fleet.wait(10)
    fleet.end(*numbers[1:])
    assert brief(fleet.wait(4)) == []
    resolved, alone = fleet.wait(1)
    assert (resolved.kind, resolved.resolved, alone.kind, alone.firing) == ("resolved", 9, "firing", 1)


def test_the_end_of_an_alert_that_left_its_incident_while_it_was_silenced_is_told() -> None:
    fleet = Planned([PARIS] * 10, routes=[ALL])
    numbers = fleet.fire(*range(10))
    fleet.wait(10)
    fleet.silences = [Silence(1, (("device", "d0"),), 0, (START_S + 9000) * NS_PER_S, "", "", 0)]
    fleet.end(*numbers[1:])
    (resolved,) = fleet.wait(600)
    assert (resolved.resolved, resolved.cause and resolved.cause.down) == (9, 1)
    fleet.end(numbers[0])
    assert [(one.resolved, one.cause and one.cause.down) for one in fleet.wait(100)] == [(1, 0)]
    assert fleet.state.groups == {}


def test_late_members_join_without_a_further_message_unless_they_are_very_late() -> None:
    fleet = Planned([PARIS] * 10, routes=[ALL])
    fleet.fire(*range(6))
    assert len(fleet.wait(10)) == 1
    fleet.fire(6, 7)
    assert fleet.wait(100) == []
    fleet.fire(8)
    (message,) = fleet.wait(100)
    assert (message.firing, message.alerts[0].subject) == (9, "d8")


def test_a_device_with_labels_waits_for_a_common_cause_and_one_without_does_not() -> None:
    fleet = Planned([PARIS, PARIS, PARIS, {}], routes=[route(group_by=("site",))])
    fleet.fire(0, 3)
    assert brief(fleet.wait(59)) == [("ops", "firing", ("d3",))]
    assert brief(fleet.wait(1)) == [("ops", "firing", ("d0",))]


def test_no_wait_where_common_causes_are_switched_off() -> None:
    fleet = Planned([PARIS] * 4, routes=[ALL], settings=AlertSettings(common_cause_wait_s=0))
    fleet.fire(*range(4))
    (message,) = fleet.wait(0)
    assert (message.firing, message.cause) == (4, None)


def test_reminders_leave_out_what_is_acknowledged_or_snoozed() -> None:
    fleet = Planned([{}] * 3, routes=[route(repeat_interval_s=3600)])
    fleet.fire(0, 1, 2)
    fleet.wait(0)
    fleet.set(1, is_acknowledged=True)
    fleet.set(2, snoozed_until_ns=(START_S + 5000) * NS_PER_S)
    assert brief(fleet.wait(3600, step_s=60)) == [("ops", "reminder", ("d2",))]


def test_escalation_tells_others_once_of_what_nobody_acknowledged() -> None:
    steps = (EscalationStep(300, ("boss",)), EscalationStep(600, ("board",)))
    fleet = Planned([{}] * 2, routes=[route(escalation=steps)], receivers=("ops", "boss", "board"))
    numbers = fleet.fire(0, 1)
    fleet.wait(1)
    fleet.set(1, is_acknowledged=True)
    escalated = fleet.wait(3000)
    assert brief(escalated) == [("boss", "escalation", ("d1",)), ("board", "escalation", ("d1",))]
    assert [one.escalation for one in escalated] == [1, 2]
    fleet.end(*numbers)
    assert [(one.receiver, one.resolved) for one in fleet.wait(100)] == [("ops", 2), ("boss", 1), ("board", 1)]


def test_quiet_hours_hold_messages_back_unless_they_are_critical() -> None:
    night = Recurrence((), 22 * 60, 8 * 3600, "Europe/Paris")
    fleet = Planned([{}] * 3, routes=[route(quiet_hours=(night,))])
    fleet.fire(0, 1, rule=1)
    fleet.fire(2, rule=0)
    assert brief(fleet.wait(0)) == [("ops", "firing", ("d2",))]
    fleet.end(1)
    assert brief(fleet.wait(5 * 3600 - 1, step_s=599)) == []
    assert brief(fleet.wait(1)) == [("ops", "firing", ("d1", "d2"))]


def test_the_next_route_takes_what_comes_outside_on_call_times() -> None:
    day = Recurrence((), 8 * 60, 10 * 3600, "Europe/Paris")
    routes = [route(name="day", on_call=(day,), receivers=("day",)), route(name="night", order=1, receivers=("night",))]
    fleet = Planned([{}] * 2, routes=routes, receivers=("day", "night"))
    fleet.fire(0)
    fleet.wait(7 * 3600, step_s=300)
    fleet.fire(1)
    fleet.wait(1)
    fleet.end(1, 2)
    assert brief(fleet.wait(60)) and brief(fleet.messages) == [
        ("night", "firing", ("d0",)),
        ("day", "firing", ("d1",)),
        ("night", "resolved", ("d0",)),
        ("day", "resolved", ("d1",)),
    ]


def test_silenced_alerts_are_told_when_the_silence_is_over_and_ends_are_told_all_the_same() -> None:
    fleet = Planned([PARIS, {}], routes=[ALL])
    fleet.fire(1)
    fleet.wait(0)
    fleet.silences = [Silence(1, (("device", "d1"),), 0, (START_S + 900) * NS_PER_S, "", "", 0)]
    fleet.silences += [Silence(2, (("site", "paris"),), 0, (START_S + 900) * NS_PER_S, "", "", 0)]
    fleet.fire(0)
    fleet.end(1)
    assert brief(fleet.wait(899)) == [("ops", "resolved", ("d1",))]
    assert brief(fleet.wait(1)) == [("ops", "firing", ("d0",))]


def test_a_severe_alert_inhibits_lesser_ones_of_the_same_device_or_group() -> None:
    fleet = Planned([PARIS, {}], routes=[ALL], groups=["site=paris"])
    fleet.fire(1, rule=0)
    fleet.fire(1, rule=1)
    fleet.fire(0, rule=1)
    fleet.fire(0, rule=2)
    assert brief(fleet.wait(0)) == [("ops", "firing", ("d1", "site=paris"))]
    fleet.end(1)
    assert brief(fleet.wait(60)) == [("ops", "firing", ("d1", "d1", "site=paris"))]


def test_flapping_is_told_once() -> None:
    fleet = Planned([{}], routes=[ALL])
    fleet.fire(0)
    fleet.wait(60)
    fleet.fire(0, is_flapping=True)
    fleet.flapping = [1]
    assert [one.kind for one in fleet.wait(600)] == ["flapping"]


def test_a_route_by_labels_and_one_that_continues_tell_a_receiver_once() -> None:
    routes = [
        route(name="paris", matchers=(Matcher("site", ("paris",)),), receivers=("paris", "ops"), continues=True),
        route(name="rest", order=1),
    ]
    fleet = Planned([{"site": "paris"}, {"site": "rome"}], routes=routes, receivers=("paris", "ops"))
    fleet.fire(0, 1)
    assert brief(fleet.wait(60)) == [
        ("paris", "firing", ("d0",)),
        ("ops", "firing", ("d0",)),
        ("ops", "firing", ("d1",)),
    ]


def test_thousands_of_alerts_at_once_are_one_message() -> None:
    fleet = Planned([{}] * 10_000, routes=[ALL])
    fleet.fire(*range(10_000))
    (message,) = fleet.wait(0)
    assert (message.firing, len(message.alerts), message.omitted) == (10_000, 20, 9_980)
