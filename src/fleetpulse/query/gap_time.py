"""The time of devices in gaps, and the time that counts, exact to the nanosecond: one mathematics for all measures.

A gap is measured by a clock that stands still in maintenance, pauses, deletions and blind time, so that these extend
the time in which a device may send its next beat, and excuse nothing else:

    beat                                next beat
    ●────────────┬────────┬────────────────●
    0          first    second                 by that clock
                 └────── down ─────────────┘   if the clock passes `second` in the gap

    measure        gaps on       first              second
    settled        sent_at       interval           factor × interval
    observed       received_at   interval           factor × interval
    availability   received_at   interval + grace   interval + grace

Each moment is judged by the heartbeat policy in force at that moment. Blind time in a gap (one that is longer than
`second` by a plain clock) counts neither way; blind time that beats cover counts as up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.aggregate.spans import clip
from fleetpulse.aggregate.step_sums import StepSums, step_lengths_ns
from fleetpulse.model.uptime import Measure
from fleetpulse.query.exclusions import Excluded

Times = NDArray[np.int64]
"""int64 ns, shape (gaps,)."""


@dataclass(frozen=True, slots=True)
class GapPieces:
    """Gaps, cut where another policy is in force: one row for each gap and policy.

    `rows`: the number of the gap; `begins`, `ends`: what its clock shows where it is down, `ends` <= `begins` where it
    is not.
    """

    rows: NDArray[np.int64] | slice
    begins: Times
    ends: Times
    from_ns: Times
    until_ns: Times
    """When each row begins and ends: with the gap, or with the time in which its policy was in force."""
    is_down: NDArray[np.bool_]
    """Whether the clock passes `second` in the gap: bool, shape (gaps,)."""
    is_gap: NDArray[np.bool_]
    """Whether a plain clock does."""


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """Time of devices in steps, int64 ns, shape (n, steps): down, and accountable (down or up)."""

    down_ns: NDArray[np.int64]
    accountable_ns: NDArray[np.int64]


def limits_of(policies: PolicyTable, measure: Measure) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first, second) of each piece of the table: int64 ns, shape (pieces,)."""
    if measure == "availability":
        return policies.down_ns, policies.down_ns
    return policies.interval_ns, policies.late_ns


