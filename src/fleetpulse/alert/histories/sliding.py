"""Figures of windows that slide over cells, for many devices at once."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.histories.cell_rows import CellRows, Grid
from fleetpulse.model.alert_rule import Comparison
from fleetpulse.model.metric import Aggregation


class Sliding:
    """Windows of `window` cells, the first one over the first cells, each `step` cells later than the one before.

    All that it gives has the shape (devices, windows).
    """

    def __init__(self, rows: CellRows, *, window: int, step: int) -> None:
        self._rows, self._window, self._step = rows, window, step

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many samples each window has: int64, shape (devices, windows)."""
        return self._sums(self._rows.counts)

    def figures(self, aggregation: Aggregation) -> NDArray[np.float64]:
        """Figures, nan of windows without samples: float64, shape (devices, windows). Quantiles are not made."""
        rows, counts = self._rows, self.counts
        if aggregation == "count":
            return np.where(counts > 0, counts, np.nan)
        if aggregation in ("min", "max"):
            grid, choose = (rows.lowest, np.minimum) if aggregation == "min" else (rows.highest, np.maximum)
            assert grid is not None
            return np.where(counts > 0, self._extremes(grid, choose), np.nan)
        if aggregation == "latest":
            assert rows.latest is not None
            return self._latest(rows.latest)
        assert rows.sums is not None
        sums = self._sums(rows.sums)
        if aggregation == "sum":
            return np.where(counts > 0, sums, np.nan)
        means = sums / np.maximum(counts, 1)
        if aggregation == "avg":
            return np.where(counts > 0, means, np.nan)
        assert rows.squares is not None
        variances = self._sums(rows.squares) / np.maximum(counts, 1) - means * means
        return np.where(counts > 0, np.sqrt(np.maximum(variances, 0)), np.nan)

    def quantile_is(self, comparison: Comparison, threshold: int, percent: int) -> NDArray[np.bool_]:
        """Whether a quantile by nearest rank compares so with a threshold: bool, shape (devices, windows).

        Args: threshold: its place among those of the cells.
        """
        counts = self.counts
        ranks = np.maximum(1, -(-percent * counts // 100))
        below, most = self._sums(self._rows.below[threshold]), self._sums(self._rows.most[threshold])
        found = {">": most < ranks, ">=": below < ranks, "<": below >= ranks, "<=": most >= ranks}[comparison]
        return found & (counts > 0)

    def _sums(self, grid: Grid) -> Grid:
        before = np.zeros((len(grid), grid.shape[1] + 1), grid.dtype)
        np.cumsum(grid, axis=1, out=before[:, 1:])
        return (before[:, self._window :] - before[:, : -self._window])[:, :: self._step]

    def _extremes(self, grid: Grid, choose: np.ufunc) -> Grid:
        """Of each window; spans of doubled length are made until two of them cover a window."""
        length, spans = 1, grid
        while 2 * length <= self._window:
            spans = choose(spans[:, :-length], spans[:, length:])
            length *= 2
        rest = self._window - length
        return (choose(spans[:, : spans.shape[1] - rest], spans[:, rest:]) if rest else spans)[:, :: self._step]

    def _latest(self, grid: Grid) -> Grid:
        """The value of the last cell of each window that has any."""
        cells = np.arange(grid.shape[1])
        last = np.maximum.accumulate(np.where(np.isnan(grid), -1, cells), axis=1)
        ends = cells[self._window - 1 :: self._step]
        places = last[:, ends]
        values = np.take_along_axis(grid, np.maximum(places, 0), axis=1)
        return np.where(places > ends - self._window, values, np.nan)


def held_between(enters: NDArray[np.bool_], stays: NDArray[np.bool_], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a condition with hysteresis is true: from where it enters on, for as long as it stays.

    Args: enters, stays: bool, shape (n, steps); before: bool, shape (n,), whether it was true at first.
    """
    steps = np.arange(1, enters.shape[1] + 1)
    entered = np.maximum.accumulate(np.where(enters, steps, 0), axis=1)
    left = np.maximum.accumulate(np.where(stays, 0, steps), axis=1)
    found: NDArray[np.bool_] = (entered > left) | ((left == 0) & before[:, None])
    return found
