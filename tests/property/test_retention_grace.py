"""However retention is lowered and raised, nothing is deleted that was kept at any time within the grace before."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.retention import Grace, coming_deletions, days_of, graces_after, in_force
from fleetpulse.pipeline.service import Service
from memory_service import DAY, SECOND, Sender, World

GRACE_NS = 10
DEFINITIONS = st.builds(
    lambda retention, raw: MetricDefinition(
        name="cpu", retention_days=retention, raw_days=None if raw is None else min(raw, retention)
    ),
    st.integers(1, 5),
    st.none() | st.integers(1, 5),
)
CHANGES = st.lists(st.tuples(st.integers(0, 15), DEFINITIONS), min_size=1, max_size=8)


def kept_days(history: list[tuple[int, MetricDefinition]], now_ns: int) -> tuple[int, int]:
    """Plainly: the most days that any definition kept that was in force within the grace before now."""
    ends = [start_ns for start_ns, _ in history[1:]] + [now_ns + 1]
    recent = [metric for (_, metric), end_ns in zip(history, ends, strict=True) if end_ns > now_ns - GRACE_NS]
    return max(days_of(metric, "retention_days") for metric in recent), max(
        days_of(metric, "raw_days") for metric in recent
    )


def check(first: MetricDefinition, changes: list[tuple[int, MetricDefinition]], *, grace_ns: int) -> None:
    """Raises: AssertionError: less is kept than was within the grace, or something else is announced than happens."""
    history, graces, now_ns = [(0, first)], list[Grace](), 0
    for wait_ns, metric in changes:
        now_ns += wait_ns
        graces = graces_after(graces, history[-1][1], metric, until_ns=now_ns + grace_ns)
        history.append((now_ns, metric))
        announced = coming_deletions(metric, graces, now_ns=now_ns)
        last = in_force(metric, graces, now_ns=now_ns)
        for at_ns in range(now_ns, now_ns + 2 * GRACE_NS):
            force = in_force(metric, graces, now_ns=at_ns)
            assert (force.retention_days, days_of(force, "raw_days")) == kept_days(history, at_ns)
            is_shorter = any(days_of(force, kept) < days_of(last, kept) for kept in ("retention_days", "raw_days"))
            assert is_shorter == (at_ns in {deletion.at_ns for deletion in announced})
            last = force


@given(DEFINITIONS, CHANGES)
def test_what_is_kept_is_the_most_that_was_kept_within_the_grace(
    first: MetricDefinition, changes: list[tuple[int, MetricDefinition]]
) -> None:
    check(first, changes, grace_ns=GRACE_NS)


def test_the_control_without_a_grace_is_noticed() -> None:
    with pytest.raises(AssertionError):
        check(MetricDefinition(name="cpu"), [(5, MetricDefinition(name="cpu", retention_days=1))], grace_ns=0)


class Kept:
    """A service with one sample of thirty days ago, through restarts."""

    def __init__(self, folder: Path, retention_grace_s: int) -> None:
        self.world = World(folder)
        self.retention_grace_s = retention_grace_s
        self.service: Service

    async def start(self) -> None:
        self.service = await self.world.started("d0", retention_grace_s=self.retention_grace_s, clock_leap_wait_s=0.0)

    async def fill(self) -> None:
        await self.start()
        sender = Sender()
        self.service.intake.add_sample(0, self.world.clock.ns - 30 * DAY, 7, sender)
        await self.service.writer.drain()
        await sender.outcome
        assert await self.service.housekeeping.checkpoint()

    async def later(self, hours: int) -> bool:
        """Whether the sample is still there so many hours later, after a restart and all compaction."""
        await self.service.node.stop()
        self.world.clock.ns += hours * 3_600 * SECOND
        await self.start()
        while await self.service.housekeeping.compact(is_forced=True):
            pass
        return any(block.samples for block in self.service.history.manifest.samples)

    async def set_days(self, days: int) -> None:
        await self.service.metric_definitions.change("upload_time", lambda metric: replace(metric, retention_days=days))


STEPS = st.lists(st.tuples(st.sampled_from([7, 365]), st.sampled_from([0, 1, 13, 25])), min_size=1, max_size=4)


def live(steps: list[tuple[int, int]], *, retention_grace_s: int) -> None:
    """Raises: AssertionError: the sample is gone although it was kept at a time within a day before, or stays."""

    async def life(folder: Path) -> None:
        kept = Kept(folder, retention_grace_s)
        await kept.fill()
        is_there, short_since_h, now_h = True, None, 0
        for days, hours in steps:
            await kept.set_days(days)
            short_since_h = None if days == 365 else now_h if short_since_h is None else short_since_h
            now_h += hours
            is_there = is_there and (short_since_h is None or now_h - short_since_h < 24)
            assert await kept.later(hours) == is_there
        await kept.service.node.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(life(Path(folder)))


@settings(max_examples=examples(25), deadline=None)
@given(STEPS)
def test_a_service_deletes_nothing_within_the_grace_and_all_of_it_afterwards(steps: list[tuple[int, int]]) -> None:
    live(steps, retention_grace_s=86_400)


def test_the_control_a_service_without_a_grace_deletes_at_once() -> None:
    with pytest.raises(AssertionError):
        live([(7, 1)], retention_grace_s=0)
