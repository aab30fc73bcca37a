"""Questions about metrics: any window, one device or many, in steps or whole, exact over live and closed data together.

`reads` says what is read; here it is folded into cells, and the cells become figures. Both is done for a span of cells
at a time, so that the memory that it takes depends on the answer, and not on how many samples are read.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.aggregations import RULES, Figure, OfSamples, figures, or_none
from fleetpulse.aggregate.rollup import CellPart, Cells, cut_cells, take_cells
from fleetpulse.blocks.samples import RollupRows
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW
from fleetpulse.model.metric import Aggregation, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.answers import Missing
from fleetpulse.query.cell_spans import CellMap, CellSpan
from fleetpulse.query.gathered import GatheredCells, GatheredSamples, Ledger, SpanTooLarge
from fleetpulse.query.missing import distinct, note_missing
from fleetpulse.query.reads import BUCKET_NS, LIVE, Plan, Read, Samples, count_rows, plan_reads
from fleetpulse.query.resolution import EdgeBuckets
from fleetpulse.query.span_reads import SpanReads
from fleetpulse.query.window import Window

EXACT_SAMPLES_MAX = 4_000_000
"""Samples that are read for a figure that needs every one of them; if there are more, roll-ups tell what they can.

What counts are all samples of the metric, of the device or of all devices, in the UTC days that the window touches. So
it depends on data alone, not on how blocks are cut, and what is read is bounded, too.
"""
SPAN_BYTES_MAX = 33_554_432
"""What a span of cells may hold; less where `question_memory_max` is less than eight times as much."""
CELL_BYTES, SKETCH_BYTES, SAMPLE_BYTES = 80, 2_048, 12
"""About what a cell, its sketch and a single sample take in memory."""
PIECE_CELLS = 16_384
"""Cells that become figures at a time."""


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


@dataclass(frozen=True, slots=True)
class _Question:
    where: Samples
    number: int
    metric: MetricDefinition
    selection: DeviceSelection
    window: Window
    aggregation: Aggregation
    span_bytes_max: int

    def plan(self, *, is_raw_preferred: bool) -> Plan:
        return plan_reads(self.where, self.number, self.metric.kind, self.window, is_raw_preferred=is_raw_preferred)


def find(
    where: Samples,
    *,
    number: int,
    metric: MetricDefinition,
    aggregation: Aggregation,
    selection: DeviceSelection,
    window: Window,
    span_bytes_max: int = SPAN_BYTES_MAX,
    exact_samples_max: int = EXACT_SAMPLES_MAX,
) -> MetricResult:
    """Aggregate a metric. Blocks; cost grows with the row groups that hold what is wanted, not with what is stored.

    Args:
        span_bytes_max: what may be held of cells and single samples at a time; it changes no figure.
        exact_samples_max: see `EXACT_SAMPLES_MAX`.
    Raises: QuestionStopped; TooDear; Busy: see `Budget`.
    """
    bytes_max = min(span_bytes_max, where.budget.question_memory_max // 8)
    question = _Question(where, number, metric, selection, window, aggregation, bytes_max)
    rule = RULES[aggregation]
    if rule.of_samples is not None and _is_affordable(question, exact_samples_max):
        result = _Finding(question, question.plan(is_raw_preferred=True), of_samples=rule.of_samples).find()
        if result is not None:
            return result
    result = _Finding(question, question.plan(is_raw_preferred=False)).find()
    assert result is not None, "only a finding of single samples gives up"
    return result


def _is_affordable(question: _Question, samples_max: int) -> bool:
    """Whether there are no more samples than that of a device, or of all devices, in the window's days."""
    device = question.selection.device
    counting = replace(
        question, selection=DeviceSelection(device), window=question.window.whole_days(), aggregation="count"
    )
    raw = counting.plan(is_raw_preferred=True)
    if count_rows(question.where, raw.reads, question.number, device) <= samples_max:
        return True
    # Row groups hold other devices, too, and fresh blocks may hold what is elsewhere already. Roll-ups know the number.
    counted = _Finding(counting, counting.plan(is_raw_preferred=False)).find()
    return counted is not None and counted.counts[0] <= samples_max


