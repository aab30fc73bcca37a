"""What slots count as where no heartbeat was sent in them, as runs of one reason each.

A window of ten years has five million slots of a minute, and a fleet may have thousands of classes of devices that
share their exclusions; of each there are only a few runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.class_spans import search_in_rows
from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.spans import Spans
from fleetpulse.model.uptime import BLIND, DELETED, DOWN, MAINTENANCE, PAUSED

Kinds = Mapping[int, tuple[NDArray[np.int64], Spans]]
"""By a code of REASONS: the class of each span, int64, shape (n,), and spans in any order, int64 ns, shape (n, 2)."""


@dataclass(frozen=True, slots=True)
class ClassRuns:
    """Runs of slots 0 .. count - 1 for each of some classes, one class after the other.

    Run i begins at `starts[i]`; its slots count as `reasons[i]`, a code of REASONS. Class c has the runs `edges[c]` to
    `edges[c + 1]` - 1, at least one, of which the first begins at 0.

    Attributes: starts: int64, reasons: int8, of one shape (runs,); edges: int64, shape (classes + 1,).
    """

    starts: NDArray[np.int64]
    reasons: NDArray[np.int8]
    edges: NDArray[np.int64]
    count: int

    def before(self, reason: int, codes: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many slots of a reason lie before each place in [0, count], for the class of each.

        Args: codes: the classes, int64, shape (m, 1) or as `places`. places: int64, shape (m, k).
        Returns: int64, shape (m, k).
        """
        is_reason = self.reasons == reason
        if len(self.starts) == 1:
            return places if is_reason[0] else np.zeros_like(places)
        ends = np.append(self.starts[1:], self.count)
        ends[self.edges[1:] - 1] = self.count
        lengths = np.zeros(len(ends) + 1, np.int64)
        np.cumsum(np.where(is_reason, ends - self.starts, 0), out=lengths[1:])
        runs = search_in_rows(self.starts, self.edges, codes, places, is_right=True) - 1
        inside = np.where(is_reason[runs], places - self.starts[runs], 0)
        before: NDArray[np.int64] = lengths[runs] - lengths[self.edges[codes]] + inside
        return before

    def between(self, codes: NDArray[np.int64], first: int, last: int) -> NDArray[np.int8]:
        """The reasons of the slots [first, last) of classes: int8, shape (len(codes), last - first)."""
        begin = search_in_rows(self.starts, self.edges, codes, np.full(len(codes), first), is_right=True) - 1
        counts = search_in_rows(self.starts, self.edges, codes, np.full(len(codes), last), is_right=False) - begin
        until = np.cumsum(counts)
        runs = np.arange(counts.sum()) + np.repeat(begin - until + counts, counts)
        starts = np.maximum(self.starts[runs], first)
        ends = np.append(starts[1:], last)
        ends[until - 1] = last
        return np.repeat(self.reasons[runs], ends - starts).reshape(len(codes), last - first)


def class_runs(kinds: Kinds, *, classes: int, start_ns: int, slot_ns: int, count: int) -> ClassRuns:
    """What each slot counts as where no heartbeat was sent in it: DELETED, PAUSED, MAINTENANCE, BLIND or DOWN.

    A slot counts as the last of these reasons in the order of blind, maintenance, paused, deleted of which any span
    touches it. In the slots that are BLIND or DOWN a heartbeat counts; the others count neither way.

    Args:
        kinds: spans by BLIND, MAINTENANCE, PAUSED and DELETED; the spans of a kind do not overlap in a class.
        classes: how many there are.
        start_ns: when the first slot begins, a multiple of `slot_ns`.
        slot_ns: the length of a slot.
        count: how many slots there are.
    Source: docs/explanation/uptime.md, "Windowed uptime".
    """
    first, width = start_ns // slot_ns, count + 1
    touched = []
    for reason in (BLIND, MAINTENANCE, PAUSED, DELETED):
        codes, spans = kinds[reason]
        starts = np.clip(spans[:, 0] // slot_ns - first, 0, count)
        ends = np.clip(-(-spans[:, 1] // slot_ns) - first, 0, count)
        is_inside = starts < ends
        if is_inside.any():
            before = codes[is_inside] * width
            touched.append((reason, before + starts[is_inside], before + ends[is_inside]))
    # A class and a slot as one number: the edges of all classes are in one order.
    zeros = np.arange(classes) * width
    edges = np.unique(np.concatenate([zeros, *(edge for _, *both in touched for edge in both)])) if touched else zeros
    reasons = np.full(len(edges), DOWN, np.int8)
    for reason, starts, ends in touched:
        begun = np.bincount(np.searchsorted(edges, starts), minlength=len(edges))
        ended = np.bincount(np.searchsorted(edges, ends), minlength=len(edges))
        reasons[np.cumsum(begun - ended) > 0] = reason
    codes, places = np.divmod(edges, width)
    is_kept = places < max(1, count)
    codes, places, reasons = codes[is_kept], places[is_kept], reasons[is_kept]
    is_first = first_of_runs(codes, reasons)
    return ClassRuns(
        places[is_first], reasons[is_first], np.searchsorted(codes[is_first], np.arange(classes + 1)), count
    )


NO_CLASSES = np.zeros(0, np.int64)


class ClassSweep:
    """The runs of all classes of devices together, looked at a range of slots after the other, in their order."""

    def __init__(self, runs: ClassRuns) -> None:
        self._runs = runs
        classes = len(runs.edges) - 1
        order = np.argsort(runs.starts, kind="stable")
        self._starts, self._reasons = runs.starts[order], runs.reasons[order]
        self._classes = np.repeat(np.arange(classes), np.diff(runs.edges))[order]
        self._now = np.full(classes, DOWN, np.int8)
        """What the slots of each class count as after the runs that were swept over."""
        self._swept = 0

    def _sweep_to(self, first: int, last: int) -> NDArray[np.int64]:
        """Make `_now` what holds at slot `first`; the classes in which it changes before `last`."""
        begun, ended = np.searchsorted(self._starts, [first + 1, last]).tolist()
        if begun < self._swept:
            raise ValueError("ranges of slots come in their order")
        # Where a class has several runs in it, the last one of them stays.
        if begun > self._swept:
            self._now[self._classes[self._swept : begun]] = self._reasons[self._swept : begun]
            self._swept = begun
        return np.unique(self._classes[begun:ended]) if ended > begun else NO_CLASSES

    def is_all(self, reason: int, first: int, last: int) -> bool:
        """Whether the slots [first, last) count as `reason` for all classes."""
        return not len(self._sweep_to(first, last)) and bool((self._now == reason).all())

    def between(self, first: int, last: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """The slots [first, last) of each class.

        Returns: the different rows of reasons, int8, shape (rows, last - first); and the row of each class, int64,
            shape (classes,).
        """
        changing = self._sweep_to(first, last)
        reasons, of_class = np.unique(self._now, return_inverse=True)
        rows = np.repeat(reasons[:, None], last - first, axis=1)
        if not len(changing):
            return rows, of_class
        of_class[changing] = len(rows) + np.arange(len(changing))
        return np.concatenate([rows, self._runs.between(changing, first, last)]), of_class
