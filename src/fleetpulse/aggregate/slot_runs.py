"""What slots count as where no heartbeat was sent in them, as runs of one reason each.

A window of ten years has five million slots of a minute, and a fleet may have thousands of classes of devices that
share their exclusions; of each there are only a few runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.spans import Spans
from fleetpulse.model.uptime import BLIND, DELETED, DOWN, MAINTENANCE, PAUSED


@dataclass(frozen=True, slots=True)
class SlotRuns:
    """Runs of slots 0 .. count - 1. Run i begins at `starts[i]`; its slots count as `reasons[i]`, a code of REASONS.

    `starts`, int64, ascending, the first one 0, and `reasons`, int8, have the shape (runs,), at least one.
    """

    starts: NDArray[np.int64]
    reasons: NDArray[np.int8]
    count: int

    def before(self, reason: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many slots of a reason lie before each place in [0, count]: int64, in the shape of `places`, int64."""
        is_reason = self.reasons == reason
        if len(self.starts) == 1:
            return places if is_reason[0] else np.zeros_like(places)
        lengths = np.where(is_reason, np.diff(self.starts, append=self.count), 0)
        runs = np.searchsorted(self.starts, places, side="right") - 1
        before: NDArray[np.int64] = (np.cumsum(lengths) - lengths)[runs]
        return before + np.where(is_reason[runs], places - self.starts[runs], 0)

    def between(self, first: int, last: int) -> NDArray[np.int8]:
        """The reasons of the slots [first, last): int8, shape (last - first,)."""
        runs = slice(
            int(np.searchsorted(self.starts, first, side="right")) - 1, int(np.searchsorted(self.starts, last))
        )
        starts = np.maximum(self.starts[runs], first)
        return np.repeat(self.reasons[runs], np.diff(starts, append=last))


def slot_runs(
    *, blind: Spans, maintenance: Spans, paused: Spans, deleted: Spans, start_ns: int, slot_ns: int, count: int
) -> SlotRuns:
    """What each slot counts as where no heartbeat was sent in it: DELETED, PAUSED, MAINTENANCE, BLIND or DOWN.

    A slot counts as the last of these reasons in the order of blind, maintenance, paused, deleted of which any span
    touches it. In the slots that are BLIND or DOWN a heartbeat counts; the others count neither way.

    Args:
        start_ns: when the first slot begins, a multiple of `slot_ns`.
        slot_ns: the length of a slot.
        count: how many slots there are.
    Source: docs/explanation/uptime.md, "Windowed uptime".
    """
    first = start_ns // slot_ns
    touched = []
    for reason, spans in ((BLIND, blind), (MAINTENANCE, maintenance), (PAUSED, paused), (DELETED, deleted)):
        starts = np.clip(spans[:, 0] // slot_ns - first, 0, count)
        ends = np.clip(-(-spans[:, 1] // slot_ns) - first, 0, count)
        is_inside = starts < ends
        if is_inside.any():
            touched.append((reason, starts[is_inside], ends[is_inside]))
    edges = np.unique(np.concatenate([np.zeros(1, np.int64), *(edge for _, *both in touched for edge in both)]))
    edges = edges[edges < max(1, count)]
    reasons = np.full(len(edges), DOWN, np.int8)
    for reason, starts, ends in touched:
        begun = np.bincount(np.searchsorted(edges, starts), minlength=len(edges) + 1)
        ended = np.bincount(np.searchsorted(edges, ends), minlength=len(edges) + 1)
        reasons[np.cumsum(begun - ended)[: len(edges)] > 0] = reason
    is_first = first_of_runs(reasons)
    return SlotRuns(edges[is_first], reasons[is_first], count)


NO_CLASSES = np.zeros(0, np.int64)


class ClassSweep:
    """The runs of all classes of devices together, looked at a range of slots after the other, in their order."""

    def __init__(self, runs: Sequence[SlotRuns]) -> None:
        self._runs = runs
        classes = np.repeat(np.arange(len(runs)), [len(one.starts) for one in runs])
        starts = np.concatenate([one.starts for one in runs])
        order = np.argsort(starts, kind="stable")
        self._starts, self._classes = starts[order], classes[order]
        self._reasons = np.concatenate([one.reasons for one in runs])[order]
        self._now = np.full(len(runs), DOWN, np.int8)
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
        return np.concatenate([rows, [self._runs[code].between(first, last) for code in changing.tolist()]]), of_class