class _Finding:
    """Finds the figures of a plan, a span of cells at a time."""

    def __init__(self, question: _Question, plan: Plan, *, of_samples: OfSamples | None = None) -> None:
        selection, window = question.selection, question.window
        self._question, self._plan, self._of_samples = question, plan, of_samples
        self._budget = question.where.budget
        self._rule = RULES[question.aggregation]
        self._may_give_up = of_samples is not None and self._rule.of_cells is not None
        """Whether roll-ups are no use: where one counts, all figures are found from cells instead."""
        self._parts: Sequence[CellPart] = self._rule.parts if of_samples is None else ()
        # Roll-ups first: where one counts, samples are gone, and the others need not be read.
        self._reads = sorted(plan.reads, key=_is_single) if of_samples is not None else list(plan.reads)
        self._cells = CellMap(window, plan.window, plan.resolution, selection.codes, selection.groups)
        self._missing: list[list[Missing]] = [[] for _ in self._reads]
        """By read, so that their order does not depend on the spans."""
        live_missing = next(
            missing for read, missing in zip(self._reads, self._missing, strict=True) if read.block is None
        )
        self._source = SpanReads(
            question.where,
            question.number,
            question.metric,
            device=selection.device,
            cells=self._cells,
            live_missing=live_missing,
        )
        count = self._cells.whole.count
        self._values: list[Figure | None] = [None] * count
        self._counts = [0] * count
        self._tiers: set[str] = set()
        self._edges = EdgeBuckets(window, plan.resolution)
        self._has_coarse = self._is_overflown = False
        """Whether there was anything of a day whose samples are gone; and whether a figure is beyond all doubles."""

    def find(self) -> MetricResult | None:
        """All figures; None where single samples are wanted, some are gone, and cells tell the figures, too."""
        if self._may_give_up and self._finds_rollups():
            return None
        spans = deque(self._spans())
        while spans:
            span = spans.popleft()
            try:
                with Ledger(self._budget, None if span.count == 1 else self._question.span_bytes_max) as ledger:
                    self._answer(span, ledger)
            except SpanTooLarge:
                spans.extendleft(reversed(span.halves()))
            if self._has_coarse and self._may_give_up:
                return None
        return self._result()

    def _finds_rollups(self) -> bool:
        """Whether any roll-up is wanted; of those that cannot be read it is noted."""
        whole = self._cells.whole
        for read, missing in zip(self._reads, self._missing, strict=True):
            if not _is_single(read):
                try:
                    for rows in self._source.rollups(read, whole, parts=()):
                        self._placed(rows, read, whole)
                except DamagedData as error:
                    note_missing(missing, read.start_ns, read.end_ns, error)
                if self._has_coarse:
                    return True
        return False

    def _spans(self) -> list[CellSpan]:
        """The cells, cut so that a span probably holds no more than it may, and no row group is read for two."""
        cells, question = self._cells, self._question
        if self._of_samples is None:
            cell_bytes = CELL_BYTES + (SKETCH_BYTES if "sketches" in self._parts else 0)
            if cell_bytes * cells.whole.count <= question.span_bytes_max:
                return [cells.whole]
            bytes_of_days: NDArray[np.float64] = (cells.buckets_of_days() * cell_bytes * cells.groups).astype(
                np.float64
            )
        else:
            rows = [
                0
                if read.block is None
                else count_rows(question.where, [read], question.number, question.selection.device)
                for read in self._reads
            ]
            if SAMPLE_BYTES * sum(rows) <= question.span_bytes_max:
                return [cells.whole]
            starts_ns = cells.day_starts_ns()
            days = np.searchsorted(starts_ns[1:], [read.start_ns for read in self._reads], side="right")
            bytes_of_days = (SAMPLE_BYTES * np.bincount(days, rows, minlength=len(starts_ns))).astype(np.float64)
        return cells.spans(bytes_of_days, bytes_max=question.span_bytes_max)

    def _answer(self, span: CellSpan, ledger: Ledger) -> None:
        """Find the figures of a span of cells. Raises: SpanTooLarge."""
        cells = GatheredCells(self._question.metric.kind, span.count, self._parts, ledger)
        samples = None if self._of_samples is None else GatheredSamples(span.count, ledger)
        is_rolled_up = np.zeros(span.count, bool)
        start_ns, end_ns = self._cells.span_ns(span)
        for read, missing in zip(self._reads, self._missing, strict=True):
            if read.start_ns >= end_ns or read.end_ns <= start_ns or (self._may_give_up and not _is_single(read)):
                continue
            try:
                if _is_single(read):
                    for piece in self._source.samples(read, span):
                        self._take_samples(piece, read.tier, span, cells, samples)
                else:
                    for rows in self._source.rollups(read, span, parts=self._parts):
                        self._take_rollups(rows, read, span, cells, is_rolled_up)
            except DamagedData as error:
                note_missing(missing, read.start_ns, read.end_ns, error)
            if self._has_coarse and self._may_give_up:
                return
        self._keep(span, cells.cells(), samples, is_rolled_up)

    def _take_samples(
        self, piece: SampleColumns, tier: str, span: CellSpan, cells: GatheredCells, samples: GatheredSamples | None
    ) -> None:
        places, chosen = self._cells.cells(span, piece.devices, piece.at_ns)
        if not len(places):
            return
        self._tiers.add(tier)
        values = piece.values if self._question.metric.kind == "integer" else piece.values.view(np.float64)
        values, at_ns = (values, piece.at_ns) if chosen is None else (values[chosen], piece.at_ns[chosen])
        self._has_coarse |= self._edges.note(at_ns, at_ns + 1)
        if samples is not None:
            samples.add(places, values)
        cells.add_samples(places, values, at_ns)

    def _take_rollups(
        self, rows: RollupRows, read: Read, span: CellSpan, cells: GatheredCells, is_rolled_up: NDArray[np.bool_]
    ) -> None:
        wanted, places = self._placed(rows, read, span)
        if not len(wanted):
            return
        is_rolled_up[places] = True
        cells.add_cells(places, rows.cells if len(wanted) == len(rows) else take_cells(rows.cells, wanted))
        if rows.cells.sketches is not None:
            of_rows = np.full(len(rows), -1, np.int64)
            of_rows[wanted] = places
            cells.add_sketches(of_rows, rows.cells.sketches)

    def _placed(self, rows: RollupRows, read: Read, span: CellSpan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which rows are in a span, and the cell of each of these. They are noted as read."""
        assert read.block is not None
        inside = (rows.at_ns >= read.start_ns) & (rows.at_ns < read.end_ns)
        if self._question.selection.device is not None:
            inside &= rows.devices == self._question.selection.device
        wanted = np.flatnonzero(inside)
        places, chosen = self._cells.cells(span, rows.devices[wanted], rows.at_ns[wanted])
        wanted = wanted if chosen is None else wanted[chosen]
        if len(wanted):
            self._tiers.add(read.tier)
            at_ns = rows.at_ns[wanted]
            ends_ns = np.minimum(at_ns + BUCKET_NS[read.tier], read.block.end_ns)
            self._has_coarse |= self._edges.note(np.maximum(at_ns, read.block.start_ns), ends_ns)
        return wanted, places

    def _keep(
        self, span: CellSpan, cells: Cells, samples: GatheredSamples | None, is_rolled_up: NDArray[np.bool_]
    ) -> None:
        """Keep the figures of a span."""
        counts = cells.counts.tolist()
        values: list[Figure | None] = []
        if samples is not None and self._of_samples is not None:
            for of_part in samples.figures(self._of_samples, cells.counts, self._budget.check):
                values += of_part
            values = or_none(values, cells.counts, empty=self._rule.empty)
            values = [None if gone else value for gone, value in zip(is_rolled_up.tolist(), values, strict=True)]
        else:
            for first in range(0, len(cells), PIECE_CELLS):
                self._budget.check()
                part = cut_cells(cells, first, min(len(cells), first + PIECE_CELLS))
                values += figures(part, self._question.aggregation)
            self._is_overflown |= self._rule.of_cells is not None and any(
                count and value is None for value, count in zip(values, counts, strict=True)
            )
        buckets = self._cells.window.buckets
        for group in range(span.first_group, span.end_group):
            source = (group - span.first_group) * span.buckets
            start, end = group * buckets + span.first_bucket, group * buckets + span.end_bucket
            self._values[start:end] = values[source : source + span.buckets]
            self._counts[start:end] = counts[source : source + span.buckets]

    def _result(self) -> MetricResult:
        return MetricResult(
            values=self._values,
            counts=self._counts,
            tiers=[tier for tier in (LIVE, RAW, MINUTE, HOUR, DAY) if tier in self._tiers],
            is_exact=self._rule.of_samples is None or (self._of_samples is not None and not self._has_coarse),
            missing=distinct([span for missing in self._missing for span in missing]),
            coarse=self._edges.tiers(),
            span=self._edges.span(self._plan.window),
            is_overflown=self._is_overflown,
        )


def _is_single(read: Read) -> bool:
    """Whether a read is of single samples."""
    return read.tier in (LIVE, RAW)
