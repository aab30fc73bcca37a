"""Whatever compaction has done, half done or not done yet: questions get the answers of a plain list of samples."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compact_model import (
    DAY_NS,
    DAYS,
    FIRST_DAY,
    FIRST_NS,
    HOUR_NS,
    METRICS,
    MINUTE_NS,
    SAMPLES,
    WHOM,
    Closed,
    Sample,
    check,
    check_blocks,
    windows,
)
from examples import examples
from fleetpulse.model.manifest import DAY, HOUR, RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.query.metrics import DeviceSelection
from fleetpulse.query.window import Window


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(SAMPLES | st.sampled_from(["work", "work", "force", "crash"]), min_size=1, max_size=9),
    SAMPLES,
    st.lists(st.tuples(st.integers(0, 2), windows(), WHOM), min_size=10, max_size=10),
)
def test_answers_are_those_of_a_plain_list_at_every_moment(
    steps: list[list[Sample] | str], live: list[Sample], questions: list[tuple[int, Window, DeviceSelection]]
) -> None:
    closed = Closed()
    for step, (metric, window, whom) in zip([*steps, None], questions, strict=False):
        if step is None:
            closed.settle()
            assert all(block.day is not None for block in closed.manifest.samples)
            assert len({(block.kind, block.day) for block in closed.manifest.samples}) == len(closed.manifest.samples)
        elif isinstance(step, str):
            closed.step(is_crash=step == "crash", is_forced=step == "force")
        else:
            closed.add(step)
        check(closed, list({*closed.samples, *live}), metric=metric, window=window, whom=whom, live=live)
        if step != "crash":
            closed.remove_unnamed()
            check_blocks(closed, closed.samples)


@dataclass(frozen=True)
class MemoryCache:
    """How long metric 0, 1 and 2 are kept, and their samples."""

    days: tuple[int, int, int]
    raw_days: tuple[int | None, int | None, int | None]

    def metrics(self) -> dict[int, MetricDefinition]:
        return {
            number: MetricDefinition(
                name=metric.name,
                kind=metric.kind,
                retention_days=days,
                raw_days=None if raw_days is None else min(raw_days, days),
            )
            for (number, metric), days, raw_days in zip(METRICS.items(), self.days, self.raw_days, strict=True)
        }


LENGTHS = st.integers(1, 6)
KEPT = st.builds(
    MemoryCache,
    st.tuples(LENGTHS, LENGTHS, LENGTHS),
    st.tuples(st.none() | LENGTHS, st.none() | LENGTHS, st.none() | LENGTHS),
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.tuples(SAMPLES, KEPT, st.integers(0, 2)), min_size=1, max_size=4),
    st.lists(st.tuples(windows(), WHOM), min_size=12, max_size=12),
)
def test_retention_removes_what_it_must_and_nothing_else(
    lives: list[tuple[list[Sample], MemoryCache, int]], questions: list[tuple[Window, DeviceSelection]]
) -> None:
    closed = Closed(today=FIRST_DAY + DAYS - 1)
    to_ask = iter(questions)
    lost_raw: set[int] = set()
    sent: set[Sample] = set()
    for samples, kept, days in lives:
        # Repeats of days whose samples are gone count each: here every sample is sent once.
        closed.add([sample for sample in dict.fromkeys(samples) if sample not in sent])
        sent.update(samples)
        closed.metrics = kept.metrics()
        closed.today += days
        closed.settle()
        closed.samples = [
            sample
            for sample in closed.samples
            if sample[2] // DAY_NS >= closed.today - closed.metrics[sample[1]].retention_days
        ]
        check_blocks(closed, closed.samples)
        # What is gone is counted by metric and day, whatever the retention of now is.
        gone = Counter((sample[1], sample[2] // DAY_NS) for sample in sent - set(closed.samples))
        expired = closed.manifest.expired
        assert gone == {(metric, day): count for metric, days in expired.items() for day, count in days.items()}
        for block in closed.manifest.samples:
            for tier, file in block.files.items():
                for number in closed.history.metrics_of(file):
                    metric = closed.metrics[number]
                    is_raw_kept = tier != RAW or metric.raw_days is None or block.day >= closed.today - metric.raw_days
                    assert block.day >= closed.today - metric.retention_days and is_raw_kept
        lost_raw |= {number for number, metric in closed.metrics.items() if metric.raw_days is not None}
        for number in METRICS:
            window, whom = next(to_ask)
            if number in lost_raw:
                step_ns = window.step_ns if window.step_ns is None or window.step_ns % HOUR_NS == 0 else HOUR_NS
                window = Window(window.start_ns // HOUR_NS * HOUR_NS, -(-window.end_ns // HOUR_NS) * HOUR_NS, step_ns)
            check(closed, closed.samples, metric=number, window=window, whom=whom)


@pytest.mark.parametrize("step_ns", [None, HOUR_NS, DAY_NS])
def test_a_part_that_begins_or_ends_a_nanosecond_beside_a_window_is_cut_right(step_ns: int | None) -> None:
    starts, ends = ([FIRST_NS + hour * HOUR_NS + ns for ns in (-1, 0, 1)] for hour in (9, 17))
    for first_ns in starts:
        for last_ns in ends:
            closed = Closed()
            closed.add([(0, 1, at_ns, 1.0) for at_ns in (first_ns, FIRST_NS + 12 * HOUR_NS, last_ns)])
            closed.settle()
            for start_ns in starts:
                for end_ns in ends:
                    found = closed.ask("count", metric=1, window=Window(start_ns, end_ns, step_ns))
                    assert sum(found.counts) == 1 + (first_ns >= start_ns) + (last_ns < end_ns)


def test_the_last_day_that_is_kept_is_kept_whole() -> None:
    closed = Closed(today=FIRST_DAY + 3)
    closed.metrics[1] = MetricDefinition(name="temperature", retention_days=2, raw_days=1)
    closed.add([(0, 1, FIRST_NS + day * DAY_NS, 1.0) for day in range(4)])
    closed.settle()
    assert [(block.day - FIRST_DAY, list(block.files)) for block in closed.manifest.samples] == [
        (2, [RAW, HOUR, DAY]), (3, [RAW, HOUR, DAY]), (1, [HOUR, DAY])
    ]  # fmt: skip


def test_of_a_part_only_the_metric_goes_that_has_expired() -> None:
    closed = Closed(today=FIRST_DAY + 2)
    closed.metrics[1] = MetricDefinition(name="temperature", retention_days=2)
    closed.add([(0, metric, FIRST_NS + hour * HOUR_NS, 1.0) for hour in range(24) for metric in (1, 2)])
    closed.settle()
    closed.today += 1
    assert closed.step()
    assert not closed.step()
    (part,) = closed.manifest.samples
    assert part.samples == 24
    assert {tier: closed.history.metrics_of(file) for tier, file in part.files.items()} == {
        RAW: [2],
        HOUR: [2],
        DAY: [2],
    }


def test_a_longer_raw_days_does_not_bring_back_samples_that_are_gone() -> None:
    closed = Closed()
    morning, evening = [(0, 1, FIRST_NS + 6 * HOUR_NS, 1.0)], [(0, 1, FIRST_NS + 18 * HOUR_NS, 2.0)]
    closed.add(morning)
    closed.metrics[1] = MetricDefinition(name="temperature", raw_days=1)
    closed.settle()
    closed.metrics[1] = MetricDefinition(name="temperature")
    closed.add(evening)
    closed.settle()
    (part,) = closed.manifest.samples
    assert RAW not in part.files
    assert (part.samples, part.start_ns, part.end_ns) == (2, morning[0][2], evening[0][2] + 1)
    check(closed, closed.samples, metric=1, window=Window(FIRST_NS, FIRST_NS + 12 * HOUR_NS), whom=DeviceSelection())
    check(closed, closed.samples, metric=1, window=Window(FIRST_NS, FIRST_NS + DAY_NS), whom=DeviceSelection())


def test_a_step_finer_than_what_is_left_is_answered_from_hours_that_are_said_to_be_coarse() -> None:
    closed = Closed()
    closed.add([(0, 1, FIRST_NS + 10 * HOUR_NS + 50 * MINUTE_NS, 1.0)])
    closed.metrics[1] = MetricDefinition(name="temperature", raw_days=1)
    closed.settle()
    window = Window(FIRST_NS + 10 * HOUR_NS + 30 * MINUTE_NS, FIRST_NS + 11 * HOUR_NS, MINUTE_NS)
    found = closed.ask("sum", metric=1, window=window)
    assert (found.counts, found.coarse, found.tiers) == ([1] + 29 * [0], [HOUR], [HOUR])
