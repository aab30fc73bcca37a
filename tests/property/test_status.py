"""Hours of fleet life on a real node: status, transitions, uptime, availability; against a model of every second."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET

from fleetpulse.model.uptime import LEFT_OUT, REASONS
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns
from fleetpulse.query.devices import Filter, Order, list_devices
from fleetpulse.query.downtime import ended_gaps, gaps_of_one
from fleetpulse.query.fleet_columns import FleetColumns, fleet_columns
from fleetpulse.query.slots import count_slots, explain_slots
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import Uptime, UptimeFigures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from status_lives import Life
from status_model import DAY_S, SECOND, Seconds
from uptime_model import UptimeSeconds

STEPS = 14
MISTAKES = (
    "blind time counts",
    "maintenance counts",
    "pauses count",
    "samples are no sign of life",
    "late beats are lost",
    "no grace",
)


@dataclass
class Figures:
    slots: list[tuple[int, str]]
    counts: dict[str, int]
    buckets: list[dict[str, int]]
    before: str
    transitions: list[tuple[str, str, str]]
    uptime: Uptime


def answers(view: FleetView, start_ns: int, end_ns: int, step_s: int | None) -> Figures:
    window = Window(start_ns, end_ns)
    stepped_window = replace(window, step_ns=None if step_s is None else step_s * SECOND)
    changes = device_transitions(view, "", window, limit=100_000)
    gaps = gaps_of_one(view, ended_gaps(view, start_ns=start_ns))
    unheard = np.array([(gap.start_ns, gap.end_ns) for gap in gaps if gap.is_long], np.int64).reshape(-1, 2)
    explained = explain_slots(view, window, unheard=unheard, is_explained=True)
    assert explained.codes is not None
    assert not explained.missing
    counted = explain_slots(view, window, unheard=unheard, is_explained=False).counts
    assert counted.tolist() == explained.counts.tolist()
    stepped = explain_slots(view, stepped_window, unheard=unheard, is_explained=False).counts

    def named(row: list[int]) -> dict[str, int]:
        return {REASONS[code]: number for code, number in enumerate(row) if number}

    return Figures(
        [
            ((explained.start_ns + place * explained.slot_ns) // SECOND, REASONS[code])
            for place, code in enumerate(explained.codes)
        ],
        named(counted[:, 0, 0].tolist()),
        [named(row) for row in stepped[:, 0].T.tolist()],
        changes.status_before,
        [(change.at, change.before, change.after) for change in changes.transitions],
        device_uptime(view, "", stepped_window, is_explained=True, intervals_max=1_000_000),
    )


def time_of(figures: UptimeFigures) -> dict[str, tuple[int, int]]:
    """(down, accountable) in seconds, by measure."""
    pairs = {
        "settled": (figures.up_s, figures.accountable_s),
        "observed": (figures.observed.up_s, figures.observed.accountable_s),
    }
    found = {}
    for name, (up_s, accountable_s) in pairs.items():
        assert isinstance(up_s, Decimal)
        assert isinstance(accountable_s, Decimal)
        found[name] = int(accountable_s - up_s), int(accountable_s)
    assert figures.down_s is not None
    assert figures.availability_accountable_s is not None
    return {**found, "availability": (int(figures.down_s), int(figures.availability_accountable_s))}


def check_uptime(answer: Uptime, model: UptimeSeconds, start: int, end: int, step: int | None) -> None:
    """Figures, those of steps, intervals, which add up to them, and the downtimes of each measure, which do so, too."""
    assert time_of(answer) == model.time(start, end)
    assert answer.downtimes is not UNSET
    for measure, (down_s, _) in time_of(answer).items():
        assert sum(one.seconds for one in getattr(answer.downtimes, measure).stretches) == down_s, measure
    assert answer.intervals is not UNSET
    intervals = [(seconds_of(one.start), seconds_of(one.end), one.reason) for one in answer.intervals]
    assert intervals == model.intervals(start, end), "intervals"
    totals = Counter[str]()
    for one in answer.intervals:
        totals[one.reason] += int(one.seconds)
    assert sum(totals.values()) == end - start
    up = totals["up"] + totals["backfilled"]
    assert (totals["down"], up + totals["down"]) == time_of(answer)["settled"]
    assert answer.left_out_s is not UNSET
    assert {reason: int(seconds) for reason, seconds in answer.left_out_s.items()} == {
        reason: seconds for reason, seconds in totals.items() if reason in LEFT_OUT
    }
    if step is not None:
        assert answer.series is not UNSET
        for point in answer.series:
            at = seconds_of(point.at)
            assert time_of(point) == model.time(at, min(end, at // step * step + step)), f"step at {at}"


def seconds_of(at: str) -> int:
    return parse_rfc3339_ns(at) // SECOND


def count(reasons: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in reasons:
        found[reason] = found.get(reason, 0) + 1
    return found


def first_difference(one: list[tuple[int, str]], other: list[tuple[int, str]]) -> object:
    return next(
        ((left, right) for left, right in zip(one, other, strict=False) if left != right), (len(one), len(other))
    )


async def run(life: Life, steps: int) -> None:
    await life.start()
    await life.register(life.chance.randint(2, 4))
    actions = life.actions()
    for _ in range(steps):
        action = life.chance.choice(actions)
        life.performed.append(f"{life.clock.s}: {action.__name__}")
        try:
            await action()
            await check(life)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter:\n" + "\n".join(life.performed)) from error
    await life.service.node.stop()


async def check(life: Life) -> None:
    seconds = [Seconds(life.model, device) for device in life.model.devices]
    page = await life.service.questions.devices(
        lambda seen: list_devices(*seen, Filter(), Order(), limit=100, cursor=None), start_ns=life.clock.now_ns()
    )
    assert page.total == len(seconds)
    for place, number in enumerate(page.numbers):
        status, since = seconds[number].status()
        answer = await life.service.questions.status(f"d{number}")
        heard = life.model.devices[number].heard[-1][0] * SECOND if life.model.devices[number].heard else 0
        listed = (page.statuses[place], page.since_ns[place], page.last_received_ns[place])
        assert (answer[0], answer[2]) == (listed[0], listed[2]) == (status, heard), (
            number,
            answer,
            listed,
            status,
            heard,
        )
        assert {answer[1] // SECOND, listed[1] // SECOND} <= set(since), (number, status, answer, listed, since[:1])
    for window in some_windows(life):
        await check_window(life, seconds, *window)


def some_windows(life: Life) -> list[tuple[int, int]]:
    def moment() -> int:
        at = life.chance.randint(life.model.origin, life.clock.s - 1)
        return at // (grid := life.chance.choice([1, 60, 300, DAY_S])) * grid

    one, two = sorted((moment(), moment()))
    return [
        (one, max(two, one + 1)),
        (max(life.model.origin, life.clock.s - life.chance.choice([30, 600, 7_200, DAY_S])), life.clock.s),
    ]


async def check_window(life: Life, seconds: list[Seconds], start: int, end: int) -> None:
    start_ns, end_ns = start * SECOND, end * SECOND
    step = life.chance.choice([None, 600, 3_600, DAY_S])
    fleet = await life.service.questions.fleet(
        lambda view: fleet_columns(view, start_ns=start_ns, end_ns=end_ns), start_ns=start_ns
    )
    assert not fleet.missing
    slots_of_all = await life.service.questions.fleet(
        lambda view: count_slots(view, Window(start_ns, end_ns)), start_ns=start_ns
    )
    for number, device in enumerate(seconds):
        answer = await life.service.questions.device(
            f"d{number}", lambda view: answers(view, start_ns, end_ns, step), start_ns=start_ns
        )
        where = (f"d{number}", start, end)
        slots = device.slots(start, end)
        counts = count(reason for _, reason in slots)
        assert answer.slots == slots, (*where, first_difference(answer.slots, slots))
        assert answer.counts == counts, (*where, "counts", answer.counts, counts)
        for bucket, counted in enumerate(answer.buckets):
            origin = start // step * step if step else start
            inside = count(reason for at, reason in slots if step is None or (at - origin) // step == bucket)
            assert counted == inside, (*where, "bucket", bucket, counted, inside)
        before, changes = device.transitions(start, end)
        changes_said = [(format_rfc3339(at * SECOND), one, other) for at, one, other in changes]
        assert (answer.before, answer.transitions) == (before, changes_said), (
            *where,
            answer.before,
            answer.transitions,
            before,
            changes_said,
        )
        model = UptimeSeconds(device)
        try:
            check_uptime(answer.uptime, model, start, end, step)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
        assert fleet_time(fleet, number) == model.time(start, end), (*where, "fleet")
        present = counts.get("up", 0) + counts.get("backfilled", 0)
        plain = (present, present + counts.get("down", 0))
        assert (int(slots_of_all.present[number, 0]), int(slots_of_all.expected[number, 0])) == plain, (*where, "slots")


def fleet_time(fleet: FleetColumns, number: int) -> dict[str, tuple[int, int]]:
    return {
        measure: (int(time.down_ns[number]) // SECOND, int(time.accountable_ns[number]) // SECOND)
        for measure, time in fleet.time.items()
    }


def live(folder: Path, seed: int, *, mistake: str = "", steps: int = STEPS) -> None:
    asyncio.run(run(Life(folder, seed, mistake), steps))


def test_a_life_of_hours_is_told_as_the_plain_model_tells_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first, rounds = request.config.getoption("--life-seed"), request.config.getoption("--life-rounds")
    for seed in range(first, first + rounds):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            live(folder, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_whole_days_that_nothing_touches_are_counted_as_if_by_the_minute(tmp_path: Path) -> None:
    asyncio.run(_whole_days(Life(tmp_path, 1, "")))


async def _whole_days(life: Life) -> None:
    await life.start()
    await life.register(3)
    for number, interval_s in enumerate((60, 60, 300)):
        device = life.model.devices[number]
        device.interval_s = interval_s
        device.policies.append((life.clock.s, interval_s, device.grace_s))
        await life.service.registry.update({number: life._declared(life.model.devices[number])})
    await life.go_on_steadily(29 * 3_600)
    for length in (3_600, DAY_S, DAY_S):
        life.move(length)
        await life.turn()
        assert await life.service.housekeeping.checkpoint()
        await check(life)
        seconds = [Seconds(life.model, device) for device in life.model.devices]
        for first, last in ((0, 2), (1, 2), (1, 3), (0, 3)):
            end = life.model.origin + last * DAY_S
            if end <= life.clock.s:
                await check_window(life, seconds, life.model.origin + first * DAY_S, end)
    await life.service.node.stop()


SOON_FOUND = {"maintenance counts": 3, "pauses count": 19}
"""The seed of a life that tells a mistake, where the first ones do not; should the lives change, others are tried."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_control_a_model_with_a_mistake_is_told_from_the_node(tmp_path: Path, mistake: str) -> None:
    def live_some() -> None:
        for seed in sorted(range(1, 30), key=lambda seed: seed != SOON_FOUND.get(mistake)):
            folder = tmp_path / str(seed)
            folder.mkdir()
            live(folder, seed, mistake=mistake)

    with pytest.raises(AssertionError, match="after:"):
        live_some()
