"""What is excluded is the same whether one device is asked for or all of them."""

import random

import numpy as np
import pytest

from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.query.exclusions import FOREVER_NS, NOT_IN_FORCE, NOTHING_EXCLUDED, exclude, exclude_one

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
DEVICES = 12


def roster_of(chance: random.Random) -> Roster:
    roster = Roster()
    roster.resize(DEVICES)
    for number in range(DEVICES):
        roster.put(number, {"site": chance.choice(["paris", "lyon"]), "floor": chance.choice("12")})
    return roster


def window_of(name: str, chance: random.Random) -> MaintenanceWindow:
    labels = chance.choice([{}, {"site": "paris"}, {"site": "lyon", "floor": "1"}, {"floor": "2"}, {"floor": "3"}])
    devices = tuple(f"d{number}" for number in chance.sample(range(DEVICES + 3), chance.randrange(4)))
    start_ns = chance.randrange(10 * DAY)
    recurrence = Recurrence((), chance.randrange(1_440), 7_200, "Europe/Paris") if chance.random() < 0.3 else None
    return MaintenanceWindow(
        name, "", labels, devices, start_ns, start_ns + chance.randrange(1, 3 * DAY), recurrence, chance.random() < 0.15
    )


@pytest.mark.parametrize("seed", range(40))
def test_classes_of_devices_are_excluded_as_each_of_them_alone(seed: int) -> None:
    chance = random.Random(seed)
    roster = roster_of(chance)
    numbers = {f"d{number}": number for number in range(DEVICES)}
    windows = [window_of(f"w{place}", chance) for place in range(chance.randrange(9))]
    blind_ns = [(at * DAY, at * DAY + chance.randrange(DAY)) for at in range(chance.randrange(4))]
    pauses = {
        number: [
            Pause(number, chance.randrange(5 * DAY), chance.choice([None, 6 * DAY])) for _ in range(chance.randrange(3))
        ]
        for number in chance.sample(range(DEVICES), 3)
    }
    deletions = {
        number: ((chance.randrange(3 * DAY), 4 * DAY), (5 * DAY, None)) for number in chance.sample(range(DEVICES), 2)
    }
    start_ns, end_ns = sorted(chance.sample(range(12 * DAY), 2))
    span = {"start_ns": start_ns, "end_ns": end_ns}
    found = exclude(
        blind_ns=blind_ns, windows=windows, pauses=pauses, deletions=deletions, roster=roster, numbers=numbers, **span
    )
    for device_id, number in numbers.items():
        one = exclude_one(
            device_id=device_id,
            labels=roster.labels_of(number),
            blind_ns=blind_ns,
            windows=windows,
            pauses=pauses.get(number, ()),
            deletions=deletions.get(number, ()),
            **span,
        )
        all_of_it = found.of(number)
        assert all_of_it.blind.tolist() == one.blind.tolist()
        assert all_of_it.maintenance.tolist() == one.maintenance.tolist()
        assert all_of_it.paused.tolist() == one.paused.tolist()
        assert all_of_it.deleted.tolist() == one.deleted.tolist()
    assert sum(len(found.classes[devices]) for devices, _ in found.by_class()) == DEVICES


def test_a_device_that_is_new_while_the_question_is_answered_is_not_looked_for_in_its_roster() -> None:
    roster = Roster()
    roster.resize(2)
    window = MaintenanceWindow("w", "", {}, ("d0", "d2", "gone"), 0, DAY)
    found = exclude(
        blind_ns=[],
        windows=[window],
        pauses={2: [Pause(2, 0, None)]},
        deletions={2: ((0, None),)},
        roster=roster,
        numbers={"d0": 0, "d1": 1, "d2": 2},
        start_ns=0,
        end_ns=DAY,
    )
    assert [found.of(number).maintenance.tolist() for number in (0, 1)] == [[[0, DAY]], []]


def test_a_pause_that_goes_on_has_no_end() -> None:
    found = exclude_one(
        device_id="d0",
        labels={},
        blind_ns=[],
        windows=[],
        pauses=[Pause(0, 5, 9), Pause(0, 20, None)],
        start_ns=0,
        end_ns=DAY,
    )
    assert found.paused.tolist() == [[5, 9], [20, FOREVER_NS]]


def test_devices_with_the_same_windows_or_pauses_are_one_class() -> None:
    roster = Roster()
    roster.resize(1_000)
    numbers = {f"d{number}": number for number in range(1_000)}
    windows = [MaintenanceWindow(f"w{number}", "", {}, (f"d{number}",), 0, DAY) for number in range(500)]
    pauses = {number: [Pause(number, 0, 2 * DAY)] for number in range(400, 600)}
    found = exclude(
        blind_ns=[],
        windows=windows,
        pauses=pauses,
        deletions={},
        roster=roster,
        numbers=numbers,
        start_ns=0,
        end_ns=9 * DAY,
    )
    assert len(found.by_class()) == 4
    assert len(np.unique(found.classes)) == 4


def test_only_classes_that_differ_in_the_time_of_a_question_stay_apart() -> None:
    roster = Roster()
    roster.resize(1_000)
    numbers = {f"d{number}": number for number in range(1_000)}
    windows = [
        MaintenanceWindow(f"w{number}", "", {}, (f"d{number}",), number * DAY, (number + 1) * DAY)
        for number in range(300)
    ]
    found = exclude(
        blind_ns=[(5, 6)],
        windows=windows,
        pauses={},
        deletions={},
        roster=roster,
        numbers=numbers,
        start_ns=0,
        end_ns=400 * DAY,
    )
    within = found.within(100 * DAY, 102 * DAY)
    assert [(places.tolist(), one.maintenance.tolist()) for places, one in within.by_class()[1:]] == [
        ([100], [[100 * DAY, 101 * DAY]]),
        ([101], [[101 * DAY, 102 * DAY]]),
    ]
    assert {one.blind.tolist()[0][0] for _, one in within.by_class()} == {5}
    starts_ns = np.full(len(found.of_class), 400 * DAY)
    starts_ns[found.classes[7]] = 0
    assert found.within(starts_ns, 500 * DAY).classes.nonzero()[0].tolist() == [7]
    assert NOTHING_EXCLUDED.within(0, DAY) is NOTHING_EXCLUDED
    for now_ns, device in ((7 * DAY, 7), (8 * DAY - 1, 7), (8 * DAY, 8)):
        in_force_ns = found.in_force_ns("maintenance", now_ns)
        assert np.flatnonzero(in_force_ns[found.classes] != NOT_IN_FORCE).tolist() == [device]
        assert in_force_ns[found.classes[device]] == device * DAY
    assert (found.in_force_ns("paused", DAY) == NOT_IN_FORCE).all()
