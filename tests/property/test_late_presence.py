"""Late data in memory, in late blocks, half merged or merged: questions get the answers of a plain set of minutes."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.blocks.compaction import merge_late
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.join_late import WAITING_MAX
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.forget import count_before
from fleetpulse.blocks.stored_late import late_of_device
from fleetpulse.blocks.verification import count_closed_minutes
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.pipeline.recover import load_snapshot
from fleetpulse.query.export import Selection, export_presence
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.slots import count_slots
from fleetpulse.query.stats import lifetime_figures
from fleetpulse.query.window import Window
from one_fleet import OneFleet

DEVICES = 3
FIRST_DAY = 20_570
DAYS = 8
"""Days of beats. At first it is the fifth of them, so that the first three are closed before they have any presence."""
TIMES = {"a day later": 12 * NS_PER_HOUR, "midnight": NS_PER_HOUR // 2, "one": NS_PER_HOUR + NS_PER_MINUTE}
"""What the clock shows afterwards: a day that has ended is open for an hour."""
UPLOAD_TIME = MetricDefinition(name="upload_time", kind="integer")
Beat = tuple[int, int]
"""Device, minute since the first day."""

BEATS = st.tuples(
    st.integers(0, DEVICES - 1),
    st.integers(0, DAYS - 1),
    st.sampled_from([0, 1, 63, 64, 700, 1438, 1439]) | st.integers(0, MINUTES_PER_DAY - 1),
).map(lambda beat: (beat[0], beat[1] * MINUTES_PER_DAY + beat[2]))
STEPS = st.lists(
    st.one_of(st.lists(BEATS, max_size=12), st.sampled_from(["checkpoint", "merge", "restart", *TIMES])), max_size=14
)


class LateLife:
    """A fleet whose history is closed again and again, and the plain set of minutes that it must know."""

    def __init__(self, *, now_day: int = FIRST_DAY + 4) -> None:
        self.one = OneFleet(day="2026-05-01", devices=DEVICES)
        self.first_day = FIRST_DAY
        self.now_day = now_day
        self.minutes: set[Beat] = set()
        self.advance(NS_PER_DAY // 2)

    def advance(self, time_ns: int) -> None:
        """The clock shows this time of the day."""
        self.one.now = self.now_day * NS_PER_DAY + time_ns
        self.one.fleet.advance(self.one.now)

    def beat(self, device: int, minute: int) -> None:
        """A beat that was sent in a minute, and comes now; none of the future."""
        sent_at_ns = (self.first_day * MINUTES_PER_DAY + minute) * NS_PER_MINUTE + 7
        if sent_at_ns <= self.one.now:
            self.one.beat_at(sent_at_ns, device)
            self.minutes.add((device, minute))

    def step(self, step: str | Sequence[Beat]) -> None:
        """Do what the step says."""
        if not isinstance(step, str):
            for beat in step:
                self.beat(*beat)
        elif step == "checkpoint":
            self.one.checkpoint()
        elif step == "merge":
            self.merge()
        elif step == "restart":
            self.restart()
        else:
            self.now_day += step != "one"
            self.advance(TIMES[step] if step != "one" else max(TIMES[step], self.one.now % NS_PER_DAY))

    def merge(self) -> bool:
        """A piece of compaction; whether there was one."""
        history = self.one.history
        change = next_change(
            history, history.manifest, metrics={0: UPLOAD_TIME}, today=None, pause=lambda: None, is_forced=True
        )
        if change is None:
            return False
        history.manifest = apply_change(history.manifest, change)
        if change.late is not None:
            self.one.fleet.add_closed_minutes(*change.late.new_minutes)
        return True

    def restart(self) -> None:
        """Stop with a checkpoint, and start from the blocks."""
        self.one.checkpoint()
        fleet = Fleet(policy=HeartbeatPolicy(60, 240))
        fleet.resize(DEVICES)
        load_snapshot(fleet, self.one.history)
        fleet.advance(self.one.now)
        self.one.fleet = fleet
        object.__setattr__(self.one.views, "fleet", fleet)  # a frozen part

    def check(self) -> None:
        """Ask everything that reads presence."""
        start_ns, end_ns = self.first_day * NS_PER_DAY, self.now_day * NS_PER_DAY
        by_device = [{minute for number, minute in self.minutes if number == device} for device in range(DEVICES)]
        inside = [
            {minute for minute in one if minute < (self.now_day - FIRST_DAY) * MINUTES_PER_DAY} for one in by_device
        ]
        window = Window(start_ns, end_ns)
        counts = count_slots(self.one.fleet_view(start_ns), window)
        assert counts.present[:, 0].tolist() == list(map(len, inside))
        for device, minutes in enumerate(by_device):
            seen = self.one.views.lifetime(device)()
            figures = lifetime_figures(seen, upload_time=UPLOAD_TIME).figures
            assert figures.minutes_present == len(minutes)
            view = self.one.view(start_ns, device)
            assert device_slot_uptime(view, f"d{device}", window, is_explained=False).present == len(inside[device])
            self.check_forgetting(device, minutes)
        assert self.exported(start_ns, end_ns + NS_PER_DAY) == self.minutes

    def check_forgetting(self, device: int, minutes: set[int]) -> None:
        """What would be forgotten is counted right, whatever holds it."""
        cut = 3 * MINUTES_PER_DAY + 64
        live = {day: rows[0][:][0] for day, rows in self.one.view(0, device).live.dense.items()}
        history = self.one.history
        before_ns = (self.first_day * MINUTES_PER_DAY + cut) * NS_PER_MINUTE
        found = count_before(history, history.manifest, device, before_ns=before_ns, live=live, pause=lambda: None)
        assert found.minutes == len([minute for minute in minutes if minute < cut])

    def exported(self, start_ns: int, end_ns: int) -> set[Beat]:
        """The minutes of an export; each comes once."""
        selection = Selection(str, np.ones(DEVICES, bool), 50)
        rows = [
            (int(name), at_ns // NS_PER_MINUTE - self.first_day * MINUTES_PER_DAY)
            for piece in export_presence(self.one.fleet_view(start_ns), selection, start_ns=start_ns, end_ns=end_ns)
            if piece
            for name, at_ns in zip(piece["device_id"].tolist(), piece["minute"].tolist(), strict=True)
        ]
        assert len(rows) == len(set(rows))
        return set(rows)

    def check_blocks(self) -> None:
        """Snapshot and blocks agree, as `verify` sees it."""
        count_closed_minutes(self.one.store, self.one.history.manifest)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_any_cut_of_late_data_gives_the_answers_of_one_pass(steps: list[str | list[Beat]]) -> None:
    life = LateLife()
    for step in steps:
        life.step(step)
        life.check()
    life.one.checkpoint()
    while life.merge():
        life.check()
        life.check_blocks()
    assert not life.one.history.manifest.late
    life.restart()
    life.check()


@pytest.mark.parametrize("days_at_once", [1, 2, 16])
def test_a_merge_takes_a_few_days_at_a_time_the_oldest_first(
    days_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_late, "DAYS_AT_ONCE", days_at_once)
    life = LateLife(now_day=FIRST_DAY + DAYS)
    for day in range(DAYS - 2):
        life.beat(1, day * MINUTES_PER_DAY)
    life.one.checkpoint()
    pieces = 0
    while life.merge():
        pieces += 1
        life.check()
        left = {day for block in life.one.history.manifest.late for day in block.days}
        assert left == set(range(FIRST_DAY + min(pieces * days_at_once, DAYS - 2), FIRST_DAY + DAYS - 2))
    assert pieces == -(-(DAYS - 2) // days_at_once)


@pytest.mark.parametrize("seed", range(2))
def test_a_day_may_stay_damaged_for_any_number_of_checkpoints(seed: int) -> None:
    chance = np.random.default_rng(seed)
    life = LateLife(now_day=FIRST_DAY + DAYS)
    life.beat(0, 5)
    life.beat(1, MINUTES_PER_DAY)
    life.one.checkpoint()
    while life.merge():
        pass
    history, bodies = life.one.history, {}
    for day in (FIRST_DAY, FIRST_DAY + 1):
        name = history.manifest.presence[day].name
        with life.one.store.open(name) as reader:
            bodies[name] = reader.read()
        life.one.store.put(name, lambda out, name=name: out.write(bodies[name][:-9]))
    history._checked.clear()
    for _ in range(40):
        for minute in chance.integers(0, 2 * MINUTES_PER_DAY, 4).tolist():
            life.beat(minute % DEVICES, minute)
        life.one.checkpoint()
        while life.merge():
            pass
        assert len(history.manifest.late) <= 3 * WAITING_MAX
    assert {day for block in history.manifest.late for day in block.days} <= {FIRST_DAY, FIRST_DAY + 1}
    waiting = [late_of_device(history, history.manifest, device) for device in range(DEVICES)]
    late_minutes = sum(int(count_minutes(rows[None])[0]) for by_day in waiting for rows in by_day.values())
    assert late_minutes >= len(life.minutes) - 2  # less those that the days held before
    for name, body in bodies.items():
        life.one.store.put(name, lambda out, body=body: out.write(body))
    assert sorted(history.check_again()) == sorted(bodies)
    life.check()
    while life.merge():
        life.check()
        life.check_blocks()
    assert not history.manifest.late


def test_a_damaged_day_keeps_its_late_rows_and_others_are_merged() -> None:
    life = LateLife()
    life.beat(0, 5)
    life.beat(0, MINUTES_PER_DAY)
    life.one.checkpoint()
    while life.merge():
        pass
    file = life.one.history.manifest.presence[FIRST_DAY]
    with life.one.store.open(file.name) as reader:
        body = reader.read()
    life.one.store.put(file.name, lambda out: out.write(body[:-9]))
    life.one.history._checked.clear()
    for minute in (6, MINUTES_PER_DAY + 6):
        life.beat(0, minute)
    life.one.checkpoint()
    while life.merge():
        pass
    assert [block.days for block in life.one.history.manifest.late] == [frozenset({FIRST_DAY})]
    life.one.store.put(file.name, lambda out: out.write(body))
    assert life.one.history.check_again() == [file.name]
    while life.merge():
        pass
    assert not life.one.history.manifest.late
    life.check()
    life.check_blocks()
