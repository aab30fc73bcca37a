"""Questions about metrics: any window, one device or many, in steps or whole, exact over live and closed data together.

`reads` says what is read; here it is folded into cells, and the cells become figures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.aggregations import RULES, Figure, OfSamples, figures, or_none
from fleetpulse.aggregate.rollup import CellPart, Cells, cut_cells, fold_cells, fold_samples, join_cells
from fleetpulse.blocks.history import SampleRange
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW
from fleetpulse.model.metric import Aggregation, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.answers import Missing
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.missing import note_missing
from fleetpulse.query.reads import BUCKET_NS, LIVE, Plan, Read, Samples, count_rows, plan_reads
from fleetpulse.query.resolution import EdgeBuckets
from fleetpulse.query.window import Window

EXACT_SAMPLES_MAX = 4_000_000
"""Samples that are read for a figure that needs every one of them; if there are more, roll-ups tell what they can.

What counts are all samples of the metric, of the device or of all devices, in the UTC days that the window touches. So
it depends on data alone, not on how blocks are cut, and what is read is bounded, too.
"""


@dataclass(frozen=True, slots=True)
class DeviceSelection:
    """Whose samples: of one device; or of many, each in the group codes[device], -1 for those not asked for."""

    device: int | None = None
    codes: NDArray[np.int32] | None = None
    groups: int = 1


@dataclass(slots=True)
class MetricResult:
    """The cells of groups x buckets in that order, and how they came about."""

    values: list[int | float | None]
    counts: list[int]
    tiers: list[str]
    is_exact: bool
    """Whether every sample was read, if the aggregation needs that."""
    missing: list[Missing] = field(default_factory=list)
    """Spans that the answer lacks, since a block is missing or damaged."""
    coarse: list[str] = field(default_factory=list)
    """Tiers whose buckets stick out of the window or of a step, since the samples are gone already."""
    span: Window | None = None
    """The window with these buckets whole, where they stick out of it."""
    is_overflown: bool = False
    """Whether a value is None because it is beyond all doubles."""


def find(
    where: Samples,
    *,
    number: int,
    metric: MetricDefinition,
    aggregation: Aggregation,
    selection: DeviceSelection,
    window: Window,
) -> MetricResult:
    """Aggregate a metric. Blocks; cost grows with the row groups that hold what is wanted, not with what is stored."""
    rule = RULES[aggregation]
    if rule.of_samples is not None and _is_affordable(where, number, metric, selection.device, window):
        plan = plan_reads(where, number, metric.kind, window, is_raw_preferred=True)
        finding = _Finding(
            where, number, metric, selection, window, plan=plan, aggregation=aggregation, of_samples=rule.of_samples
        )
        # Roll-ups first: where one counts, samples are gone, and the others need not be read.
        for read in sorted(plan.reads, key=lambda read: read.tier in (LIVE, RAW)):
            finding.take(read)
            if finding.has_coarse and rule.of_cells is not None:
                break
        else:
            # What roll-ups do not tell at all can still be told of the cells whose samples are all there.
            return finding.found()
    plan = plan_reads(where, number, metric.kind, window, is_raw_preferred=False)
    finding = _Finding(where, number, metric, selection, window, plan=plan, aggregation=aggregation)
    for read in plan.reads:
        finding.take(read)
    return finding.found()


def _is_affordable(where: Samples, number: int, metric: MetricDefinition, device: int | None, window: Window) -> bool:
    """Whether there are no more than EXACT_SAMPLES_MAX samples of a device, or of all devices, in the window's days."""
    days = window.whole_days()
    raw = plan_reads(where, number, metric.kind, days, is_raw_preferred=True)
    if count_rows(where, raw.reads, number, device) <= EXACT_SAMPLES_MAX:
        return True
    # Row groups hold other devices, too, and fresh blocks may hold what is elsewhere already. Roll-ups know the number.
    plan = plan_reads(where, number, metric.kind, days, is_raw_preferred=False)
    counting = _Finding(where, number, metric, DeviceSelection(device), days, plan=plan, aggregation="count")
    for read in plan.reads:
        counting.take(read)
    return counting.found().counts[0] <= EXACT_SAMPLES_MAX


