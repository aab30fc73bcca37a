"""An aggregate is a function of the set of samples: any order, any split and any tier give the same bits.

The reference is a plain list, summed as fractions and rounded once. The control is the rule of before: doubles were
summed as they came, by piece and then over the pieces.
"""

import itertools
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import RAW, Manifest
from fleetpulse.model.metric import Aggregation
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, Sample, SampleBlocks, columns_of

START = DAY * NS_PER_DAY
EXAMPLES: dict[str, list[float]] = {
    "a constant": [21.7] * 1_440,
    "what cancels out": [1e16, 1.0, -1e16],
    "what overflows": [1.7e308] * 3,
    "readings": [round(20 + 5 * math.sin(place), 1) for place in range(1_000)],
}
VALUES = (
    st.integers(-1_000, 1_000).map(lambda tenths: tenths / 10)
    | st.sampled_from([1e16, 1.0, -1e16, 1.7e308, -1.7e308, 5e-324, -0.0, 0.0])
    | st.floats(allow_nan=False, allow_infinity=False)
)
# Few times and few devices, so that there are cells of many samples, and samples of one time.
SAMPLES = st.sets(
    st.tuples(st.just(CPU), st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0, 61.0, 1_439.0]), VALUES),
    min_size=1,
    max_size=25,
).map(sorted)
PLACES = st.sampled_from(["live", "fresh", "part"])
WHOM = {
    "device": DeviceSelection(0),
    "fleet": DeviceSelection(),
    "groups": DeviceSelection(codes=np.array([0, 1, 1], np.int32), groups=2),
}
WINDOWS = [Window(START, START + NS_PER_DAY, step) for step in (None, NS_PER_HOUR, NS_PER_DAY, NS_PER_MINUTE)]
AverageOf = Callable[[Sequence[Sequence[float]]], float | None]


def arranged(pieces: Sequence[tuple[str, list[Sample]]], *, compactions: int = 0, is_raw_kept: bool = True) -> Samples:
    """The samples as live ones, fresh blocks and parts, after so many pieces of compaction work."""
    blocks = SampleBlocks(today=DAY)
    named = [getattr(blocks, place)(*samples) for place, samples in pieces if samples and place != "live"]
    manifest = Manifest(samples=tuple(named))
    for _ in range(compactions):
        change = next_change(
            blocks.history, manifest, metrics=blocks.metrics, today=DAY, pause=lambda: None, parts_max=1, is_forced=True
        )
        manifest = manifest if change is None else apply_change(manifest, change)
    if not is_raw_kept:
        parts = [
            replace(block, files={tier: file for tier, file in block.files.items() if block.day is None or tier != RAW})
            for block in manifest.samples
        ]
        manifest = Manifest(samples=tuple(parts))
    live = [columns_of(samples) for place, samples in pieces if samples and place == "live"]
    return Samples(live, manifest, History(blocks.store, manifest))


def figures(where: Samples, aggregation: Aggregation, whom: DeviceSelection, window: Window) -> list[float | None]:
    metric = SampleBlocks().metrics[CPU]
    return find(where, number=CPU, metric=metric, aggregation=aggregation, selection=whom, window=window).values


def bits(values: Sequence[float | None]) -> list[bytes | None]:
    return [None if value is None else struct.pack("d", value) for value in values]


def rounded(exact: Fraction) -> float | None:
    try:
        return float(exact)
    except OverflowError:
        return None


def expected(
    samples: Sequence[Sample], aggregation: Aggregation, whom: DeviceSelection, window: Window
) -> list[float | None]:
    """The figures of a plain list; a negative zero counts as zero."""
    cells: list[list[tuple[float, float]]] = [[] for _ in range(whom.groups * window.buckets)]
    for _, device, minute, value in samples:
        group = 0 if whom.codes is None else int(whom.codes[device])
        if whom.device in (None, device):
            bucket = 0 if window.step_ns is None else round(minute * NS_PER_MINUTE) // window.step_ns
            cells[group * window.buckets + bucket].append((minute, value + 0.0))
    return [figure([value for _, value in sorted(cell)], aggregation) for cell in cells]


