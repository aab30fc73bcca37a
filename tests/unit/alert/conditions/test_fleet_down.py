"""Which groups a rule about shares of devices finds."""

import numpy as np

from alert_rounds import group_alerts, look, look_now
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.memory import NO_ALERTS, OpenAlerts
from fleetpulse.model.alert_rule import AlertRule
from one_fleet import OneFleet

SHARE = AlertRule(name="site", kind="fleet", by="site", is_share=True, comparison=">", threshold=0.5)
NUMBER = AlertRule(name="many", kind="fleet", comparison=">=", threshold=2.0)


def fleet(paris: int, lyon: int) -> OneFleet:
    one = OneFleet(devices=0)
    for number in range(paris + lyon):
        one.add(f"d{number}", site="paris" if number < paris else "lyon", floor=str(number % 2))
    one.add("anywhere")
    for number in range(paris + lyon + 1):
        one.hear("10:00:00", device=number)
    return one


def found(condition: Condition) -> dict[str, float]:
    groups = condition.groups
    assert groups is not None
    return dict(zip([groups[one] for one in condition.subjects.tolist()], condition.values.tolist(), strict=True))


def names(condition: Condition, places: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[str]:
    assert condition.groups is not None
    return [condition.groups[one] for one in places.tolist()]


def test_a_site_of_which_too_many_are_down_is_found_with_its_share() -> None:
    one = fleet(paris=4, lyon=3)
    for number in (0, 4, 5, 6):
        one.hear("10:04:00", device=number)
    condition = look(one, "10:06:00", SHARE)
    assert found(condition) == {"site=paris": 0.75}
    assert condition.since_ns.tolist() == [one.now]
    assert sorted(condition.groups or ()) == ["site=lyon", "site=paris"], "who has no site is in no group"
    of_floor = AlertRule(name="r", kind="fleet", by="site", labels=(("floor", "0"),), is_share=True, threshold=0.5)
    assert found(look(one, "10:06:00", of_floor)) == {}
    by_nothing = AlertRule(name="r", kind="fleet", by="rack", is_share=True, threshold=0.5)
    assert look(one, "10:06:00", by_nothing).groups == []


def test_numbers_of_all_devices_together() -> None:
    one = fleet(paris=4, lyon=3)
    for number in range(7):
        one.hear("10:04:00", device=number)
    assert found(look(one, "10:06:00", NUMBER)) == {}
    assert found(look(one, "10:20:00", NUMBER)) == {"fleet": 8.0}


def test_new_paused_and_deleted_devices_count_neither_way() -> None:
    one = fleet(paris=4, lyon=1)
    for number in range(10, 20):
        one.add(f"d{number}", site="paris")
    for number in (0, 1):
        one.hear("10:04:00", device=number)
    one.pause("10:01:00", device=2)
    assert found(look(one, "10:06:00", SHARE)) == {"site=lyon": 1.0}
    one.delete("d0")
    assert found(look(one, "10:06:01", AlertRule(name="r", kind="fleet", by="site", is_share=True, threshold=0.4))) == {
        "site=lyon": 1.0,
        "site=paris": 0.5,
    }


def test_hysteresis_goes_by_the_names_of_groups() -> None:
    rule = AlertRule(
        name="site", kind="fleet", by="site", is_share=True, comparison=">", threshold=0.8, clear_threshold=0.5
    )
    one = fleet(paris=4, lyon=4)
    for number in (0, 4):
        one.hear("10:04:00", device=number)
    one.move("10:06:00")
    condition = look_now(one, rule, group_alerts("site=nice", "site=lyon"))
    assert found(condition) == {"site=lyon": 0.75}
    assert condition.since_ns.tolist() == [1]
    assert names(condition, condition.absent) == ["site=nice"]
    assert found(look_now(one, rule, group_alerts("site=lyon", is_true=False))) == {}


def test_nothing_is_said_where_it_depends_on_devices_that_are_not_known() -> None:
    one = fleet(paris=4, lyon=4)
    one.mark("10:20:00", blind_since="10:00:30")
    for number in (0, 1):
        one.hear("10:20:01", device=number)
    condition = look(one, "10:20:02", SHARE)
    assert (found(condition), names(condition, condition.withheld)) == ({}, ["site=lyon"])
    one = fleet(paris=4, lyon=1)
    for number in range(4):
        one.pause("10:01:00", device=number)
    condition = look(one, "10:06:00", SHARE)
    assert names(condition, condition.withheld) == ["site=paris"]


def test_a_group_without_devices_is_absent() -> None:
    one = fleet(paris=1, lyon=1)
    one.delete("d0")
    one.move("10:06:00")
    known = OpenAlerts(subjects=np.array([0]), since_ns=np.array([0]), is_true=np.array([True]), groups=["site=paris"])
    condition = look_now(one, SHARE, known)
    assert names(condition, condition.absent) == ["site=paris"]
    assert look_now(one, SHARE, NO_ALERTS).absent.tolist() == []
