"""Any walk of the server's clock: no fact that is journaled changes, live, after restarts, crashes and checkpoints."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.errors import Answerable
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.query.downtime import ended_gaps
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.status import device_transitions
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from memory_service import NOON, SECOND, World, beat

DEVICES = ("d0", "d1")
Step = tuple[Literal["live", "step", "checkpoint", "restart", "crash"], int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("live"), st.integers(1, 900)),
        st.tuples(st.just("step"), st.sampled_from([-40_000, -3_600, -600, -61, -6, -4, 4, 61, 600, 3_600, 40_000])),
        st.tuples(st.just("checkpoint"), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 600)),
        st.tuples(st.just("crash"), st.integers(0, 600)),
    ),
    min_size=1,
    max_size=12,
)


class Life:
    """A service whose clock walks; after every step, all facts from before the mark are as they were."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.begin_ns = self.world.clock.ns
        self.marks: list[int] = []
        self.known: list[list[Any]] = []

    async def run(self, steps: Sequence[Step]) -> None:
        self.service = await self.world.started(*DEVICES)
        self._stop_ticking()
        await self.hear()
        await self.remember()
        for kind, size in steps:
            await getattr(self, kind)(size)
            await self.check()
            await self.remember()
        await self.service.node.stop()

    def _stop_ticking(self) -> None:
        assert self.service.node._ticker is not None
        self.service.node._ticker.cancel()  # it ticks by the real clock, and we by ours

    async def hear(self) -> None:
        clock = self.service.clock
        for device in DEVICES[: 1 + self.world.clock.ns // SECOND % 2]:
            mark_ns, is_open = clock.mark_ns, self.service.intake.closed_by is None
            if clock.is_behind or not is_open:
                with pytest.raises(Answerable) as refused:
                    await self._send(device)
                assert (refused.value.reason, clock.mark_ns) == ("clock", mark_ns)
            else:
                await beat(self.service, device)
                assert clock.mark_ns >= mark_ns

    async def _send(self, device: str) -> None:
        self.service.intake.check()  # the service knows that its clock is behind, or finds out when it writes
        await beat(self.service, device)

    async def tick(self) -> None:
        self.service.node.tick()
        await self.service.writer.drain()

    async def live(self, seconds: int) -> None:
        end_ns = self.world.clock.ns + seconds * SECOND
        while self.world.clock.ns < end_ns:
            self.world.clock.ns = min(end_ns, self.world.clock.ns + 50 * SECOND)
            await self.tick()
            if self.world.clock.ns // SECOND % 7:
                await self.hear()

    async def step(self, seconds: int) -> None:
        self.world.clock.step(seconds * SECOND)
        if seconds % 2:
            await self.tick()  # else the next event comes before the service looks at its clock
        await self.hear()

    async def checkpoint(self, _: int) -> None:
        assert await self.service.housekeeping.checkpoint()

    async def restart(self, off_s: int) -> None:
        await self.service.node.stop()
        await self._start(off_s)

    async def crash(self, off_s: int) -> None:
        assert self.service.node._ticker is not None
        self.service.node._ticker.cancel()
        self.service.writer._jobs.put(None)
        self.service.writer._thread.join()
        self.service.threads.close()
        self.service.catalog.close()
        await self._start(off_s)

    async def _start(self, off_s: int) -> None:
        self.world.clock.ns += off_s * SECOND
        self.service = await self.world.started()
        self._stop_ticking()

    async def facts(self, end_ns: int) -> list[Any]:
        """What is known of the time before `end_ns`: of each device transitions, gaps and uptime; blind time."""
        window = Window(self.begin_ns - 100 * SECOND, end_ns)
        found: list[Any] = []
        for device in DEVICES:
            transitions = partial(device_transitions, device_id=device, window=window, limit=10_000)
            uptime = partial(device_slot_uptime, device_id=device, window=window, is_explained=False)
            found.append(await self.service.questions.device(device, transitions, start_ns=window.start_ns))
            found.append(await self.service.questions.device(device, partial(stored_gaps, end_ns=end_ns), start_ns=0))
            figures = await self.service.questions.device(device, uptime, start_ns=window.start_ns)
            # Other figures may change: once a gap is long, what was up so far is down, and blind time counts no longer.
            found.append((figures.present, figures.expected, figures.down_s))
        blind = [(start, min(end, end_ns)) for start, end in self.service.fleet.blind_ns if start < end_ns]
        return [*found, blind]

    async def remember(self) -> None:
        self.service.follower.catch_up()
        end_ns = self.service.fleet.alive_at_ns
        if end_ns not in self.marks:
            self.marks.append(end_ns)
            self.known.append(await self.facts(end_ns))

    async def check(self) -> None:
        for end_ns, known in zip(self.marks, self.known, strict=True):
            now = await self.facts(end_ns)
            assert now == known
        if not self.service.clock.is_behind:
            assert self.service.clock.now_ns() >= self.service.clock.mark_ns


def stored_gaps(view: FleetView, *, end_ns: int) -> list[tuple[int, int]]:
    """Start and end of every reception gap of the one device of a view that ended before `end_ns`."""
    pieces = ended_gaps(view, start_ns=0)
    rows = [row for gaps in pieces for row in zip(gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)]
    return sorted(row for row in rows if row[1] < end_ns)


def walk(steps: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(Life(Path(name)).run(steps))


@settings(max_examples=examples(15), deadline=None)
@given(STEPS)
def test_no_walk_of_the_clock_changes_a_fact_from_before_the_mark(steps: list[Step]) -> None:
    walk(steps)


def entry(received_at_ns: int, device: int, blind_ns: Sequence[int]) -> EventColumns:
    batch = EventBatch(received_at_ns=received_at_ns)
    batch.heartbeat_devices.append(device)
    batch.heartbeat_sent_at_ns.append(NOON)
    batch.blind_ns.extend(blind_ns)
    return EventColumns.of(batch)


def turn_back(fleet: Fleet, batch: EventColumns) -> None:
    """The rule of version 0.1.0, which took an entry that steps back as proof that later ones were wrong."""
    now_ns = batch.received_at_ns
    if now_ns < fleet.alive_at_ns - 60 * SECOND:
        fleet.alive_at_ns = now_ns
        np.minimum(fleet.last_received_ns, now_ns, out=fleet.last_received_ns)
        np.minimum(fleet.up_since_ns, now_ns, out=fleet.up_since_ns)
        fleet.gaps = [gaps.where(gaps.end_ns <= now_ns) for gaps in fleet.gaps]
        fleet.blind_ns = [(start, min(end, now_ns)) for start, end in fleet.blind_ns if start < now_ns]


def no_rule(_: Fleet, __: EventColumns) -> None:
    pass


def facts_of(fleet: Fleet) -> tuple[list[tuple[int, ...]], list[tuple[int, int]]]:
    columns = [[gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist()] for gaps in fleet.gaps]
    rows = [row for piece in columns for row in zip(*piece, strict=True)]
    return sorted(rows), list(fleet.blind_ns)


def replay_steps(walk: Sequence[tuple[int, int]], rule: Callable[[Fleet, EventColumns], None]) -> None:
    """Replay entries at seconds after noon, as older versions wrote them; nothing that was known may be lost."""
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(2)
    for second, device in walk:
        at_ns = NOON + second * SECOND
        known, last_ns, alive_ns = facts_of(fleet), fleet.last_received_ns.copy(), fleet.alive_at_ns
        is_leap = alive_ns and at_ns - alive_ns >= 60 * SECOND
        batch = entry(at_ns, device, (alive_ns, at_ns) if is_leap else ())
        rule(fleet, batch)
        fleet.apply([batch])
        now = facts_of(fleet)
        assert set(known[0]) <= set(now[0]), "gaps were set aside"
        assert now[1][: len(known[1])] == known[1], "blind time was set aside"
        assert (fleet.last_received_ns >= last_ns).all()
        assert fleet.alive_at_ns == max(alive_ns, at_ns)


WALKS = st.lists(st.tuples(st.integers(-50_000, 50_000), st.integers(0, 1)), max_size=30)


@given(WALKS)
def test_entries_that_step_back_set_nothing_aside(walk: list[tuple[int, int]]) -> None:
    replay_steps(walk, no_rule)


def test_control_the_rule_of_before_sets_facts_aside() -> None:
    yesterday_and_an_hour_back = [(0, 0), (1_000, 0), (2_000, 1), (-2_600, 0), (2_100, 0)]
    replay_steps(yesterday_and_an_hour_back, no_rule)
    with pytest.raises(AssertionError, match="set aside"):
        replay_steps(yesterday_and_an_hour_back, turn_back)


@settings(max_examples=examples(8), deadline=None)
@given(STEPS, st.sampled_from([3_600, 40_000, 500 * 86_400]), STEPS)
def test_what_came_in_while_the_clock_was_ahead_is_put_right_and_nothing_from_before(
    before: list[Step], ahead_s: int, wrong: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_ahead(Life(Path(name)), before, ahead_s, [step for step in wrong if step[0] != "step"]))


async def _ahead(life: Life, before: Sequence[Step], ahead_s: int, wrong: Sequence[Step]) -> None:
    world = life.world
    life.service = await world.started(*DEVICES)
    life._stop_ticking()
    await life.hear()
    await life.remember()
    for kind, size in [step for step in before if step[0] != "step"]:
        await getattr(life, kind)(size)
        await life.remember()
    right_until_ns = life.service.fleet.alive_at_ns
    world.clock.step(ahead_s * SECOND)
    for kind, size in [("live", 1), *wrong, ("live", 1)]:
        # Restarts while the clock is ahead: time off is told from a leap by the present lying in it, or not at all.
        await getattr(life, kind)(min(size, ahead_s // 20) if kind in ("live", "restart", "crash") else size)
    world.clock.step(-ahead_s * SECOND)
    await life.tick()
    assert life.service.clock.is_behind
    answer = await life.service.clock_acceptance.show()
    assert answer.would_correct is not None
    corrected = await life.service.clock_acceptance.accept(answer.latest)
    assert not corrected.is_behind
    await life.hear()
    await life.check()
    fleet = life.service.fleet
    life.service.follower.catch_up()
    assert fleet.alive_at_ns <= world.clock.ns
    assert (fleet.last_received_ns <= world.clock.ns).all()
    assert all(right_until_ns >= start or end <= world.clock.ns for start, end in fleet.blind_ns)
    live = await life.facts(world.clock.ns)
    for kind in ("crash", "checkpoint", "restart"):
        await getattr(life, kind)(0)
        assert await life.facts(world.clock.ns) == live
        await life.check()
    assert parse_rfc3339_ns(answer.would_correct.since) <= world.clock.ns
    await life.service.node.stop()
