"""Spans of many classes of devices, looked up for all of them at once.

Thousands of pauses or windows make thousands of classes of devices that share their exclusions. A pass for each class
would take longer than all the rest of a question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import Spans, covered_before


def search_in_rows(
    values: NDArray[np.int64],
    edges: NDArray[np.int64],
    rows: NDArray[np.int64],
    wanted: NDArray[np.int64],
    *,
    is_right: bool,
) -> NDArray[np.int64]:
    """Where each value would stand among those of its row, as `numpy.searchsorted` tells of one row.

    Args:
        values: int64, shape (n,): the values of all rows, one row after the other, ascending in each.
        edges: int64, shape (rows + 1,): row r is values[edges[r] : edges[r + 1]].
        rows: int64: the row of each wanted value; it is broadcast with `wanted`, int64.
        is_right: whether equal values stand before it.
    Returns: int64, places in `values`, from edges[r] to edges[r + 1].
    """
    if len(edges) == 2:
        places: NDArray[np.int64] = np.searchsorted(values, wanted, side="right" if is_right else "left")
        return places
    rows, wanted = np.broadcast_arrays(rows, wanted)
    low, high = edges[rows], edges[rows + 1]
    for _ in range(int(np.diff(edges).max(initial=0)).bit_length()):
        middle = (low + high) // 2
        found = values[np.minimum(middle, len(values) - 1)]
        is_behind = (low < high) & ((found <= wanted) if is_right else (found < wanted))
        low, high = np.where(is_behind, middle + 1, low), np.where(is_behind, high, middle)
    return low


def join_by_row(rows: NDArray[np.int64], pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows, spans) that cover in each row what any of its pairs covers, ascending by row and start.

    Args: rows: int64, shape (n,). pairs: int64 ns, shape (n, 2), in any order; those with end <= start cover nothing.
    """
    is_span = pairs[:, 0] < pairs[:, 1]
    rows, pairs = rows[is_span], pairs[is_span]
    order = np.lexsort((pairs[:, 0], rows))
    rows, starts, ends = rows[order], pairs[order, 0], pairs[order, 1]
    count = len(rows)
    # The latest end so far in each row: ends by rank, so that the row can stand before them in one number.
    by_end = np.argsort(ends, kind="stable")
    ranks = np.empty(count, np.int64)
    ranks[by_end] = np.arange(count)
    reached = ends[by_end][np.maximum.accumulate(rows * count + ranks) - rows * count]
    begins = np.ones(count, bool)
    begins[1:] = (rows[1:] != rows[:-1]) | (starts[1:] > reached[:-1])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], count)[: len(first)] - 1
    return rows[first], np.stack([starts[first], reached[last]], axis=1)


@dataclass(frozen=True, slots=True)
class ClassClocks:
    """Clocks that stand still in the excluded time of classes 0, 1, …: in spans of all classes, and in their own.

    Attributes:
        common: the spans of all classes.
        own: int64 ns, shape (n, 2): the other spans of all classes, one class after the other, joined in each.
        edges: int64, shape (classes + 1,): those of class c are own[edges[c] : edges[c + 1]].
        _before_ns: int64, shape (n + 1,): what the spans of `own` before each cover and `common` does not; the sum may
            be beyond 64 bits, but no difference inside a class is.
    """

    common: Spans
    own: NDArray[np.int64]
    edges: NDArray[np.int64]
    _before_ns: NDArray[np.int64]

    @classmethod
    def of(cls, common: Spans, codes: NDArray[np.int64], spans: NDArray[np.int64], *, count: int) -> "ClassClocks":
        """Clocks of `count` classes. Args: codes: int64, shape (n,): the class of each of `spans`, shape (n, 2)."""
        codes, own = join_by_row(codes, spans)
        covered_ns = covered_before(common, own)
        lengths_ns = own[:, 1] - own[:, 0] - (covered_ns[:, 1] - covered_ns[:, 0])
        before_ns = np.zeros(len(own) + 1, np.int64)
        np.cumsum(lengths_ns, out=before_ns[1:])
        return cls(common, own, np.searchsorted(codes, np.arange(count + 1)), before_ns)

    def at(self, codes: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the clocks of classes show.

        Args: codes: the classes, int64, shape (m,) or (m, 1). at_ns: int64, shape (m,), (k,) or (m, k).
        Returns: int64, in the shape that both are broadcast to.
        """
        if not len(self.own):
            is_before = not len(self.common) or (at_ns.size > 0 and at_ns.max() <= self.common[0, 0])
            shown_ns = at_ns if is_before else at_ns - covered_before(self.common, at_ns)
            return np.broadcast_arrays(shown_ns, codes)[0]
        shown_ns = at_ns - covered_before(self.common, at_ns)
        first = self.edges[codes]
        begun = search_in_rows(self.own[:, 0], self.edges, codes, at_ns, is_right=True)
        last = np.clip(begun - 1, 0, len(self.own) - 1)
        until_ns = np.minimum(at_ns, self.own[last, 1])
        covered_ns = covered_before(self.common, until_ns) - covered_before(self.common, self.own[last, 0])
        inside_ns = until_ns - self.own[last, 0] - covered_ns
        own_ns: NDArray[np.int64] = shown_ns - (self._before_ns[last] - self._before_ns[first] + inside_ns)
        return np.where(begun > first, own_ns, shown_ns)


def concatenated(parts: Sequence[Spans]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(edges, spans) of many classes: those of class c are spans[edges[c] : edges[c + 1]].

    Returns: int64, shape (classes + 1,), and int64 ns, shape (n, 2).
    """
    edges = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=edges[1:])
    return edges, np.concatenate([np.empty((0, 2), np.int64), *parts])