class GapClocks:
    """The clocks of devices, by their exclusions, and their policies: what gaps of all measures are judged by."""

    def __init__(self, excluded: Excluded, policies: PolicyTable, policy_codes: NDArray[np.integer]) -> None:
        """`policy_codes`: the history in `policies` of each device, shape (n,)."""
        self.excluded = excluded
        self.codes = excluded.classes.astype(np.int64)
        self.policies = policies
        self.policy_codes = policy_codes
        self._running = excluded.clocks()
        self._declared = excluded.declared_clocks()
        self.classes = np.arange(len(excluded.of_class))

    def running(self, codes: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """What a clock shows that stands still in all that is excluded: int64 ns. Shapes: see `ClassClocks.at`."""
        return self._running.at(codes, at_ns)

    def accountable(self, codes: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """What a clock shows that stands still only in what people declared: int64 ns; shapes as for `running`."""
        return self._declared.at(codes, at_ns)

    def blind(self, codes: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Blind time before each time, without what people declared: int64 ns; shapes as for `running`."""
        if not len(self.excluded.of_class[0].blind):
            return np.zeros(np.broadcast_shapes(codes.shape, at_ns.shape), np.int64)
        return self.accountable(codes, at_ns) - self.running(codes, at_ns)

    def pieces(self, places: NDArray[np.int64], start_ns: Times, end_ns: Times, measure: Measure) -> GapPieces:
        """Judge gaps by a measure. Args: places: of their devices, int64, as the others; all shape (gaps,)."""
        if self.policies.is_simple:
            return self._whole_pieces(places, start_ns, end_ns, measure)
        codes = self.codes[places]
        rows, pieces = self.policies.touching(self.policy_codes[places].astype(np.int64), start_ns, end_ns)
        first_ns, second_ns = (limits[pieces] for limits in limits_of(self.policies, measure))
        until_ns = np.minimum(end_ns[rows], self.policies.until_ns[pieces])
        started = self.running(codes, start_ns)[rows]
        ended = self.running(codes[rows], until_ns)
        is_down, is_gap = np.zeros(len(places), bool), np.zeros(len(places), bool)
        is_down[rows[ended - started > second_ns]] = True
        is_gap[rows[until_ns - start_ns[rows] > second_ns]] = True
        from_ns = np.maximum(start_ns[rows], self.policies.from_ns[pieces])
        since = self.running(codes[rows], from_ns)
        begins = np.maximum(started + first_ns, since)
        return GapPieces(rows, begins, np.where(is_down[rows], ended, begins), from_ns, until_ns, is_down, is_gap)

    def _whole_pieces(self, places: NDArray[np.int64], start_ns: Times, end_ns: Times, measure: Measure) -> GapPieces:
        """The same where no device ever had another policy, as in nearly all fleets: each gap is one piece."""
        codes, limits = self.codes[places], limits_of(self.policies, measure)
        if len(limits[0]) > 1:
            policy_codes = self.policy_codes[places]
            limits = limits[0][policy_codes], limits[1][policy_codes]
        first_ns, second_ns = limits
        started, ended = self.running(codes, start_ns), self.running(codes, end_ns)
        is_down = ended - started > second_ns
        begins = started + first_ns
        ends = np.where(is_down, ended, begins)
        return GapPieces(slice(None), begins, ends, start_ns, end_ns, is_down, end_ns - start_ns > second_ns)


class GapTally:
    """How many gaps of each device cost time in a window, and how long they are, as far as they lie in it."""

    def __init__(self, count: int) -> None:
        self.count = np.zeros(count, np.int64)
        self.longest_ns = np.zeros(count, np.int64)
        self.total_ns = np.zeros(count, np.int64)

    def add(self, places: NDArray[np.int64], lengths_ns: Times) -> None:
        """Count gaps. Args: places: of their devices, int64, as the other; shape (gaps,)."""
        np.add.at(self.count, places, 1)
        np.maximum.at(self.longest_ns, places, lengths_ns)
        np.add.at(self.total_ns, places, lengths_ns)


class GapTime:
    """Adds up the time of gaps by one measure, in the steps of a window."""

    def __init__(
        self,
        clocks: GapClocks,
        edges_ns: Sequence[int],
        measure: Measure,
        check: Callable[[], None],
        *,
        tally: GapTally | None = None,
    ) -> None:
        """`edges_ns`: where each step begins, and where the last one ends; `check` may stop the question."""
        self._clocks, self._measure, self._check, self._tally = clocks, measure, check, tally
        self._edges_ns = np.array(edges_ns, np.int64)
        classes, count = clocks.classes[:, None], len(clocks.codes)
        self._down = StepSums(clocks.running(classes, self._edges_ns), count=count)
        self._blind = StepSums(clocks.blind(classes, self._edges_ns), count=count)
        blind = clip(clocks.excluded.of_class[0].blind, start_ns=edges_ns[0], end_ns=edges_ns[-1])
        self._blind_ns = (int(blind[0, 0]), int(blind[-1, 1])) if len(blind) else (0, 0)
        self._shortest_ns = int(limits_of(clocks.policies, measure)[1].min(initial=0 if count == 0 else 2**62))
        self._accountable = clocks.accountable(classes, self._edges_ns)

    def add(self, places: NDArray[np.int64], start_ns: Times, end_ns: Times) -> None:
        """Add gaps, which do not overlap; those that are none by this measure count nothing. int64, shape (gaps,)."""
        self._check()
        # What is no longer than any limit is no gap: as most are by the limit of availability.
        long = np.flatnonzero(end_ns - start_ns > self._shortest_ns)
        if len(long) < len(places):
            places, start_ns, end_ns = places[long], start_ns[long], end_ns[long]
        places, start_ns, end_ns = divided(self._clocks, places, start_ns, end_ns)
        codes = self._clocks.codes[places]
        found = self._clocks.pieces(places, start_ns, end_ns, self._measure)
        added = self._down.add(places[found.rows], codes[found.rows], found.begins, found.ends)
        if self._tally is not None:
            is_costly = np.zeros(len(places), bool)
            is_costly[np.arange(len(places))[found.rows][added]] = True
            costly = np.flatnonzero(is_costly)
            ends = np.minimum(end_ns[costly], self._edges_ns[-1])
            self._tally.add(places[costly], ends - np.maximum(start_ns[costly], self._edges_ns[0]))
        blind_from_ns, blind_to_ns = self._blind_ns
        if blind_from_ns < blind_to_ns:
            at = np.flatnonzero(found.is_gap & (start_ns < blind_to_ns) & (end_ns > blind_from_ns))
            blind = self._clocks.blind
            self._blind.add(places[at], codes[at], blind(codes[at], start_ns[at]), blind(codes[at], end_ns[at]))

    def columns(self, first_ns: NDArray[np.int64]) -> TimeColumns:
        """The time down, and the accountable time from `first_ns` (int64, shape (n,)) on."""
        codes = self._clocks.codes
        counted_ns = np.zeros((len(codes), len(self._edges_ns) - 1), np.int64)
        counted_ns += step_lengths_ns(self._accountable, codes)
        counted_ns[first_ns >= self._edges_ns[-1]] = 0
        begun = np.flatnonzero((first_ns > self._edges_ns[0]) & (first_ns < self._edges_ns[-1]))
        since_ns = np.clip(first_ns[begun, None], self._edges_ns[:-1], self._edges_ns[1:])
        shown = self._clocks.accountable(codes[begun, None], self._edges_ns[1:])
        counted_ns[begun] = shown - self._clocks.accountable(codes[begun, None], since_ns)
        return TimeColumns(self._down.of(codes), counted_ns - self._blind.of(codes))


def divided(
    clocks: GapClocks, places: NDArray[np.int64], start_ns: Times, end_ns: Times
) -> tuple[NDArray[np.int64], Times, Times]:
    """Gaps, divided where their device was declared again: from then on it has its time anew.

    Args: places: of their devices, int64, as the others; all shape (gaps,). Returns: the same, of the parts.
    """
    edges, declared_ns = clocks.excluded.declared_again_ns()
    for number in range(int(np.diff(edges).max(initial=0))):
        codes = clocks.codes[places]
        has_more = edges[codes] + number < edges[codes + 1]
        at_ns = declared_ns[np.where(has_more, edges[codes] + number, 0)]
        later = np.flatnonzero(has_more & (start_ns < at_ns) & (at_ns < end_ns))
        if len(later):
            first_ends_ns = end_ns.copy()
            first_ends_ns[later] = at_ns[later]
            places = np.concatenate([places, places[later]])
            start_ns, end_ns = (
                np.concatenate([start_ns, at_ns[later]]),
                np.concatenate([first_ends_ns, end_ns[later]]),
            )
    return places, start_ns, end_ns
