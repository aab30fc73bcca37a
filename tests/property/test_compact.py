"""Whatever compaction has done, half done or not done yet: questions get the answers of a plain list of samples."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.compaction.units import cut_units
from fleetpulse.blocks.history import History
from fleetpulse.blocks.sample_repeats import Comparison
from fleetpulse.blocks.samples import RowRange
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, TIERS, BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import AGGREGATIONS, KINDS, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.metrics import DeviceSelection, MetricResult, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window

S = 10**9
MINUTE_NS, HOUR_NS, DAY_NS = 60 * S, 3600 * S, 86_400 * S
FIRST_DAY, DAYS, DEVICES = 20_000, 4, 4
FIRST_NS = FIRST_DAY * DAY_NS
METRICS = {
    0: MetricDefinition(name="upload_time", kind="integer"),
    1: MetricDefinition(name="temperature"),
    2: MetricDefinition(name="load"),
}
Sample = tuple[int, int, int, int | float]
"""Device, metric, sent_at in ns, value."""

OFFSETS = (
    st.integers(0, DAYS * DAY_NS - 1)
    # Close together, in few hours, so that there are minutes of several samples, and samples of one time.
    | st.builds(
        lambda day, ms: day * DAY_NS + 10 * HOUR_NS + ms * 10**6, st.integers(0, DAYS - 1), st.integers(0, 90_000)
    )
    # At the edges of buckets, where those of windows are, too.
    | st.builds(lambda hour, ns: hour * HOUR_NS + ns, st.sampled_from([24, 34, 48, 49]), st.sampled_from([-1, 0, 1]))
)
INTEGERS = (
    st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 2**63 - 2, 0, -1, 1]) | st.integers(0, 100)
)
FLOATS = (
    st.floats(-1e6, 1e6, allow_subnormal=False)
    | st.sampled_from([0.1, 0.2, 20.5, 1e16, 1.0, -1e16, 1.7e308, -1.7e308])
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
)
TIMES = OFFSETS.map(lambda offset_ns: FIRST_NS + offset_ns)
NUMBERS = st.integers(0, DEVICES - 1)
SAMPLES = st.lists(
    st.tuples(NUMBERS, st.just(0), TIMES, INTEGERS)
    | st.tuples(NUMBERS, st.sampled_from([1, 2]), TIMES, FLOATS.map(lambda value: value + 0.0)),  # no -0.0, as stored
    max_size=50,
)
STEPS = (None, 60, 90, 3600, 86_400, 7 * 86_400)


def columns_of(samples: Sequence[Sample]) -> SampleColumns:
    values = [
        np.int64(value) if METRICS[metric].kind == "integer" else np.float64(value).view(np.int64)
        for _, metric, _, value in samples
    ]
    return SampleColumns(
        np.array([sample[0] for sample in samples], np.uint32),
        np.array([sample[1] for sample in samples], np.uint16),
        np.array([sample[2] for sample in samples], np.int64),
        np.array(values, np.int64),
    )


def cut_samples(
    pieces: list[SampleColumns], store: MemoryBlockStore, metrics: dict[int, MetricDefinition]
) -> list[SampleBlock]:
    """The fresh blocks of a checkpoint."""
    history = History(store, Manifest())
    return CheckpointFiles(history, position=1, device_count=0, pause=lambda: None).put_samples(
        pieces, metrics, is_distinct=True
    )


@dataclass
class Closed:
    """The files, the manifest, and the plain list of what they must hold."""

    metrics: dict[int, MetricDefinition] = field(default_factory=lambda: dict(METRICS))
    today: int = FIRST_DAY + DAYS
    store: MemoryBlockStore = field(default_factory=MemoryBlockStore)
    manifest: Manifest = field(default_factory=Manifest)
    samples: list[Sample] = field(default_factory=list)
    damaged: list[SampleBlock] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(self.store, self.manifest)

    def add(self, samples: Sequence[Sample]) -> None:
        """A checkpoint, to which every sample is doubtful."""
        comparison = Comparison([], self.history, self.manifest, self.metrics, self.today)
        blocks = cut_samples([comparison.compare([columns_of(samples)]).new], self.store, self.metrics)
        self.manifest = replace(self.manifest, samples=(*self.manifest.samples, *blocks))
        self.samples = list(dict.fromkeys([*self.samples, *samples]))

    def step(self, *, is_crash: bool = False, is_forced: bool = False, fresh_max: int = 2, parts_max: int = 1) -> bool:
        """One piece of work; after a crash nobody names what it has written."""
        change = next_change(
            self.history, self.manifest, metrics=self.metrics, today=self.today, pause=lambda: None,
            fresh_max=fresh_max, parts_max=parts_max, is_forced=is_forced,
            on_damage=lambda block, _: self.damaged.append(block),
        )  # fmt: skip
        if change is not None and not is_crash:
            self.manifest = apply_change(self.manifest, change)
            self.remove_unnamed()
        return change is not None

    def remove_unnamed(self) -> None:
        for name in self.store.names() - {file.name for file in self.manifest.files()}:
            self.store.remove(name)

    def settle(self) -> None:
        """All work there is."""
        for _ in range(100):
            if not self.step(is_forced=True):
                return
        raise AssertionError("work without end")

    def ask(
        self,
        aggregation: str,
        *,
        metric: int,
        window: Window,
        whom: DeviceSelection | None = None,
        live: Sequence[Sample] = (),
    ) -> MetricResult:
        where = Samples([], self.manifest, self.history, [columns_of(live)], self.today)
        return find(
            where,
            number=metric,
            metric=self.metrics[metric],
            aggregation=aggregation,
            selection=whom or DeviceSelection(),
            window=window,
        )


def expected(
    samples: Sequence[Sample], *, metric: int, window: Window, whom: DeviceSelection
) -> list[list[int | float]]:
    """Times and values, as the samples of each cell in order of time and value."""
    cells: list[list[tuple[int, int | float]]] = [[] for _ in range(whom.groups * window.buckets)]
    for device, number, at_ns, value in samples:
        group = int(whom.codes[device]) if whom.codes is not None else 0
        if (
            number == metric
            and window.start_ns <= at_ns < window.end_ns
            and whom.device in (None, device)
            and group >= 0
        ):
            bucket = 0 if window.step_ns is None else (at_ns - window.origin_ns) // window.step_ns
            cells[group * window.buckets + bucket].append((at_ns, value))
    return [[value for _, value in sorted(cell)] for cell in cells]


def rounded(exact: Fraction) -> float | None:
    try:
        return float(exact)
    except OverflowError:
        return None


def assert_figure(aggregation: str, got: float | None, values: list[int | float], *, is_exact: bool) -> None:
    """`values` are in order of time."""
    if aggregation == "count":
        assert got == len(values)
    elif not values:
        assert got is None
    elif aggregation in ("min", "max", "latest"):
        assert got == {"min": min(values), "max": max(values), "latest": values[-1]}[aggregation]
    elif aggregation in ("sum", "avg"):
        share = 1 if aggregation == "sum" else len(values)
        if isinstance(values[0], int):
            whole, rest = divmod(sum(values), share)
            assert got == (sum(values) / share if rest else whole)
        else:
            assert got == rounded(sum(map(Fraction, values)) / share)
    elif aggregation == "stddev":
        # The reference computes with fractions. Near 0, where doubles are coarse, it may be a few of them off.
        assert got == pytest.approx(statistics.pstdev(values), rel=1e-12, abs=1e-320) or (got is None and not is_exact)
    else:
        rank = max(1, -(-int(aggregation[1:]) * len(values) // 100))
        right = sorted(values)[rank - 1]
        assert got == (right if is_exact else pytest.approx(right, rel=0.01))


def check(
    closed: Closed,
    samples: Sequence[Sample],
    *,
    metric: int,
    window: Window,
    whom: DeviceSelection,
    live: Sequence[Sample] = (),
) -> None:
    cells = expected(samples, metric=metric, window=window, whom=whom)
    for aggregation in AGGREGATIONS:
        found = closed.ask(aggregation, metric=metric, window=window, whom=whom, live=live)
        assert not found.missing
        assert not found.coarse
        assert found.counts == [len(values) for values in cells]
        assert len(found.values) == len(cells)
        for got, values in zip(found.values, cells, strict=True):
            assert_figure(aggregation, got, values, is_exact=found.is_exact)


def check_blocks(closed: Closed, samples: Sequence[Sample]) -> None:
    """What a manifest says of its blocks is so."""
    assert closed.store.names() == {file.name for file in closed.manifest.files()}
    for kind in KINDS:
        blocks = [block for block in closed.manifest.samples if block.kind == kind]
        assert sum(block.samples for block in blocks) == sum(
            closed.metrics[sample[1]].kind == kind for sample in samples
        )
        for block in blocks:
            assert block.start_ns < block.end_ns
            assert list(block.files) == [RAW] if block.day is None else {HOUR, DAY} <= set(block.files) <= set(TIERS)
            assert block.day is None or block.day * DAY_NS <= block.start_ns < block.end_ns <= (block.day + 1) * DAY_NS
            for tier, file in block.files.items():
                keys = keys_of(closed.history, file)
                assert keys == sorted(keys)
                assert tier == RAW or len(set(keys)) == len(keys)


def keys_of(history: History, file: BlockFile) -> list[tuple[int, int, int]]:
    """Metric, device and time of all rows of a file."""
    columns = list(history.read(file, range(len(history.footer(file).rows)), ["metric", "device", "at"]))
    return [
        key
        for found in columns
        for key in zip(*(found[name].tolist() for name in ("metric", "device", "at")), strict=True)
    ]


WHOM = st.one_of(
    st.just(DeviceSelection()),
    NUMBERS.map(lambda device: DeviceSelection(device=device)),
    st.lists(st.integers(-1, 2), min_size=DEVICES, max_size=DEVICES).map(
        lambda codes: DeviceSelection(codes=np.array(codes, np.int32), groups=3)
    ),
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    step_s = draw(st.sampled_from(STEPS))
    edges = st.integers(-DAY_NS, (DAYS + 1) * DAY_NS) | OFFSETS
    start_ns, end_ns = sorted((draw(edges), draw(edges)))
    if step_s is not None and step_s < 3600:
        end_ns = min(end_ns, start_ns + 30 * HOUR_NS)
    return Window(FIRST_NS + start_ns, FIRST_NS + max(end_ns, start_ns + 1), None if step_s is None else step_s * S)


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


def spread(*, devices: int, seconds: int, metric: int = 1) -> SampleColumns:
    """A day of devices that report every some seconds, sorted."""
    count = 86_400 // seconds
    random = np.random.default_rng(1)
    values = np.round(np.cumsum(random.normal(0, 1, devices * count)), 1).view(np.int64)
    at_ns = np.tile(FIRST_NS + np.arange(count) * seconds * S + 1, devices)
    return SampleColumns(
        np.repeat(np.arange(devices, dtype=np.uint32), count), np.full(len(values), metric, np.uint16), at_ns, values
    )


def test_a_day_of_several_units_is_folded_and_merged_as_one() -> None:
    samples = spread(devices=16, seconds=1)
    closed = Closed()
    late = [(3, 1, FIRST_NS + 3 * DAY_NS, 1.0)]
    order = np.random.default_rng(1).permutation(len(samples))
    for pieces in ([samples.where(order[:900_000]), columns_of(late)], [samples.where(order[900_000:1_200_000])]):
        closed.manifest = replace(
            closed.manifest, samples=(*closed.manifest.samples, *cut_samples(pieces, closed.store, closed.metrics))
        )
    closed.step(is_forced=True)
    assert [block.samples for block in closed.manifest.samples] == [1_200_000, 1]
    blocks = cut_samples([samples.where(order[1_200_000:])], closed.store, closed.metrics)
    closed.manifest = replace(closed.manifest, samples=(*closed.manifest.samples, *blocks))
    closed.settle()
    assert [block.samples for block in closed.manifest.samples] == [1, len(samples)]
    raw = closed.manifest.samples[1].files[RAW]
    columns = list(closed.history.read(raw, range(len(closed.history.footer(raw).rows)), ["device", "at", "value"]))
    np.testing.assert_array_equal(np.concatenate([found["device"] for found in columns]), samples.devices)
    np.testing.assert_array_equal(np.concatenate([found["at"] for found in columns]), samples.at_ns)
    np.testing.assert_array_equal(np.concatenate([found["value"].view(np.int64) for found in columns]), samples.values)
    whom = DeviceSelection(codes=np.arange(16, dtype=np.int32), groups=16)
    found = closed.ask("sum", metric=1, window=Window(FIRST_NS, FIRST_NS + DAY_NS), whom=whom)
    np.testing.assert_allclose(
        np.array(found.values), samples.values.view(np.float64).reshape(16, -1).sum(axis=1), rtol=1e-9
    )


@pytest.mark.parametrize("piece", [1000, 65_536, 200_000])
def test_devices_and_hours_that_go_on_in_the_next_row_group_are_folded_once(piece: int) -> None:
    samples = spread(devices=8, seconds=5)
    store = MemoryBlockStore()
    cuts = range(0, len(samples), piece)
    pieces = [samples.where(np.arange(start, min(start + piece, len(samples)))) for start in cuts]
    block = write_part(store, kind="float", day=FIRST_DAY, pieces=pieces, pause=lambda: None)
    assert (block.start_ns, block.end_ns, block.samples) == (samples.at_ns.min(), samples.at_ns.max() + 1, len(samples))
    assert list(block.files) == [RAW, MINUTE, HOUR, DAY]
    history = History(store, Manifest(samples=(block,)))
    assert [int(history.footer(block.files[tier]).rows.sum()) for tier in (MINUTE, HOUR, DAY)] == [8 * 1440, 8 * 24, 8]
    values = samples.values.view(np.float64)
    for step_ns in (MINUTE_NS, HOUR_NS, DAY_NS):
        whom = DeviceSelection(codes=np.arange(8, dtype=np.int32), groups=8)
        window = Window(FIRST_NS, FIRST_NS + DAY_NS, step_ns)
        where = Samples([], history.manifest, history)
        found = find(where, number=1, metric=METRICS[1], aggregation="sum", selection=whom, window=window)
        size = step_ns // (5 * S)
        np.testing.assert_allclose(np.array(found.values), values.reshape(-1, size).sum(axis=1), rtol=1e-9, atol=1e-6)
        assert found.counts == [size] * len(found.values)
        assert RAW not in found.tiers


def test_minutes_are_kept_where_they_are_much_fewer_than_samples() -> None:
    store = MemoryBlockStore()
    pieces = [spread(devices=2, seconds=60), spread(devices=2, seconds=10, metric=2)]
    block = write_part(store, kind="float", day=FIRST_DAY, pieces=pieces, pause=lambda: None)
    history = History(store, Manifest(samples=(block,)))
    assert {tier: history.metrics_of(file) for tier, file in block.files.items()} == {
        RAW: [1, 2],
        MINUTE: [2],
        HOUR: [1, 2],
        DAY: [1, 2],
    }
    for metric, tiers in ((1, [RAW, HOUR]), (2, [MINUTE, HOUR])):
        window = Window(FIRST_NS + 30 * MINUTE_NS, FIRST_NS + 20 * HOUR_NS)
        found = find(
            Samples([], history.manifest, history),
            number=metric,
            metric=METRICS[metric],
            aggregation="sum",
            selection=DeviceSelection(),
            window=window,
        )
        assert found.tiers == tiers


@dataclass(frozen=True)
class Groups:
    """As much of a footer as units are cut by."""

    least: dict[str, np.ndarray]
    greatest: dict[str, np.ndarray]
    rows: np.ndarray


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 99)), min_size=1, max_size=30), min_size=1, max_size=3
    )
)
def test_units_hold_every_row_once_and_in_order(files: list[list[tuple[int, int]]]) -> None:
    footers = []
    for rows in files:
        groups = [sorted(rows)[place : place + 3] for place in range(0, len(rows), 3)]
        devices = ([device for device, _ in group] for group in groups)
        times = ([at for _, at in group] for group in groups)
        edges = [(min(of), max(of), min(at), max(at)) for of, at in zip(devices, times, strict=True)]
        least = {"device": np.array([edge[0] for edge in edges]), "at": np.array([edge[2] for edge in edges])}
        greatest = {"device": np.array([edge[1] for edge in edges]), "at": np.array([edge[3] for edge in edges])}
        footers.append(
            Groups({**least, "metric": np.ones(len(groups))}, greatest, np.array([len(group) for group in groups]))
        )
    read = []
    for unit in cut_units(footers, 1, RowRange(0, 100), 6):
        inside = []
        for rows, footer in zip(files, footers, strict=True):
            for group in unit.groups(footer, 1):
                chosen = sorted(rows)[3 * group : 3 * group + 3]
                inside += [
                    (device, at) for device, at in chosen
                    if unit.start_device <= device < unit.end_device and unit.start_ns <= at < unit.end_ns
                ]  # fmt: skip
        read += sorted(inside)
    assert read == sorted(row for rows in files for row in rows)


def test_a_damaged_block_is_left_alone_and_said_to_be_missing() -> None:
    closed = Closed(metrics={1: METRICS[1], 0: METRICS[0], 2: METRICS[2]})
    for day in range(3):
        closed.add([(0, 1, FIRST_NS + day * DAY_NS + hour * HOUR_NS + 7, float(day)) for hour in range(24)])
    damage(closed, closed.manifest.samples[1], RAW)
    closed.settle()
    assert [block.day for block in closed.manifest.samples] == [None, FIRST_DAY, FIRST_DAY + 2]
    assert set(map(id, closed.damaged)) == {id(closed.manifest.samples[0])}
    found = closed.ask("count", metric=1, window=Window(FIRST_NS, FIRST_NS + 3 * DAY_NS))
    assert found.values == [48]
    assert [(span.start, span.end) for span in found.missing] == [
        ("2024-10-05T00:00:00.000000007Z", "2024-10-05T23:00:00.000000008Z")
    ]


@pytest.mark.parametrize("tier", [RAW, HOUR, DAY])
def test_a_damaged_file_of_a_part_takes_only_its_own_span_out_of_an_answer(tier: str) -> None:
    closed = Closed()
    for day in range(3):
        closed.add([(0, 1, FIRST_NS + day * DAY_NS + minute * MINUTE_NS + 7, float(day)) for minute in range(1440)])
    closed.settle()
    damage(closed, closed.manifest.samples[1], tier)
    length_ns = {RAW: 30 * MINUTE_NS, HOUR: 3 * HOUR_NS, DAY: DAY_NS}[tier]
    start_ns = FIRST_NS + DAY_NS - 30 * MINUTE_NS
    found = closed.ask("count", metric=1, window=Window(start_ns, FIRST_NS + DAY_NS + length_ns))
    assert found.values == [30]
    assert [(span.start[:10], span.end[:10]) for span in found.missing] == [
        ("2024-10-05", "2024-10-06" if tier == DAY else "2024-10-05")
    ]


@pytest.mark.parametrize("tier", [RAW, HOUR, DAY])
def test_a_file_that_vanishes_after_its_footer_was_read_is_said_to_be_missing(tier: str) -> None:
    closed = Closed()
    closed.add([(0, 1, FIRST_NS + minute * MINUTE_NS + 7, 1.0) for minute in range(1440)])
    closed.settle()
    file = closed.manifest.samples[0].files[tier]
    closed.history.footer(file)
    closed.store.remove(file.name)
    length_ns = {RAW: 30 * MINUTE_NS, HOUR: 3 * HOUR_NS, DAY: DAY_NS}[tier]
    found = closed.ask("count", metric=1, window=Window(FIRST_NS, FIRST_NS + length_ns))
    assert (found.values, len(found.missing)) == ([0], 1)


def test_a_damaged_part_is_not_merged_and_goes_when_all_its_metrics_have_expired() -> None:
    closed = Closed()
    for device in range(3):
        closed.add([(device, 1, FIRST_NS + HOUR_NS, float(device))])
        closed.step(is_forced=True, parts_max=9)
    broken = closed.manifest.samples[1]
    damage(closed, broken, HOUR)
    closed.settle()
    assert [block.samples for block in closed.manifest.samples] == [1, 2]
    assert closed.manifest.samples[0] is broken
    closed.today += 1000
    closed.settle()
    assert not closed.manifest.samples
    assert not closed.store.names()


def damage(closed: Closed, block: SampleBlock, tier: str) -> None:
    """Flip a bit of every byte of a file, and forget what was read of it."""
    name = block.files[tier].name
    with closed.store.open(name) as file:
        body = file.read()
    closed.store.put(name, lambda to: to.write(bytes(byte ^ 1 for byte in body)))
    closed.history = History(closed.store, closed.manifest)
    with pytest.raises(DamagedData):
        closed.history.footer(block.files[tier])
