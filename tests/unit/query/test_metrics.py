"""Figures of a metric over a window, from live samples, fresh blocks and parts together."""

from dataclasses import replace

import pytest

from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, MINUTE, RAW, Manifest, SampleBlock
from fleetpulse.model.metric import Aggregation
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.metrics import EXACT_SAMPLES_MAX, DeviceSelection, MetricResult, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, Sample, SampleBlocks, columns_of

START = DAY * NS_PER_DAY
WHOLE_DAY = Window(START, START + NS_PER_DAY)


def ask(
    blocks: SampleBlocks,
    named: list[SampleBlock],
    window: Window,
    aggregation: Aggregation,
    *live: Sample,
    exact_samples_max: int = EXACT_SAMPLES_MAX,
) -> MetricResult:
    """The figure of CPU of device 0."""
    samples = Samples(
        [columns_of(live)] if live else [], Manifest(samples=tuple(named)), History(blocks.store, Manifest())
    )
    selection = DeviceSelection(0)
    return find(
        samples,
        number=CPU,
        metric=blocks.metrics[CPU],
        aggregation=aggregation,
        selection=selection,
        window=window,
        exact_samples_max=exact_samples_max,
    )


def test_live_samples_fresh_blocks_and_parts_are_one_history() -> None:
    blocks = SampleBlocks()
    named = [blocks.part((CPU, 0, 1, 1.0), (CPU, 1, 1, 50.0)), blocks.fresh((CPU, 0, 2, 2.0))]
    result = ask(blocks, named, WHOLE_DAY, "sum", (CPU, 0, 3, 4.0))
    assert (result.values, result.counts) == ([7.0], [3])
    assert set(result.tiers) == {"live", RAW, DAY_TIER}


def test_whole_buckets_are_read_and_samples_only_at_the_edges() -> None:
    blocks = SampleBlocks()
    named = [blocks.part(*((CPU, 0, minute, 1.0) for minute in range(0, 1_440, 10)))]
    start_ns = START + NS_PER_HOUR + NS_PER_MINUTE // 2
    result = ask(blocks, named, Window(start_ns, START + 20 * NS_PER_HOUR), "count")
    assert result.values == [113]
    assert set(result.tiers) <= {RAW, MINUTE, HOUR}
    assert HOUR in result.tiers


def test_a_step_has_a_figure_of_its_own_and_an_empty_one_has_none() -> None:
    blocks = SampleBlocks()
    window = Window(START, START + 3 * NS_PER_HOUR, NS_PER_HOUR)
    result = ask(blocks, [blocks.part((CPU, 0, 5, 1.0), (CPU, 0, 130, 3.0))], window, "max")
    assert (result.values, result.counts) == ([1.0, None, 3.0], [1, 0, 1])


def test_a_quantile_of_few_samples_is_exact() -> None:
    blocks = SampleBlocks()
    named = [blocks.part(*((CPU, 0, minute, float(minute)) for minute in range(100)))]
    result = ask(blocks, named, WHOLE_DAY, "p95")
    assert (result.values, result.is_exact) == ([94.0], True)


def test_a_standard_deviation_is_null_in_the_steps_that_roll_ups_alone_tell_of() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 0, 5, 1.0), (CPU, 0, 6, 5.0), (CPU, 0, 130, 3.0))
    rolled_up = replace(part, files={tier: file for tier, file in part.files.items() if tier != RAW})
    live: list[Sample] = [(CPU, 0, 61, 1.0), (CPU, 0, 62, 3.0), (CPU, 0, 131, 9.0)]
    window = Window(START, START + 4 * NS_PER_HOUR, NS_PER_HOUR)
    result = ask(blocks, [part], window, "stddev", *live)
    assert (result.values, result.is_exact) == ([2.0, 1.0, 3.0, None], True)
    result = ask(blocks, [rolled_up], window, "stddev", *live)
    assert (result.values, result.is_exact, result.counts) == ([None, 1.0, None, None], False, [2, 2, 2, 0])
    assert result.coarse == []


def test_a_standard_deviation_of_too_many_samples_is_null() -> None:
    blocks = SampleBlocks()
    named = [blocks.part((CPU, 0, 5, 1.0), (CPU, 0, 6, 5.0))]
    result = ask(blocks, named, WHOLE_DAY, "stddev", exact_samples_max=1)
    assert (result.values, result.is_exact, result.counts) == ([None], False, [2])


@pytest.mark.parametrize("place", ["live", "fresh", "part"])
@pytest.mark.parametrize(("samples_max", "is_exact"), [(3, True), (2, False)])
def test_the_method_of_a_quantile_depends_on_the_samples_of_the_days_and_not_on_where_they_are(
    place: str, samples_max: int, is_exact: bool
) -> None:
    blocks = SampleBlocks()
    others: list[Sample] = [(CPU, 1, float(minute), 9.0) for minute in range(90)]
    samples: list[Sample] = [*others, (CPU, 0, 1, 1.0), (CPU, 0, 2, 2.0), (CPU, 0, 1_000, 3.0)]
    named = [] if place == "live" else [getattr(blocks, place)(*samples)]
    live = samples if place == "live" else []
    window = Window(START, START + NS_PER_HOUR)
    result = ask(blocks, named, window, "p95", *live, exact_samples_max=samples_max)
    assert (result.is_exact, result.counts) == (is_exact, [2])


def test_a_sum_beyond_all_doubles_is_null_and_its_average_is_not() -> None:
    blocks = SampleBlocks()
    named = [blocks.part(*((CPU, 0, minute, 1.7e308) for minute in range(3)))]
    result = ask(blocks, named, WHOLE_DAY, "sum")
    assert (result.values, result.counts, result.is_overflown) == ([None], [3], True)
    result = ask(blocks, named, WHOLE_DAY, "avg")
    assert (result.values, result.is_overflown) == ([1.7e308], False)


def test_a_damaged_block_is_missing_and_the_rest_is_there() -> None:
    blocks = SampleBlocks()
    damaged = blocks.part((CPU, 0, 1, 1.0))
    for tier in damaged.files:
        blocks.damage(damaged, tier)
    result = ask(blocks, [damaged, blocks.fresh((CPU, 0, 2, 2.0))], WHOLE_DAY, "sum")
    assert (result.values, len(result.missing)) == ([2.0], 1)
