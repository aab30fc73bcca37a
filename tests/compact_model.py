"""A block store under compaction beside a plain list of samples, and what both answer."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import strategies as st

from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.blocks.sample_repeats import Comparison
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import DAY, HOUR, RAW, TIERS, BlockFile, Manifest, SampleBlock
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
