"""Any cut of a question about metrics into spans of cells gives the bits of one pass over all cells.

Samples of three days stand live, in fresh blocks and in parts, before and after compaction, and of some days only
roll-ups are left. The spans are cut by what they may hold, down to a single cell each.
"""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import RAW, Manifest, SampleBlock
from fleetpulse.model.metric import AGGREGATIONS, Aggregation
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.metrics import DeviceSelection, MetricResult, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, Sample, SampleBlocks, columns_of

START, DAYS = DAY * NS_PER_DAY, 3
MINUTES = st.integers(0, DAYS * 1_440 - 1) | st.sampled_from([0, 59, 60, 1_439, 1_440, 2_880])
VALUES = st.integers(-1_000, 1_000).map(lambda tenths: tenths / 10) | st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.sets(st.tuples(st.just(CPU), st.integers(0, 3), MINUTES.map(float), VALUES), min_size=1, max_size=60)
WHOM = (
    DeviceSelection(0),
    DeviceSelection(),
    DeviceSelection(codes=np.array([0, 1, -1, 1], np.int32), groups=2),
    DeviceSelection(codes=np.array([2, 1, 0], np.int32), groups=3),
)
EDGES = tuple(START + minutes * NS_PER_MINUTE for minutes in (0, 700, 1_440, 2_900))
STEPS = st.sampled_from([None, 7 * NS_PER_MINUTE, NS_PER_HOUR, 5 * NS_PER_HOUR, NS_PER_DAY, 2 * NS_PER_DAY])
WINDOWS = st.builds(
    lambda start, length, step_ns: Window(
        START + start * NS_PER_MINUTE, START + (start + length) * NS_PER_MINUTE, step_ns
    ),
    st.integers(0, 2_000),
    st.integers(1, 2_320),
    STEPS,
) | st.just(Window(EDGES[0], START + 3 * NS_PER_DAY, NS_PER_HOUR, edges_ns=EDGES))


def blocks_of(samples: Sequence[Sample], place: str, blocks: SampleBlocks) -> list[SampleBlock]:
    """Samples as one fresh block, or as a part of each day."""
    if place == "fresh":
        return [blocks.fresh(*samples)]
    by_day = itertools.groupby(sorted(samples, key=lambda sample: sample[2]), lambda sample: int(sample[2]) // 1_440)
    return [blocks.part(*list(of_day), day=DAY + day) for day, of_day in by_day]


def figures_and_more(result: MetricResult) -> MetricResult:
    """A result with the bits of its figures in place of them: NaN aside, equal doubles may differ in their sign."""
    values = [None if value is None else int.from_bytes(struct.pack("d", value)) for value in result.values]
    return replace(result, values=values)


@settings(max_examples=examples(120), deadline=None)
@given(SAMPLES, WINDOWS, st.sampled_from(WHOM), st.sampled_from(AGGREGATIONS), st.data())
def test_any_cut_into_spans_gives_the_bits_of_one_pass(
    samples: set[Sample], window: Window, whom: DeviceSelection, aggregation: Aggregation, data: st.DataObject
) -> None:
    blocks, ordered = SampleBlocks(today=DAY + 1), data.draw(st.permutations(sorted(samples)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ordered)), max_size=3)))
    live, named = [], []
    for start, end in itertools.pairwise([0, *cuts, len(ordered)]):
        place = data.draw(st.sampled_from(["live", "fresh", "part"]))
        if place == "live" or start == end:
            live.append(columns_of(ordered[start:end]))
        else:
            named += blocks_of(ordered[start:end], place, blocks)
    manifest = Manifest(samples=tuple(named))
    for _ in range(data.draw(st.integers(0, 2))):
        change = next_change(
            blocks.history, manifest, metrics=blocks.metrics, today=DAY, pause=lambda: None, parts_max=1, is_forced=True
        )
        manifest = manifest if change is None else apply_change(manifest, change)
    bare = data.draw(st.sets(st.integers(0, DAYS - 1)))
    parts = [
        replace(block, files={tier: file for tier, file in block.files.items() if tier != RAW})
        if block.day is not None and block.day - DAY in bare
        else block
        for block in manifest.samples
    ]
    where = Samples(live, Manifest(samples=tuple(parts)), History(blocks.store, Manifest()))
    samples_max = data.draw(st.sampled_from([0, 10**6]))

    def found(span_bytes_max: int) -> MetricResult:
        return figures_and_more(
            find(
                where,
                number=CPU,
                metric=blocks.metrics[CPU],
                aggregation=aggregation,
                selection=whom,
                window=window,
                span_bytes_max=span_bytes_max,
                exact_samples_max=samples_max,
            )
        )

    assert found(data.draw(st.integers(1, 4_000))) == found(2**40)
