"""Which devices a rule about devices that are down finds."""

import numpy as np

from alert_rounds import look, three_devices
from fleetpulse.model.alert_rule import AlertRule

IN_PARIS = AlertRule(name="offline", kind="device_down", labels=(("site", "paris"),))


def test_it_is_true_of_devices_that_are_down_since_they_are() -> None:
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.hear("10:01:00", device=1)
    assert look(one, "10:04:59").subjects.tolist() == []
    found = look(one, "10:05:30")
    assert (found.rule, found.at_ns) == ("offline", one.now)
    assert (found.subjects.tolist(), found.since_ns.tolist()) == ([0], [one.at("10:05:00")])
    assert np.isnan(found.values).all()
    assert look(one, "10:06:00").subjects.tolist() == [0, 1], "a device that was never heard is not down"


def test_a_selector_leaves_other_devices_out() -> None:
    one = three_devices()
    for device in (0, 2):
        one.hear("10:00:00", device=device)
    assert look(one, "11:00:00", IN_PARIS).subjects.tolist() == [0]
    nowhere = AlertRule(name="offline", kind="device_down", labels=(("site", "nice"),))
    unlabelled = AlertRule(name="offline", kind="device_down", labels=(("rack", "1"),))
    assert not any(len(look(one, "11:00:00", rule).subjects) for rule in (nowhere, unlabelled))


def test_alerts_of_deleted_and_relabelled_devices_are_absent() -> None:
    one = three_devices()
    for device in (0, 1, 2):
        one.hear("10:00:00", device=device)
    one.delete("d0")
    found = look(one, "11:00:00", IN_PARIS, d0="10:05:00", d1="10:05:00", d2="10:05:00", d9="10:05:00")
    assert (found.subjects.tolist(), found.absent.tolist()) == ([1], [0, 2, 9])


def test_pauses_maintenance_and_blind_time_are_withheld() -> None:
    one = three_devices()
    for device in (0, 1, 2):
        one.hear("10:00:00", device=device)
    one.pause("10:01:00", device=0)
    found = look(one, "10:10:00")
    assert (found.subjects.tolist(), found.withheld.tolist()) == ([1, 2], [0])
    one.mark("10:20:00", blind_since="10:00:30")
    assert look(one, "10:20:01").withheld.tolist() == [0, 1, 2]
    assert look(one, "10:20:01", IN_PARIS).withheld.tolist() == [0, 1]
    assert look(one, "10:25:00").subjects.tolist() == [1, 2], "blind time extends the deadline"
    one = three_devices()
    one.hear("10:00:00", device=0)
    one.maintain("11:00:00", "12:00:00")
    found = look(one, "11:30:00")
    assert (found.subjects.tolist(), found.withheld.tolist()) == ([], [0, 1, 2])