class _Finding:
    """Gathers what is read as cells, few at a time."""

    def __init__(
        self,
        where: Samples,
        number: int,
        metric: MetricDefinition,
        selection: DeviceSelection,
        window: Window,
        *,
        plan: Plan,
        aggregation: Aggregation,
        of_samples: OfSamples | None = None,
    ) -> None:
        self._where = where
        self._number = number
        self._metric = metric
        self._selection = selection
        self._window = window
        self._plan = plan
        self._aggregation: Aggregation = aggregation
        self._rule = rule = RULES[aggregation]
        self._of_samples = of_samples
        self._parts: Sequence[CellPart] = rule.parts if self._of_samples is None else ()
        self._count = selection.groups * window.buckets
        self._places: list[NDArray[np.int64]] = []
        self._folded: list[Cells] = []
        self._collected: list[tuple[NDArray[np.int64], NDArray[Any]]] = []
        self._tiers: set[str] = set()
        self._missing: list[Missing] = []
        self._rolled_up: set[int] = set()
        self._edges = EdgeBuckets(window, plan.resolution)
        self.has_coarse = False
        """Whether there was anything of a day whose samples are gone."""

    def take(self, read: Read) -> None:
        """Read a piece. What cannot be read is noted as missing."""
        try:
            if read.block is None:
                for samples in self._live():
                    self._take_samples(samples, LIVE)
            elif read.tier == RAW:
                for samples in self._where.history.samples(read.block, self._want(read)):
                    self._take_samples(samples, RAW)
            else:
                self._take_rollups(read)
        except DamagedData as error:
            note_missing(self._missing, read.start_ns, read.end_ns, error)

    def _want(self, read: Read) -> SampleRange:
        return SampleRange(self._number, self._selection.device, read.start_ns, read.end_ns)

    def _live(self) -> Iterator[SampleColumns]:
        window, selection = self._plan.window, self._selection
        is_selected = None if selection.codes is None else selection.codes >= 0
        wanted = LiveRange(self._number, window.start_ns, window.end_ns, selection.device, is_selected)
        return live_samples(self._where, wanted, self._metric, self._missing)

    def _take_samples(self, samples: SampleColumns, tier: str) -> None:
        places, chosen = self._cells(samples.devices, samples.at_ns)
        if not len(places):
            return
        self._tiers.add(tier)
        values = samples.values if self._metric.kind == "integer" else samples.values.view(np.float64)
        values, at_ns = (values, samples.at_ns) if chosen is None else (values[chosen], samples.at_ns[chosen])
        self.has_coarse |= self._edges.note(at_ns, at_ns + 1)
        if self._of_samples is not None:
            self._collected.append((places, values + 0))  # makes a negative zero a zero
        cells, local, count = self._local(places)
        self._keep(cells, fold_samples(local, values, at_ns, count=count, parts=self._parts))

    def _take_rollups(self, read: Read) -> None:
        assert read.block is not None
        for rows in self._where.history.rollups(read.block, read.tier, self._want(read), parts=self._parts):
            inside = (rows.at_ns >= read.start_ns) & (rows.at_ns < read.end_ns)
            if self._selection.device is not None:
                inside &= rows.devices == self._selection.device
            inside_places = np.flatnonzero(inside)
            places, chosen = self._cells(rows.devices[inside_places], rows.at_ns[inside_places])
            if not len(places):
                continue
            self._tiers.add(read.tier)
            self._rolled_up.update(np.unique(places).tolist())
            if chosen is not None:
                inside_places = inside_places[chosen]
            at_ns = rows.at_ns[inside_places]
            ends_ns = np.minimum(at_ns + BUCKET_NS[read.tier], read.block.end_ns)
            self.has_coarse |= self._edges.note(np.maximum(at_ns, read.block.start_ns), ends_ns)
            # All rows are folded, those not asked for into a cell of their own: the ragged sketches need not be cut.
            every = np.full(len(rows), self._count, np.int64)
            every[inside_places] = places
            cells, local, count = self._local(every)
            self._keep(cells, fold_cells(local, rows.cells, count=count, parts=self._parts))

    def _cells(
        self, devices: NDArray[np.uint32], at_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The cell of each row that is asked for; and which rows these are, None for all."""
        window, codes = self._window, self._selection.codes
        # Buckets at the edges may stick out of the window.
        buckets = window.buckets_of(self._plan.resolution.begins(at_ns))
        if codes is None:
            return buckets, None
        groups = np.full(len(devices), -1, np.int64)
        is_known = devices < len(codes)
        groups[is_known] = codes[devices[is_known]]
        places = groups * window.buckets + buckets
        chosen = np.flatnonzero(groups >= 0)
        return (places, None) if len(chosen) == len(places) else (places[chosen], chosen)

    def _local(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Cells that occur, for each row its place among them, and their number: a small piece fills few cells."""
        if self._count < len(places):
            return np.arange(self._count + 1), places, self._count + 1
        cells, local = np.unique(places, return_inverse=True)
        return cells, local, len(cells)

    def _keep(self, cells: NDArray[np.int64], part: Cells) -> None:
        self._places.append(cells)
        self._folded.append(part)

    def found(self) -> MetricResult:
        """All that was taken, as figures."""
        empty = fold_samples(
            np.zeros(0, np.int64), np.zeros(0, np.int64 if self._metric.kind == "integer" else np.float64),
            np.zeros(0, np.int64), count=1, parts=self._parts,
        )  # fmt: skip
        places = np.concatenate([np.zeros(1, np.int64), *self._places])
        cells = fold_cells(places, join_cells([empty, *self._folded]), count=self._count + 1, parts=self._parts)
        cells = cut_cells(cells, 0, self._count)
        values = figures(cells, self._aggregation) if self._of_samples is None else self._sampled_figures(cells)
        counts = cells.counts.tolist()
        is_computable = self._of_samples is None and self._rule.of_cells is not None
        return MetricResult(
            values=values,
            counts=counts,
            tiers=[tier for tier in (LIVE, RAW, MINUTE, HOUR, DAY) if tier in self._tiers],
            is_exact=self._rule.of_samples is None or (self._of_samples is not None and not self.has_coarse),
            missing=self._missing,
            coarse=self._edges.tiers(),
            span=self._edges.span(self._plan.window),
            is_overflown=is_computable
            and any(count and value is None for value, count in zip(values, counts, strict=True)),
        )

    def _sampled_figures(self, cells: Cells) -> list[Figure | None]:
        assert self._of_samples is not None
        places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in self._collected)])
        samples = np.concatenate([np.zeros(0, np.int64), *(values for _, values in self._collected)])
        values = self._of_samples(places, samples, self._count)
        figures_of_cells = or_none(values, cells.counts, empty=self._rule.empty)
        return [None if place in self._rolled_up else value for place, value in enumerate(figures_of_cells)]
