"""A series of the whole fleet is computed in one pass, and has the figures of a question of its own for each step.

Devices of several intervals are heard, silent, paused, deleted and maintained at random; days are open, closed in
blocks, or lost. The steps need not be whole minutes, nor multiples of a device's slot.
"""

import random

import pytest

from examples import examples
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import always
from fleetpulse.query.fleet import fleet_uptime
from fleetpulse.query.fleet_columns import FleetColumns, fleet_columns, fleet_columns_by_step
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
DEVICES, DAYS = 6, 4


def random_fleet(chance: random.Random, *, is_stored: bool) -> OneFleet:
    """Some days of a fleet."""
    one = OneFleet(devices=0)
    for number in range(DEVICES):
        one.add(f"d{number}", site=chance.choice(["paris", "lyon"]))
        one.fleet.set_policy(number, always(HeartbeatPolicy(chance.choice([30, 60, 300, 1_800, 3_600]), 240)))
    start_ns = one.now
    moments = sorted(
        (start_ns + chance.randrange(DAYS * DAY), chance.randrange(DEVICES - 1)) for _ in range(chance.randrange(400))
    )
    for at_ns, device in moments:
        one.now = at_ns
        for _ in range(chance.choice([1, 1, 20])):
            one.beat_at(one.now - chance.choice([0, 0, 0, 3 * HOUR]), device)
            one.now += chance.choice([20 * SECOND, MINUTE, 10 * MINUTE])
    one.now = max(one.now, start_ns + DAYS * DAY)
    for _ in range(chance.randrange(3)):
        first, last = sorted(start_ns + chance.randrange(DAYS * DAY) for _ in range(2))
        device = chance.randrange(DEVICES)
        kind = chance.randrange(3)
        if kind == 0:
            one.pause_at(first, chance.choice([None, last]), device)
        elif kind == 1:
            one.deletions[device] = ((first, last),)
        else:
            one.maintain("2026-05-12T06:00:00", "2026-05-13T06:30:30")
    if is_stored:
        one.hear("2026-05-16T00:00:05")
        one.checkpoint()
    return one


def rows(columns: FleetColumns) -> list[tuple[str, list[int], list[int]]]:
    """Of each measure that is known: time down, and accountable."""
    return [(name, time.down_ns.tolist(), time.accountable_ns.tolist()) for name, time in columns.time.items()]


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("seed", range(examples(8, least=4)))
def test_one_pass_gives_what_a_question_for_each_step_gives(seed: int, is_stored: bool) -> None:
    chance = random.Random(seed)
    one = random_fleet(chance, is_stored=is_stored)
    for gaps in list(one.history.manifest.gaps.values())[:1] if chance.random() < 0.3 else []:
        for file in gaps:
            one.lose(file)
    for step_ns in (7 * MINUTE + 30 * SECOND, HOUR, 5 * HOUR, DAY, 90 * SECOND):
        start_ns = one.at("00:00:00") + chance.randrange(2 * DAY)
        window = Window(start_ns, min(one.now, start_ns + chance.randrange(1, 60) * step_ns), step_ns)
        view = one.fleet_view(window.start_ns)
        found = [rows(columns) for columns in fleet_columns_by_step(view, window)]
        alone = [rows(fleet_columns(view, start_ns=step.start_ns, end_ns=step.end_ns)) for step in window.steps()]
        assert found == alone, step_ns
        pieces = fleet_columns_by_step(view, window, pass_bytes_max=chance.randrange(1, 20_000))
        assert [rows(columns) for columns in pieces] == alone
        assert view.budget.taken_bytes == 0
        series = [group.series for group in fleet_uptime(view, window, by="site", labels=()).groups]
        for step, points in zip(window.steps(), zip(*series, strict=True), strict=True):
            apart = fleet_uptime(view, step, by="site", labels=())
            assert [figures_of(point) for point in points] == [figures_of(group) for group in apart.groups]


def figures_of(group: object) -> dict[str, object]:
    names = ("uptime", "up_s", "accountable_s", "observed", "availability", "down_s", "availability_accountable_s")
    return {name: getattr(group, name) for name in names}
