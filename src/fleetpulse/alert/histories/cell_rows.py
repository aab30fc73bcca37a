"""Samples of a metric in cells of equal length, of each device: what sliding windows are made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.exact_sums import ratios
from fleetpulse.aggregate.rollup import CellPart
from fleetpulse.blocks.history import SampleRange
from fleetpulse.blocks.samples import RollupRows
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import Aggregation, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.answers import Missing
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.missing import note_missing
from fleetpulse.query.reads import LIVE, Read, Samples, plan_reads
from fleetpulse.query.window import Window

Grid = NDArray[Any]
"""Of each device and cell; shape (devices, cells)."""
_PARTS: dict[Aggregation, tuple[CellPart, ...]] = {
    "avg": ("sums",), "sum": ("sums",), "min": ("lowest",), "max": ("highest",), "latest": ("last",), "count": (),
}  # fmt: skip
"""What roll-ups tell; the other aggregations need single samples."""


@dataclass(slots=True, eq=False)
class CellRows:
    """Cells of devices: arrays of shape (devices, cells).

    Attributes:
        counts: int64; sums, squares: float64; lowest, highest, latest: float64, inf, -inf and nan where there are none.
        below, most: of each threshold how many samples are below it, and at or below it: int64.
    """

    counts: Grid
    sums: Grid | None = None
    squares: Grid | None = None
    lowest: Grid | None = None
    highest: Grid | None = None
    latest: Grid | None = None
    below: list[Grid] = field(default_factory=list)
    most: list[Grid] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class CellGrid:
    """Which cells: of devices (int64, ascending, shape (n,)), `count` of `cell_ns` each from `start_ns` on."""

    devices: NDArray[np.int64]
    start_ns: int
    cell_ns: int
    count: int

    @property
    def end_ns(self) -> int:
        """Where the last cell ends."""
        return self.start_ns + self.count * self.cell_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is wanted of a metric: what an aggregation needs, and of quantiles how samples compare with thresholds."""

    number: int
    definition: MetricDefinition
    aggregation: Aggregation
    thresholds: tuple[float, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether roll-ups are no use."""
        return self.aggregation not in _PARTS


def cell_rows(where: Samples, wanted: Wanted, grid: CellGrid, *, missing: list[Missing], notes: set[str]) -> CellRows:
    """The cells of a grid. Args: missing: gets what cannot be read. notes: says where samples are gone already."""
    filling = _Filling(grid, wanted)
    window = Window(grid.start_ns, grid.end_ns, grid.cell_ns)
    reads = plan_reads(where, wanted.number, wanted.definition.kind, window, is_raw_preferred=wanted.is_single).reads
    for read in reads:
        where.budget.check()
        try:
            if read.tier in (LIVE, RAW):
                for piece in _samples(where, read, wanted, grid, missing):
                    where.budget.check()
                    filling.add_samples(piece)
            elif wanted.is_single:
                notes.add(f"{wanted.aggregation} needs every sample: days whose samples are gone (raw_days) have none")
            else:
                for rows in _rollups(where, read, wanted):
                    where.budget.check()
                    filling.add_rollups(rows, read)
        except DamagedData as error:
            note_missing(missing, read.start_ns, read.end_ns, error)
    return filling.rows


def _samples(
    where: Samples, read: Read, wanted: Wanted, grid: CellGrid, missing: list[Missing]
) -> Iterator[SampleColumns]:
    if read.block is None:
        live = LiveRange(wanted.number, grid.start_ns, grid.end_ns)
        yield from live_samples(where, live, wanted.definition, missing)
    else:
        start_ns, end_ns = max(grid.start_ns, read.start_ns), min(grid.end_ns, read.end_ns)
        yield from where.history.samples(read.block, SampleRange(wanted.number, None, start_ns, end_ns))


def _rollups(where: Samples, read: Read, wanted: Wanted) -> Iterator[RollupRows]:
    assert read.block is not None
    rows = SampleRange(wanted.number, None, read.start_ns, read.end_ns)
    yield from where.history.rollups(read.block, read.tier, rows, parts=_PARTS[wanted.aggregation])


class _Columns(NamedTuple):
    """Cells or samples to be added: columns of shape (n,)."""

    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    last: NDArray[np.float64]
    last_at_ns: NDArray[np.int64]


class _Filling:
    """Adds samples and roll-ups to cells."""

    def __init__(self, grid: CellGrid, wanted: Wanted) -> None:
        shape, aggregation = (len(grid.devices), grid.count), wanted.aggregation
        self._grid, self._wanted = grid, wanted
        self._places = np.full(int(grid.devices.max(initial=-1)) + 2, -1)
        self._places[grid.devices] = np.arange(len(grid.devices))
        self.rows = rows = CellRows(np.zeros(shape, np.int64))
        if aggregation in ("avg", "sum", "stddev"):
            rows.sums = np.zeros(shape)
        if aggregation == "stddev":
            rows.squares = np.zeros(shape)
        if aggregation == "min":
            rows.lowest = np.full(shape, np.inf)
        if aggregation == "max":
            rows.highest = np.full(shape, -np.inf)
        if aggregation == "latest":
            rows.latest = np.full(shape, np.nan)
            self._latest_ns = np.zeros(shape, np.int64)
        rows.below = [np.zeros(shape, np.int64) for _ in wanted.thresholds]
        rows.most = [np.zeros(shape, np.int64) for _ in wanted.thresholds]

    def _flat(self, devices: NDArray[np.uint32], at_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
        """(cells, counted through all devices, of those rows that are in any; these rows)."""
        places = self._places[np.minimum(devices, np.uint32(len(self._places) - 1))]
        cells = (at_ns - self._grid.start_ns) // self._grid.cell_ns
        rows = np.flatnonzero((places >= 0) & (cells >= 0) & (cells < self._grid.count))
        return places[rows] * self._grid.count + cells[rows], rows

    def add_samples(self, piece: SampleColumns) -> None:
        """Single samples, each once."""
        flat, chosen = self._flat(piece.devices, piece.at_ns)
        raw = piece.values[chosen]
        values = raw.astype(np.float64) if self._wanted.definition.kind == "integer" else raw.view(np.float64) + 0.0
        ones = np.ones(len(flat), np.int64)
        self._add(flat, _Columns(ones, values, values, values, values, piece.at_ns[chosen]))
        rows = self.rows
        if rows.squares is not None:
            np.add.at(rows.squares.reshape(-1), flat, values * values)
        for place, threshold in enumerate(self._wanted.thresholds):
            np.add.at(rows.below[place].reshape(-1), flat[values < threshold], 1)
            np.add.at(rows.most[place].reshape(-1), flat[values <= threshold], 1)

    def add_rollups(self, found: RollupRows, read: Read) -> None:
        """Whole buckets, each of which lies in one cell."""
        inside = (found.at_ns >= read.start_ns) & (found.at_ns < read.end_ns)
        flat, chosen = self._flat(found.devices[inside], found.at_ns[inside])
        rows = np.flatnonzero(inside)[chosen]
        cells = found.cells
        sums = np.zeros(0)
        if self.rows.sums is not None:
            sums = np.array(ratios(cells.sums.take(rows), [1] * len(rows)), np.float64)
        lowest, highest, last = (part[rows].astype(np.float64) for part in (cells.lowest, cells.highest, cells.last))
        self._add(flat, _Columns(cells.counts[rows], sums, lowest, highest, last, cells.last_at_ns[rows]))

    def _add(self, flat: NDArray[np.int64], added: _Columns) -> None:
        rows = self.rows
        np.add.at(rows.counts.reshape(-1), flat, added.counts)
        if rows.sums is not None:
            np.add.at(rows.sums.reshape(-1), flat, added.sums)
        if rows.lowest is not None:
            np.minimum.at(rows.lowest.reshape(-1), flat, added.lowest)
        if rows.highest is not None:
            np.maximum.at(rows.highest.reshape(-1), flat, added.highest)
        if rows.latest is not None:
            # In the order of time, and of equal times of values, so that the last one written is the latest.
            order = np.lexsort((added.last, added.last_at_ns))
            known = self._latest_ns.reshape(-1)
            order = order[added.last_at_ns[order] >= known[flat[order]]]
            known[flat[order]] = added.last_at_ns[order]
            rows.latest.reshape(-1)[flat[order]] = added.last[order]