def figure(values: list[float], aggregation: Aggregation) -> float | None:
    """Args: values: in order of time, and of value where times are equal."""
    if not values:
        return 0 if aggregation == "count" else None
    total = sum(map(Fraction, values), Fraction(0))
    return {
        "sum": rounded(total),
        "avg": rounded(total / len(values)),
        "min": min(values),
        "max": max(values),
        "latest": values[-1],
        "count": len(values),
    }[aggregation]


@settings(max_examples=examples(60), deadline=None)
@given(SAMPLES, st.data(), st.sampled_from(sorted(WHOM)), st.booleans())
def test_every_order_split_and_tier_gives_the_bits_of_a_plain_list(
    samples: list[Sample], data: st.DataObject, whom: str, is_raw_kept: bool
) -> None:
    # Where samples are gone, nothing may be left that tells one minute from another.
    window = data.draw(st.sampled_from(WINDOWS if is_raw_kept else WINDOWS[:-1]))
    shuffled = data.draw(st.permutations(samples))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=4)))
    pieces = [
        (data.draw(PLACES), list(shuffled[start:end])) for start, end in itertools.pairwise([0, *cuts, len(samples)])
    ]
    where = arranged(pieces, compactions=data.draw(st.integers(0, 3)), is_raw_kept=is_raw_kept)
    selection = WHOM[whom]
    aggregations: tuple[Aggregation, ...] = ("sum", "avg", "min", "max", "latest", "count")
    for aggregation in aggregations:
        found = figures(where, aggregation, selection, window)
        assert bits(found) == bits(expected(samples, aggregation, selection, window)), aggregation
    lowest, average, highest = (figures(where, name, selection, window) for name in ("min", "avg", "max"))
    assert all(
        low <= middle <= high
        for low, middle, high in zip(lowest, average, highest, strict=True)
        if low is not None and middle is not None and high is not None
    )


@settings(max_examples=examples(30), deadline=None)
@given(SAMPLES, st.data(), st.sampled_from(["stddev", "p50", "p95"]))
def test_deviations_and_quantiles_do_not_depend_on_the_order_either(
    samples: list[Sample], data: st.DataObject, aggregation: Aggregation
) -> None:
    found = []
    for place in ("live", "fresh", "part"):
        shuffled = data.draw(st.permutations(samples))
        cut = data.draw(st.integers(0, len(samples)))
        where = arranged([(place, list(shuffled[:cut])), ("live", list(shuffled[cut:]))])
        found.append(bits(figures(where, aggregation, WHOM["fleet"], WINDOWS[0])))
    assert found[0] == found[1] == found[2]


def average_of_service(pieces: Sequence[Sequence[float]]) -> float | None:
    """The average of live samples and blocks together, the first piece live, the others folded and merged."""
    minutes = itertools.count()
    places = [
        ("live" if not number else "part", [(CPU, 0, float(next(minutes)), value) for value in piece])
        for number, piece in enumerate(pieces)
    ]
    return figures(arranged(places, compactions=1), "avg", WHOM["device"], WINDOWS[0])[0]


def average_as_before(pieces: Sequence[Sequence[float]]) -> float | None:
    """Doubles are summed as they come, by piece and then over the pieces."""
    sums = [np.bincount(np.zeros(len(piece), np.int64), weights=piece, minlength=1) for piece in pieces]
    count = sum(map(len, pieces))
    with np.errstate(over="ignore"):
        return float(np.bincount(np.zeros(len(sums), np.int64), weights=np.concatenate(sums))[0]) / count


def check_average(average_of: AverageOf, values: list[float]) -> None:
    """Whatever the order and the split, the average is that of fractions."""
    right = rounded(sum(map(Fraction, values), Fraction(0)) / len(values))
    for ordered in (values, values[::-1], values[1::2] + values[::2]):
        for cut in (0, 1, len(values) // 2):
            assert average_of([ordered[:cut], ordered[cut:]]) == right


@pytest.mark.parametrize("values", EXAMPLES.values(), ids=EXAMPLES)
def test_an_average_is_exact_before_it_is_rounded(values: list[float]) -> None:
    check_average(average_of_service, values)


@pytest.mark.parametrize("values", EXAMPLES.values(), ids=EXAMPLES)
def test_summing_doubles_as_they_come_would_be_noticed(values: list[float]) -> None:
    with pytest.raises(AssertionError):
        check_average(average_as_before, values)
