"""Where samples are gone, the buckets that a window touches stand in whole, and the answer says from when to when."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import HOUR, MINUTE, RAW, Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S
from fleetpulse.query.groups import Groups
from fleetpulse.query.metric_answers import MetricQuestion, device_metrics, fleet_metrics
from fleetpulse.query.metrics import DeviceSelection, MetricResult, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, Sample, SampleBlocks, columns_of

START = DAY * NS_PER_DAY
BUCKETS = {RAW: 1, MINUTE: NS_PER_MINUTE, HOUR: NS_PER_HOUR}
SAMPLES: list[Sample] = [
    (CPU, device, day * 1_440 + 600 + second / 60, float(second))
    for day in (0, 1)
    for device in (0, 1)
    for second in range(3, 3 * 3_600, 20)
]
"""Two days of two devices, from 10:00 to 13:00, three samples a minute."""
LATE: list[Sample] = [(CPU, 0, 600 + 7 / 60, 0.5), (CPU, 1, 640.5, 0.25), (CPU, 0, 900.0, 8.0)]
"""Further ones of the first day, which no part holds yet."""
WHOM = {
    "device": (DeviceSelection(0), [0]),
    "fleet": (DeviceSelection(), [0, 1]),
    "group": (DeviceSelection(codes=np.array([-1, 0], np.int32)), [1]),
}


def blocks_of(finest: str) -> tuple[SampleBlocks, list[SampleBlock]]:
    """A part of each day; of the first day it has nothing finer than a tier."""
    blocks = SampleBlocks()
    parts = [blocks.part(*(sample for sample in SAMPLES if sample[2] // 1_440 == day), day=DAY + day) for day in (0, 1)]
    kept = {tier: file for tier, file in parts[0].files.items() if BUCKETS.get(tier, NS_PER_DAY) >= BUCKETS[finest]}
    return blocks, [replace(parts[0], files=kept), parts[1]]


BLOCKS = {finest: blocks_of(finest) for finest in BUCKETS}


def ask(finest: str, window: Window, whom: DeviceSelection, live: list[Sample]) -> MetricResult:
    blocks, parts = BLOCKS[finest]
    where = Samples(
        [columns_of(live)] if live else [], Manifest(samples=tuple(parts)), History(blocks.store, Manifest())
    )
    metric = blocks.metrics[CPU]
    return find(where, number=CPU, metric=metric, aggregation="sum", selection=whom, window=window)


def expected(
    finest: str, window: Window, devices: list[int], live: list[Sample]
) -> tuple[list[int], list[float | None]]:
    """Counts and sums by step: each sample is where its bucket begins, and counts if the window touches the bucket."""
    cells: list[list[float]] = [[] for _ in range(window.buckets)]
    for _, device, minute, value in [*SAMPLES, *live]:
        at_ns = START + round(minute * NS_PER_MINUTE)
        length_ns = BUCKETS[finest] if minute < 1_440 else 1
        begin_ns = at_ns // length_ns * length_ns
        if device in devices and begin_ns < window.end_ns and begin_ns + length_ns > window.start_ns:
            step = 0 if window.step_ns is None else (begin_ns - window.origin_ns) // window.step_ns
            cells[max(0, step)].append(value)
    return [len(cell) for cell in cells], [sum(cell) if cell else None for cell in cells]


EDGES = st.builds(
    lambda day, second, ns: START + day * NS_PER_DAY + 36_000 * NS_PER_S + second * NS_PER_S + ns,
    st.integers(0, 1),
    st.integers(-7_200, 14_400) | st.sampled_from([0, 17, 1_200, 1_260, 3_000, 3_600, 7_200]),
    st.sampled_from([0, 0, -1, 1]),
)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(sorted(BUCKETS)),
    st.tuples(EDGES, EDGES),
    st.sampled_from([None, 20 * NS_PER_S, NS_PER_MINUTE, 90 * NS_PER_S, NS_PER_HOUR, NS_PER_DAY]),
    st.sampled_from(sorted(WHOM)),
    st.booleans(),
)
def test_the_buckets_that_a_window_touches_count_whole(
    finest: str, edges: tuple[int, int], step_ns: int | None, whom: str, is_late: bool
) -> None:
    window = Window(min(edges), max(edges) + 1, step_ns)
    selection, devices = WHOM[whom]
    live = LATE if is_late else []
    found = ask(finest, window, selection, live)
    assert (found.counts, found.values) == expected(finest, window, devices, live)
    length_ns = BUCKETS[finest]
    is_cut = [at_ns < START + NS_PER_DAY and at_ns % length_ns != 0 for at_ns in (window.start_ns, window.end_ns)]
    if not any(is_cut):
        assert found.span is None
    if found.span is not None:
        assert found.coarse == [finest]
        starts, ends = (window.start_ns, window.end_ns), (found.span.start_ns, found.span.end_ns)
        assert ends in [
            (start_ns, end_ns)
            for start_ns in {starts[0], starts[0] // length_ns * length_ns}
            for end_ns in {starts[1], -(-starts[1] // length_ns) * length_ns}
        ]


@pytest.mark.parametrize(
    ("finest", "first", "last"), [(MINUTE, "10:00:00Z", "10:39:00Z"), (HOUR, "10:00:00Z", "11:00:00Z")]
)
@pytest.mark.parametrize("step_ns", [None, NS_PER_MINUTE])
def test_the_note_says_from_when_to_when_for_a_device_and_for_the_fleet(
    finest: str, first: str, last: str, step_ns: int | None
) -> None:
    blocks, parts = BLOCKS[finest]
    where = Samples([], Manifest(samples=tuple(parts)), History(blocks.store, Manifest()))
    window = Window(START + 36_017 * NS_PER_S, START + 38_325 * NS_PER_S, step_ns)
    questions = [MetricQuestion(CPU, blocks.metrics[CPU], "avg")]
    now_ns = START + 2 * NS_PER_DAY
    device = device_metrics(where, questions, device_id="d0", device=0, window=window, now_ns=now_ns).metrics["cpu"]
    groups = Groups(np.array([0, 0], np.int32), [""], [2])
    fleet = fleet_metrics(where, questions, groups=groups, by="", window=window, now_ns=now_ns)
    assert device.count * 2 == fleet.groups[0].metrics["cpu"].count == (234 if finest == MINUTE else 360)
    for note in (device.note, fleet.metrics["cpu"].note):
        assert f"whole buckets of {finest} stand in" in str(note)
        assert all(time in str(note) for time in (first, last))


def test_a_window_along_the_buckets_has_no_note() -> None:
    for finest, length_ns in BUCKETS.items():
        window = Window(START + 10 * NS_PER_HOUR + length_ns, START + 12 * NS_PER_HOUR)
        found = ask(finest, window, WHOM["fleet"][0], [])
        assert (found.coarse, found.span) == ([], None)
