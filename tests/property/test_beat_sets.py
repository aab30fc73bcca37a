"""Gaps between beats are a function of the set of beats, whatever order, batches, checkpoints and restarts are between.

The plain model keeps every beat. Blocks are played by what `settle` gives: gaps, and backfill that divides them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beat_sets import BEATS, DAY, DEVICES, MINUTE, NOON, Beat, batch_of, gaps_of, new_fleet
from examples import examples
from fleetpulse.aggregate.beat_gaps import divide, join_backfill
from fleetpulse.live.beat_gaps import settle
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS, DeviceSpans, join_device_spans, sort_device_spans
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.forgotten import NO_MINUTE, BeforeCut, Order
from fleetpulse.model.server_clock import NO_LEAPS

STEPS = st.lists(
    BEATS
    | st.sampled_from(["freeze", "finish", "fail", "restart"])
    | st.tuples(st.just("forget"), st.integers(0, DEVICES - 1), st.integers(-40, 40)),
    max_size=20,
)


@dataclass
class Life:
    """A fleet, the blocks of its checkpoints, and its journal since the last one."""

    fleet: Fleet = field(default_factory=new_fleet)
    gaps: list[DeviceSpans] = field(default_factory=list)
    backfill: list[DeviceSpans] = field(default_factory=list)
    snapshot: dict[str, np.ndarray] | None = None
    journal: list[EventColumns] = field(default_factory=list)
    written: tuple[DeviceSpans, DeviceSpans, dict[str, np.ndarray]] | None = None
    journal_after: int = 0

    def apply(self, batch: EventColumns) -> None:
        self.journal.append(batch)
        self.fleet.apply([batch])

    def freeze(self) -> None:
        frozen = self.fleet.freeze().complete()
        gaps, backfill = settle(frozen.closing.beats, frozen.policies.is_kept)
        self.written = gaps, backfill, {name: column.copy() for name, column in frozen.columns.items()}
        self.journal_after = len(self.journal)

    def finish(self) -> None:
        if self.written is not None:
            gaps, backfill, self.snapshot = self.written
            self.gaps.append(gaps)
            self.backfill.append(backfill)
            self.journal = self.journal[self.journal_after :]
            self.written = None
            self.fleet.finish_closing(np.zeros(DEVICES, np.int32))

    def restart(self, *, is_one_call: bool) -> None:
        self.written, self.fleet = None, new_fleet()
        if self.snapshot is not None:
            self.fleet.restore(dict(self.snapshot), open_from_day=DAY, alive_at_ns=NOON, blind_ns=[], leaps=NO_LEAPS)
        for call in [self.journal] if is_one_call else [[batch] for batch in self.journal]:
            self.fleet.apply(call)

    def forget(self, device: int, minute: int, first_minute: int) -> None:
        """Forget here at once, and in the blocks as the next checkpoint would."""
        before_ns = NOON + minute * MINUTE
        batch = EventBatch(received_at_ns=NOON)
        order = Order(device, before_ns, 0, 0, BeforeCut(first_minute=first_minute))
        batch.forgotten.extend(order.values())
        self.apply(EventColumns.of(batch))
        left = divide(sort_device_spans(join_device_spans(self.gaps)), self._late())
        self.gaps = [left.where((left.devices != device) | (left.start_ns >= before_ns))]

    def _late(self) -> DeviceSpans:
        live = self.fleet.view(range(DEVICES), from_day=0)
        is_kept = self.fleet.device_policies.is_kept
        return join_backfill(join_device_spans([*self.backfill, *live.backfill]), is_kept)

    def found(self) -> set[tuple[int, int, int]]:
        """(device, start, end) of all gaps, in minutes after noon."""
        live = self.fleet.view(range(DEVICES), from_day=0)
        gaps = divide(sort_device_spans(join_device_spans([*self.gaps, *live.beat_gaps])), self._late())
        gaps = gaps.where(self.fleet.device_policies.is_kept(gaps.devices, gaps.start_ns, gaps.end_ns))
        rows = zip(gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)
        found = [(device, (start - NOON) // MINUTE, (end - NOON) // MINUTE) for device, start, end in rows]
        assert len(found) == len(set(found))
        return set(found)


def check(life: Life, beats: set[Beat]) -> None:
    assert life.found() == gaps_of(beats)
    live = life.fleet.view(range(DEVICES), from_day=0)
    for device in range(DEVICES):
        times = [NOON + minute * MINUTE for number, minute in beats if number == device]
        assert live.first_sent_ns[device] == min(times, default=NO_FIRST_NS)
        assert live.last_sent_ns[device] == max(times, default=NO_LAST_NS)
        figures = life.fleet.figures(device, known={})
        expected = (min(times) // MINUTE, max(times) // MINUTE) if times else (2**31 - 1, -(2**31))
        assert (figures.first_minute, figures.last_minute) == expected
        alone = life.fleet.view(range(device, device + 1), from_day=0)
        assert backfill_of(device, alone.backfill) == backfill_of(device, live.backfill)


def backfill_of(device: int, pieces: Sequence[DeviceSpans]) -> list[tuple[int, int]]:
    mine = join_device_spans(pieces)
    mine = mine.where(mine.devices == device)
    return sorted(zip(mine.start_ns.tolist(), mine.end_ns.tolist(), strict=True))


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.booleans())
def test_gaps_are_those_of_the_set_of_beats_after_any_life(steps: list, is_one_call: bool) -> None:  # type: ignore[type-arg]  # as drawn above
    life, beats = Life(), set[Beat]()
    for step in steps:
        match step:
            case "freeze":
                life.freeze()
            case "finish":
                life.finish()
            case "fail":
                life.written = None
            case "restart":
                life.restart(is_one_call=is_one_call)
            case ("forget", device, minute):
                if life.written is None:  # orders wait for a checkpoint that runs
                    beats = {beat for beat in beats if beat[0] != device or beat[1] >= minute}
                    left = [NOON // MINUTE + one for number, one in beats if number == device]
                    life.forget(device, minute, min(left, default=NO_MINUTE))
            case _:
                if step:
                    life.apply(batch_of(step))
                    beats |= set(step)
        check(life, beats)


@settings(max_examples=examples(60), deadline=None)
@given(BEATS.filter(bool), st.lists(BEATS, max_size=6), st.randoms(use_true_random=False))
def test_any_order_repetition_and_division_of_beats_gives_the_same_gaps(
    first: list[Beat], rest: list[list[Beat]], chance: object
) -> None:
    every = [*first, *itertools.chain(*rest)]
    again = [*every, *first]
    chance.shuffle(again)  # type: ignore[attr-defined]  # it is a random.Random
    for batches in ([every], [first, *filter(None, rest)], [[beat] for beat in again]):
        life = Life()
        for batch in batches:
            life.apply(batch_of(batch))
        check(life, set(every))


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(-15, 15), max_size=4), st.booleans()), max_size=9))
def test_what_a_checkpoint_leaves_out_lies_in_no_gap_of_before(steps: list[tuple[list[int], bool]]) -> None:
    life, beats = Life(), set[Beat]()
    for minutes, is_checkpoint in steps:
        beats |= {(0, minute) for minute in minutes}
        if minutes:
            life.apply(batch_of([(0, minute) for minute in minutes]))
        if is_checkpoint:
            life.freeze()
            life.finish()
        check(life, beats)
