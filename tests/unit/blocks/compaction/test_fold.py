"""Folding puts every sample of the fresh blocks into exactly one part of its day."""

from dataclasses import replace
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.blocks.compaction import fold
from fleetpulse.blocks.compaction.fold import fold_fresh_blocks
from fleetpulse.model.manifest import MINUTE, RAW, Manifest
from fleetpulse.model.metric import MetricDefinition
from sample_blocks import CPU, DAY, LOAD, UPLOAD, Sample, SampleBlocks

MINUTES_PER_DAY = 1440
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from([CPU, LOAD]),
        st.integers(0, 2),
        st.integers(0, 3 * MINUTES_PER_DAY - 1),
        st.floats(-1e6, 1e6).map(lambda value: value + 0.0),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=12, deadline=None)
@given(st.lists(SAMPLES, min_size=1, max_size=3))
def test_parts_hold_all_samples_of_the_fresh_blocks_by_day(fresh: list[list[Sample]]) -> None:
    blocks = SampleBlocks()
    sources = tuple(blocks.fresh(*samples) for samples in fresh)
    change = fold_fresh_blocks(blocks.work, Manifest(samples=sources), fresh_min=1)
    assert change is not None and change.removed == sources
    everything = sorted({sample for samples in fresh for sample in samples}, key=lambda sample: sample[2])
    expected = {
        DAY + day: sorted(samples) for day, samples in groupby(everything, lambda sample: sample[2] // MINUTES_PER_DAY)
    }
    assert {part.day: sorted(blocks.samples(part)) for part in change.added} == expected
    for part in change.added:
        keys = [sample[:3] for sample in blocks.samples(part)]
        assert keys == sorted(keys)


def test_a_day_of_many_samples_is_read_alone_a_metric_at_a_time() -> None:
    blocks = SampleBlocks()
    sources = (
        blocks.fresh((CPU, 0, 5.0, 1.0), (CPU, 0, 1500.0, 2.0), (LOAD, 1, 7.0, 3.0)),
        blocks.fresh((CPU, 0, 4.0, 4.0)),
    )
    since_ns = {CPU: 0, LOAD: 0}
    files = [block.files[RAW] for block in sources]
    pieces = fold._samples_of_day(blocks.work, files, since_ns, DAY)
    assert [(piece.metrics.tolist(), piece.devices.tolist()) for piece in pieces] == [
        ([CPU, CPU], [0, 0]),
        ([LOAD], [1]),
    ]


def test_too_few_fresh_blocks_are_left_and_kinds_are_folded_apart() -> None:
    blocks = SampleBlocks()
    floats, integers = blocks.fresh((CPU, 0, 1.0, 1.0)), blocks.fresh((UPLOAD, 0, 1.0, 1))
    manifest = Manifest(samples=(floats, integers))
    assert fold_fresh_blocks(blocks.work, manifest, fresh_min=2) is None
    change = fold_fresh_blocks(blocks.work, manifest, fresh_min=1)
    assert change is not None and change.removed in ((floats,), (integers,))


def test_samples_that_have_expired_are_not_carried_over() -> None:
    blocks = SampleBlocks(today=DAY + 8)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", retention_days=7)
    source = blocks.fresh((CPU, 0, 1.0, 1.0), (CPU, 0, 1441.0, 2.0), (LOAD, 0, 2.0, 3.0))
    change = fold_fresh_blocks(blocks.work, Manifest(samples=(source,)), fresh_min=1)
    assert change is not None
    assert [blocks.samples(part) for part in change.added] == [[(LOAD, 0, 2, 3.0)], [(CPU, 0, 1441, 2.0)]]


def test_a_damaged_fresh_block_is_left_out_and_reported() -> None:
    blocks = SampleBlocks()
    good, bad = blocks.fresh((CPU, 0, 1.0, 1.0)), blocks.fresh((CPU, 0, 2.0, 2.0))
    blocks.damage(bad, RAW)
    change = fold_fresh_blocks(blocks.work, Manifest(samples=(good, bad)), fresh_min=1)
    assert change is not None
    assert (change.removed, blocks.damaged) == ((good,), [bad])


def test_days_are_read_together_while_they_fit_into_a_unit() -> None:
    most = fold.UNIT_SAMPLES
    assert list(fold._batches({1: most - 1, 2: 1, 3: 1, 4: 2 * most, 5: 1})) == [[1, 2], [3], [4], [5]]


def test_parts_are_distinct_only_if_all_the_fresh_blocks_are() -> None:
    blocks = SampleBlocks()
    sample = (CPU, 0, 1.0, 1.0)
    sources = blocks.fresh(sample), replace(blocks.fresh(sample), is_distinct=False)
    for fresh, is_distinct in ((sources[:1], True), (sources, False)):
        change = fold_fresh_blocks(blocks.work, Manifest(samples=fresh), fresh_min=1)
        assert change is not None
        assert [(part.samples, part.is_distinct) for part in change.added] == [(1, is_distinct)]


def test_samples_that_come_after_their_day_has_expired_are_left_out_and_counted() -> None:
    blocks = SampleBlocks(today=DAY + 2)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", retention_days=1)
    source = blocks.fresh((CPU, 0, 5.0, 1.0), (CPU, 1, 6.0, 1.0), (CPU, 0, 1500.0, 2.0), (LOAD, 0, 7.0, 3.0))
    change = fold_fresh_blocks(blocks.work, Manifest(samples=(source,)), fresh_min=1)
    assert change is not None
    assert change.expired == {CPU: {DAY: 2}}
    assert sum(part.samples for part in change.added) == 2


def test_a_late_sample_gets_minutes_where_its_day_has_only_minutes() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 0, 1.0, 1.0), (CPU, 0, 1.1, 1.0), (LOAD, 0, 1.0, 1.0))
    rolled_up = replace(part, files={tier: file for tier, file in part.files.items() if tier != RAW})
    source = blocks.fresh((CPU, 0, 50.0, 1.0), (LOAD, 0, 50.0, 1.0))
    for named, metrics in (((part, source), None), ((rolled_up, source), {CPU})):
        change = fold_fresh_blocks(blocks.work, Manifest(samples=named), fresh_min=1)
        assert change is not None
        (late,) = change.added
        assert (set(blocks.history.metrics_of(late.files[MINUTE])) if MINUTE in late.files else None) == metrics
