"""Why each moment of a window counts as it does for one device: stretches of one reason, which cover the window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.aggregate.spans import Spans, after_uncovered, clip, is_inside, spans_of, subtract
from fleetpulse.model.uptime import (
    BACKFILLED,
    BEFORE,
    BLIND,
    DELETED,
    DOWN,
    MAINTENANCE,
    MISSING,
    PAUSED,
    REASONS,
    UP,
    Measure,
)
from fleetpulse.query.gap_time import GapClocks, Times, divided


@dataclass(frozen=True, slots=True)
class DeviceGaps:
    """The gaps of one device on one clock, with the time since the last beat or reception, and the first of these."""

    start_ns: Times
    end_ns: Times
    first_ns: int
    known_from_ns: int = 0
    """Before it, gaps may be missing."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Stretches [edges_ns[i], edges_ns[i + 1]) of one reason each.

    `edges_ns`: int64, shape (n + 1,); `codes`: places in REASONS, int8, shape (n,).
    """

    edges_ns: NDArray[np.int64]
    codes: NDArray[np.int8]

    def seconds_ns(self, steps: NDArray[np.int64], *, count: int) -> NDArray[np.int64]:
        """How long each reason holds in each step: int64 ns, shape (reasons, count).

        Args: steps: that of each stretch, int64, shape (n,).
        """
        totals = np.zeros((len(REASONS), count), np.int64)
        np.add.at(totals, (self.codes, steps), np.diff(self.edges_ns))
        return totals

    def joined(self) -> "Reasons":
        """The same with neighbours of one reason as one stretch."""
        starts = np.flatnonzero(first_of_runs(self.codes)) if len(self.codes) else np.zeros(0, np.int64)
        return Reasons(np.append(self.edges_ns[starts], self.edges_ns[-1]), self.codes[starts])


def reasons_of(clocks: GapClocks, edges_ns: Sequence[int], *, settled: DeviceGaps, observed: DeviceGaps) -> Reasons:
    """The reasons of all moments from the first edge to the last, cut at each of the edges.

    Args: settled, observed: the gaps between beats, and between receptions.
    """
    excluded = clocks.excluded.of(0)
    lost = _Lost.of(clocks, settled, "settled")
    unheard = _Lost.of(clocks, observed, "observed")
    layers = [excluded.paused, excluded.maintenance, excluded.deleted, excluded.blind]
    layers += [lost.down, lost.gaps, unheard.down, unheard.gaps]
    firsts = [at_ns for one in (settled, observed) for at_ns in (one.first_ns, one.known_from_ns)]
    edges = np.concatenate([*(layer.reshape(-1) for layer in layers), np.array([*edges_ns, *firsts], np.int64)])
    edges = np.unique(np.clip(edges, edges_ns[0], edges_ns[-1]))
    at_ns = edges[:-1]
    paused, maintenance, deleted, blind, down, in_gap, late, in_late = (is_inside(layer, at_ns) for layer in layers)
    is_late = (at_ns >= observed.known_from_ns) & (late | (blind & in_late) | (at_ns < observed.first_ns))
    conditions = [
        at_ns < settled.first_ns,
        paused,
        maintenance,
        deleted,
        at_ns < settled.known_from_ns,
        blind & in_gap,
        down,
        is_late,
    ]
    codes = np.select(conditions, [BEFORE, PAUSED, MAINTENANCE, DELETED, MISSING, BLIND, DOWN, BACKFILLED], UP)
    return Reasons(edges, codes.astype(np.int8))


@dataclass(frozen=True, slots=True)
class _Lost:
    """Where the device is down by a measure, perhaps with time that is excluded, and the gaps of that measure."""

    down: Spans
    gaps: Spans

    @classmethod
    def of(cls, clocks: GapClocks, gaps: DeviceGaps, measure: Measure) -> "_Lost":
        places, starts, ends = divided(clocks, np.zeros(len(gaps.start_ns), np.int64), gaps.start_ns, gaps.end_ns)
        found = clocks.pieces(places, starts, ends, measure)
        started_ns = starts[found.rows]
        ran_ns = found.begins - clocks.running(clocks.codes[places[found.rows]], started_ns)
        since_ns = np.maximum(after_uncovered(clocks.excluded.of(0).all, started_ns, ran_ns), found.from_ns)
        is_down = found.ends > found.begins
        down = zip(since_ns[is_down].tolist(), found.until_ns[is_down].tolist(), strict=True)
        long = found.is_gap
        return cls(spans_of(down), spans_of(zip(starts[long].tolist(), ends[long].tolist(), strict=True)))


def down_spans(clocks: GapClocks, edges_ns: Sequence[int], gaps: DeviceGaps, measure: Measure) -> Spans:
    """Where the device is down by a measure, from the first edge to the last: these add up to its seconds down."""
    down = subtract(_Lost.of(clocks, gaps, measure).down, clocks.excluded.of(0).all)
    return clip(down, start_ns=edges_ns[0], end_ns=edges_ns[-1])
