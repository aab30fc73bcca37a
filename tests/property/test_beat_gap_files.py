"""Gaps between beats in files are those of the set of beats, whatever is done with the files, and when."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beat_days import DAY, BeatDays, compact_once
from examples import examples
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.model.manifest import BlockFile
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

BEAT = st.tuples(st.integers(0, 3), st.integers(0, 24 * 6))
FORGET = st.tuples(st.integers(0, 3), st.integers(0, 24 * 6), st.just("forget"))
DEEDS = ["checkpoint", "compact", "compact", "restart", "tomorrow"]
STEPS = st.lists(st.lists(BEAT, min_size=1, max_size=8) | st.sampled_from(DEEDS) | FORGET, max_size=40)


Step = str | list[tuple[int, int]] | tuple[int, int, str]


def do(days: BeatDays, step: Step) -> None:
    match step:
        case "checkpoint":
            days.checkpoint()
        case "compact":
            days.compact()
        case "restart":
            days.checkpoint()
            days.restart()
        case "tomorrow":
            days.today += 1
        case (device, hour, "forget"):
            days.forget(device, DAY * NS_PER_DAY + hour * NS_PER_HOUR)
        case list():
            for device, hour in step:
                days.beat(device, DAY * NS_PER_DAY + hour * NS_PER_HOUR)


def compact_all(days: BeatDays) -> None:
    for _ in range(500):
        if not days.compact(partial(compact_once, is_forced=True)):
            return
    raise AssertionError("compaction must come to an end")


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_beats_checkpoints_compaction_and_restarts_in_any_order_give_the_gaps_of_the_set_of_beats(
    steps: list[Step],
) -> None:
    days = BeatDays()
    for step in steps:
        do(days, step)
        assert days.found() == days.expected()
    days.checkpoint()
    compact_all(days)
    assert days.found() == days.expected()
    assert days.found(range(2, 3)) == days.expected(range(2, 3))
    assert days.history.manifest.backfill == ()
    assert days.damaged == []
    assert all(len(chains(files)) <= 7 for files in days.history.manifest.beat_gaps.values())


@dataclass
class Life:
    """Devices that run, fall silent, and send late what they kept, with files that are damaged and come back."""

    seed: int
    days: BeatDays = field(default_factory=BeatDays)
    forgets: int = 0
    """How often devices forget, beside what happens 25 times."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    """What was written of the files that are damaged now."""

    def live(self, steps: int) -> None:
        chance = np.random.default_rng(self.seed)
        deeds = ["forward"] * 8 + ["late"] * 4 + ["backlog"] * 3 + ["checkpoint"] * 3 + ["compact"] * 4
        deeds += ["tomorrow", "restart", "damage", "restore", "before"] + ["forget"] * self.forgets
        for deed in chance.choice(deeds, steps).tolist():
            self.do(deed, int(chance.integers(0, 6)), chance)

    def do(self, deed: str, device: int, chance: np.random.Generator) -> None:
        days, now = self.days, self.days.last.get(device, DAY * NS_PER_DAY)
        first = days.first.get(device, now)
        gaps = days.expected(range(device, device + 1))
        if deed == "forward":
            days.beat(device, now + int(chance.choice([1, 1, 5, 20, 40])) * NS_PER_HOUR)
        elif deed == "before":
            days.beat(device, first - int(chance.integers(1, 9)) * NS_PER_HOUR)
        elif deed == "late" and now > first:
            days.beat(device, int(chance.integers(first, now)))
        elif deed == "backlog" and gaps:
            _, start, end = gaps[int(chance.integers(0, len(gaps)))]
            count = int(chance.integers(1, (end - start) // NS_PER_HOUR + 3))  # to the end of the gap, and beyond it
            for place in chance.permutation(count).tolist():
                days.beat(device, min(start + (place + 1) * NS_PER_HOUR, now))
        elif deed == "damage" and (files := days.history.manifest.files()):
            self.damage(files[int(chance.integers(0, len(files)))])
        elif deed == "forget" and not self.bodies:
            days.forget(device, int(chance.integers(first, now + 1)))
        elif deed == "restore":
            self.restore()
        elif deed in DEEDS:
            do(days, deed)

    def damage(self, file: BlockFile) -> None:
        if file.name not in self.bodies:
            with self.days.history.store.open(file.name) as reader:
                self.bodies[file.name] = reader.read()
            put(self.days, file.name, b"damaged")
            self.days.restart()

    def restore(self) -> None:
        for name, body in self.bodies.items():
            put(self.days, name, body)
        self.bodies.clear()
        self.days.restart()
        assert self.days.found() == self.days.expected()


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32))
def test_what_was_forgotten_leaves_no_trace_and_may_be_sent_again(seed: int) -> None:
    life = Life(seed, forgets=4)
    life.live(150)
    life.restore()
    compact_all(life.days)
    assert life.days.found() == life.days.expected()
    assert life.days.kept == []


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_files_hide_days_until_they_are_back_and_compaction_loses_nothing_meanwhile(seed: int) -> None:
    life = Life(seed)
    life.live(150)
    days = life.days
    days.checkpoint()
    hidden: list[int] = []
    found = days.found(on_damage=lambda day, _: hidden.append(day))
    # Of a day that is hidden, gaps that late beats have divided may have ended on earlier days.
    assert set(found) <= set(days.expected())
    assert all(row[2] // NS_PER_DAY <= max(hidden) for row in set(days.expected()) - set(found))
    compact_all(days)
    life.restore()
    compact_all(days)
    assert days.found() == days.expected()
    assert days.found(range(2, 3)) == days.expected(range(2, 3))
    assert (days.history.manifest.covers, days.history.manifest.backfill) == ({}, ())


def put(days: BeatDays, name: str, body: bytes) -> None:
    days.history.store.put(name, lambda to: to.write(body) and None)
