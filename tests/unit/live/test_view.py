"""What the live fleet shows to a question does not change while events go on."""

from array import array

import numpy as np

from fleetpulse.aggregate.uptime import unpack_minutes
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.view import LiveView
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE

DAY = 20_000


def fleet_of(devices: int) -> Fleet:
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(devices)
    fleet.advance(DAY)
    return fleet


def beat(fleet: Fleet, device: int, minute: int, *, day: int = DAY) -> None:
    """A heartbeat of a minute of a day, received at the end of DAY."""
    batch = EventBatch(array("I", [device]), array("q", [day * NS_PER_DAY + minute * NS_PER_MINUTE]))
    batch.received_at_ns = (DAY + 1) * NS_PER_DAY - 1
    fleet.apply([EventColumns.of(batch)])


def minutes(view: LiveView, day: int, device: int) -> list[int]:
    """The minutes of a device, from whatever part of a view they are in."""
    place = device - view.devices.start
    rows = [part[place] for part in view.dense.get(day, ()) if place < len(part)]
    for devices, late in view.sparse.get(day, ()):
        rows += list(late[devices == device])
    return sorted({int(minute) for row in rows for minute in np.flatnonzero(unpack_minutes(row))})


def test_one_device_and_all_of_them_show_the_same() -> None:
    fleet = fleet_of(3)
    for device, minute in ((0, 1), (1, 2), (2, 3)):
        beat(fleet, device, minute)
        beat(fleet, device, minute + 1, day=DAY - 9)
    fleet.freeze()  # what is closing is still in memory
    beat(fleet, 1, 7, day=DAY - 9)
    every = fleet.view(range(3), from_day=DAY - 9)
    for device in range(3):
        one = fleet.view(range(device, device + 1), from_day=DAY - 9)
        for day in (DAY - 9, DAY):
            assert minutes(one, day, device) == minutes(every, day, device)
        assert one.first_minute[0] == every.first_minute[device] == (DAY - 9) * MINUTES_PER_DAY + device + 2
    assert minutes(every, DAY - 9, 1) == [3, 7]


def test_days_before_the_question_are_left_out() -> None:
    fleet = fleet_of(2)
    beat(fleet, 0, 1, day=DAY - 9)
    for devices in (range(2), range(1)):
        view = fleet.view(devices, from_day=DAY - 8)
        assert not view.has_presence(DAY - 9)
        assert view.has_presence(DAY)


def test_later_events_change_no_column_and_no_row_of_one_device() -> None:
    fleet = fleet_of(2)
    beat(fleet, 0, 100)
    one, every = fleet.view(range(1), from_day=0), fleet.view(range(2), from_day=0)
    beat(fleet, 0, 5)
    beat(fleet, 0, 5, day=DAY - 9)
    assert one.first_minute[0] == every.first_minute[0] == DAY * MINUTES_PER_DAY + 100
    assert minutes(one, DAY, 0) == [100]
    assert not one.has_presence(DAY - 9)
    assert not every.has_presence(DAY - 9)


def test_a_view_of_nobody_has_the_samples_of_all() -> None:
    fleet = fleet_of(2)
    now = array("q", [DAY * NS_PER_DAY])
    fleet.apply(
        [
            EventColumns.of(
                EventBatch(
                    sample_devices=array("I", [1]),
                    sample_sent_at_ns=now,
                    sample_values=array("q", [7]),
                    sample_metrics=array("H", [0]),
                )
            )
        ]
    )
    view = fleet.view(range(0), from_day=0)
    assert [piece.values.tolist() for piece in view.samples] == [[7]]
    assert not view.dense
    assert len(view.first_minute) == 0
