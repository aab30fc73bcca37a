"""What a question gathers of a span of cells while it reads: folded cells, or single samples, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.aggregations import Figure, OfSamples
from fleetpulse.aggregate.rollup import CellPart, Cells, fold_cells, fold_samples, join_cells
from fleetpulse.aggregate.sketch import Sketches, sketch_keys
from fleetpulse.aggregate.sketch_table import SketchTable
from fleetpulse.model.metric import Kind
from fleetpulse.query.budget import Budget

ROWS_PENDING = 65_536
"""Cells of pieces that are kept until they are folded into one."""
SAMPLES_AT_ONCE = 262_144
"""Samples whose figures are computed at a time, unless a single cell has more."""


class SpanTooLarge(Exception):
    """A span of cells holds more than it may."""


class Ledger:
    """The bytes that a span of cells holds, counted in the budget of the question and given back at the end.

    Args: bytes_max: what the span may hold; None: as much as the budget has, since the span cannot be cut.
    """

    def __init__(self, budget: Budget, bytes_max: int | None) -> None:
        self.budget = budget
        self._bytes_max = bytes_max
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.budget.give(self._bytes)

    def change(self, count_bytes: int) -> None:
        """Count bytes more, or (below 0) fewer. Raises: SpanTooLarge; TooDear; Busy."""
        if count_bytes < 0:
            self.budget.give(-count_bytes)
        elif self._bytes_max is not None and self._bytes + count_bytes > self._bytes_max:
            raise SpanTooLarge
        else:
            self.budget.take(count_bytes)
        self._bytes += count_bytes


class GatheredCells:
    """The cells of a span, folded piece by piece."""

    def __init__(self, kind: Kind, count: int, parts: Sequence[CellPart], ledger: Ledger) -> None:
        self._dtype = np.int64 if kind == "integer" else np.float64
        self._count = count
        self._parts: Sequence[CellPart] = tuple(part for part in parts if part != "sketches")
        self._ledger = ledger
        self._places: list[NDArray[np.int64]] = []
        self._pieces: list[Cells] = []
        self._bytes = 0
        self._rows = 0
        self._table: SketchTable | None = None
        if "sketches" in parts:
            self._table = SketchTable(count)
            self._ledger.change(self._table.size_with(0))

    def add_samples(self, places: NDArray[np.int64], values: NDArray[Any], at_ns: NDArray[np.int64]) -> None:
        """Add samples: the cell (int64), the value and the time (int64, ns) of each; all of shape (rows,)."""
        first, local, count = _localized(places)
        self._keep(first, fold_samples(local, values, at_ns, count=count, parts=self._parts))
        if self._table is not None:
            self._sketch(places, sketch_keys(values.astype(np.float64, copy=False)), 1)

    def add_cells(self, places: NDArray[np.int64], finer: Cells) -> None:
        """Add finer cells without their sketches: each to its cell, int64, shape (len(finer),)."""
        first, local, count = _localized(places)
        self._keep(first, fold_cells(local, finer, count=count, parts=self._parts))

    def add_sketches(self, places: NDArray[np.int64], sketches: Sketches) -> None:
        """Add sketches, where they are wanted: each to its cell, int64, shape (len(sketches),), -1 for none."""
        cells = np.repeat(places, np.diff(sketches.offsets))
        chosen = cells >= 0 if (places < 0).any() else slice(None)
        self._sketch(cells[chosen], sketches.keys[chosen], sketches.counts[chosen])

    def _sketch(self, places: NDArray[np.int64], keys: NDArray[np.int32], counts: NDArray[np.int64] | int) -> None:
        assert self._table is not None
        new = self._table.new_keys(keys)
        if len(new):
            self._ledger.change(self._table.size_with(len(new)) - self._table.size_with(0))
            self._table.add_columns(new)
        self._table.add(places, keys, counts)

    def _keep(self, places: NDArray[np.int64], piece: Cells) -> None:
        size_bytes = _size_bytes(piece)
        self._ledger.change(size_bytes)
        self._bytes += size_bytes
        self._rows += len(piece)
        self._places.append(places)
        self._pieces.append(piece)
        # As many again as there are cells, so that folding takes no more than reading.
        if self._rows > ROWS_PENDING + 2 * self._count:
            self._fold()

    def _fold(self) -> None:
        empty = fold_samples(
            np.zeros(0, np.int64), np.zeros(0, self._dtype), np.zeros(0, np.int64), count=1, parts=self._parts
        )
        places = np.concatenate([np.zeros(1, np.int64), *self._places])
        folded = fold_cells(places, join_cells([empty, *self._pieces]), count=self._count, parts=self._parts)
        size_bytes = _size_bytes(folded)
        self._ledger.change(size_bytes - self._bytes)
        self._bytes, self._rows = size_bytes, self._count
        self._places, self._pieces = [np.arange(self._count)], [folded]

    def cells(self) -> Cells:
        """All cells of the span."""
        self._fold()
        (folded,) = self._pieces
        if self._table is None:
            return folded
        return Cells(
            folded.counts, folded.sums, folded.lowest, folded.highest, folded.last, folded.last_at_ns,
            self._table.sketches(),
        )  # fmt: skip


def _localized(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Cells that may occur, for each row its place among them, and their number: a small piece fills few cells."""
    first, last = int(places.min()), int(places.max())
    if last - first <= 2 * len(places):
        return np.arange(first, last + 1), places - first, last - first + 1
    cells, local = np.unique(places, return_inverse=True)
    return cells, local, len(cells)


def _size_bytes(cells: Cells) -> int:
    columns = cells.counts, cells.lowest, cells.highest, cells.last, cells.last_at_ns, cells.sums.words
    return sum(column.nbytes for column in columns)


class GatheredSamples:
    """The single samples of a span of cells."""

    def __init__(self, count: int, ledger: Ledger) -> None:
        self._count = count
        self._ledger = ledger
        self._pieces: list[tuple[NDArray[np.int32], NDArray[Any]]] = []

    def add(self, places: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Add samples: the cell (int64) and the value of each; both of shape (rows,)."""
        self._ledger.change(12 * len(places))
        self._pieces.append((places.astype(np.int32), values + 0))  # makes a negative zero a zero

    def figures(
        self, of_samples: OfSamples, counts: NDArray[np.int64], check: Callable[[], None]
    ) -> Iterator[Sequence[Figure]]:
        """The figures of all cells, some at a time. Args: counts: how many samples each has: int64, shape (n,)."""
        for first, end in _runs(counts, SAMPLES_AT_ONCE):
            check()
            places, values = self._between(first, end, int(counts[first:end].sum()))
            yield of_samples(places, values, end - first)

    def _between(self, first: int, end: int, rows: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The samples of cells [first, end), each with its cell counted from `first`; all of shape (rows,)."""
        places = np.zeros(rows, np.int64)
        values = np.zeros(rows, self._pieces[0][1].dtype if self._pieces else np.float64)
        start = 0
        for piece_places, piece_values in self._pieces:
            chosen = slice(None) if end - first == self._count else (piece_places >= first) & (piece_places < end)
            found = piece_places[chosen]
            places[start : start + len(found)] = found
            values[start : start + len(found)] = piece_values[chosen]
            start += len(found)
        places -= first
        return places, values


def _runs(counts: NDArray[np.int64], rows_max: int) -> Iterator[tuple[int, int]]:
    """Ranges of cells that have at most `rows_max` rows together, or are a single cell."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    first = 0
    while first < len(counts):
        end = int(np.searchsorted(before, before[first] + rows_max, side="right")) - 1
        end = min(max(end, first + 1), len(counts))
        yield first, end
        first = end
