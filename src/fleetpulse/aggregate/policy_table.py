"""Heartbeat policies in force at any time, for many devices at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.class_spans import search_in_rows
from fleetpulse.model.policy_history import PolicyHistory, in_force
from fleetpulse.model.units import NS_PER_S

END_OF_TIME_NS = 2**62
_COLUMNS = ("from_ns", "until_ns", "exact_from_ns", "interval_ns", "late_ns", "down_ns")
"""Attributes with a value for each piece."""


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """The policies in force of histories 0, 1, …: pieces, each until the next one of its history.

    Attributes:
        edges: int64, shape (histories + 1,): the pieces of history h are those from edges[h] to edges[h + 1].
        from_ns: int64 ns, shape (pieces,): when each takes effect.
        until_ns: when the next one does.
        exact_from_ns: before it, only gaps of a longer policy were kept, see `PolicyChange`.
        interval_ns: its interval.
        late_ns: the interval times the factor, beyond which a stretch between two beats is a gap.
        down_ns: interval and grace.
    """

    edges: NDArray[np.int64]
    from_ns: NDArray[np.int64]
    until_ns: NDArray[np.int64]
    exact_from_ns: NDArray[np.int64]
    interval_ns: NDArray[np.int64]
    late_ns: NDArray[np.int64]
    down_ns: NDArray[np.int64]

    @classmethod
    def of(cls, histories: Sequence[PolicyHistory]) -> "PolicyTable":
        """The table of histories, in their order."""
        pieces = [in_force(history) for history in histories]
        edges = np.array([0, *accumulate(map(len, pieces))], np.int64)
        changes = [change for one in pieces for change in one]
        from_ns = np.array([change.at_ns for change in changes], np.int64)
        until_ns = np.append(from_ns[1:], END_OF_TIME_NS)
        until_ns[edges[1:] - 1] = END_OF_TIME_NS
        interval_ns = np.array([change.policy.interval_s * NS_PER_S for change in changes], np.int64)
        return cls(
            edges,
            from_ns,
            until_ns,
            np.array([change.exact_from_ns for change in changes], np.int64),
            interval_ns,
            np.array([change.policy.gap_after_ns for change in changes], np.int64),
            np.array([change.policy.down_after_ns for change in changes], np.int64),
        )

    def extended(self, histories: Sequence[PolicyHistory]) -> "PolicyTable":
        """The table of these histories after those that it has, which keep their numbers."""
        return self.followed_by(PolicyTable.of(histories))

    def followed_by(self, more: "PolicyTable") -> "PolicyTable":
        """The table of its own histories, then of those of another."""
        edges = np.concatenate([self.edges, more.edges[1:] + self.edges[-1]])
        return PolicyTable(edges, *(np.concatenate([getattr(one, name) for one in (self, more)]) for name in _COLUMNS))

    def of_histories(self, numbers: NDArray[np.int64]) -> "PolicyTable":
        """The table of some of the histories. Args: numbers: int64, shape (n,)."""
        edges = np.zeros(len(numbers) + 1, np.int64)
        counts = self.edges[numbers + 1] - self.edges[numbers]
        np.cumsum(counts, out=edges[1:])
        places = np.arange(edges[-1]) + np.repeat(self.edges[numbers] - edges[:-1], counts)
        return PolicyTable(edges, *(getattr(self, name)[places] for name in _COLUMNS))

    @property
    def corrected(self) -> NDArray[np.int64]:
        """The pieces before whose `exact_from_ns` gaps are known by minutes alone: int64, shape (n,), ascending."""
        return np.flatnonzero(np.minimum(self.exact_from_ns, self.until_ns) > self.from_ns)

    @property
    def is_simple(self) -> bool:
        """Whether no history has more than one piece: then that of history h is piece h."""
        return len(self.from_ns) == len(self.edges) - 1

    @property
    def kept_ns(self) -> NDArray[np.int64]:
        """How long a stretch may be at most that is never a gap by each piece: int64, shape (pieces,)."""
        return np.minimum(self.late_ns, self.down_ns)

    @property
    def shortest_ns(self) -> NDArray[np.int64]:
        """The least of `kept_ns` of each history: int64, shape (histories,)."""
        return np.minimum.reduceat(self.kept_ns, self.edges[:-1])

    def in_force(self, codes: NDArray[np.int64], at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pieces of histories `codes` that are in force at times; both int64, shape (n,), as what is returned."""
        if self.is_simple:
            return self.edges[codes]
        places = search_in_rows(self.from_ns, self.edges, codes, at_ns, is_right=True) - 1
        return np.maximum(places, self.edges[codes])

    def touching(
        self, codes: NDArray[np.int64], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pieces that stretches (start_ns, end_ns) touch: (rows, pieces), ascending by row, then by time.

        Args: codes: the history of each stretch, int64, shape (n,), as the others.
        Returns: int64 both: numbers of stretches, and of pieces.
        """
        if self.is_simple:
            return np.arange(len(codes)), self.edges[codes]
        first = search_in_rows(self.from_ns, self.edges, codes, start_ns, is_right=True) - 1
        last = search_in_rows(self.from_ns, self.edges, codes, end_ns, is_right=False)
        first = np.maximum(first, self.edges[codes])
        counts = np.maximum(last - first, 1)
        rows = np.repeat(np.arange(len(codes)), counts)
        numbers = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, first[rows] + numbers

    def is_kept(
        self, codes: NDArray[np.int64], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which stretches between two beats may count as gaps, by any measure: bool, shape (n,).

        Args: as for `touching`.
        """
        rows, pieces = self.touching(codes, start_ns, end_ns)
        is_long = np.minimum(end_ns[rows], self.until_ns[pieces]) - start_ns[rows] > self.kept_ns[pieces]
        kept = np.zeros(len(codes), bool)
        kept[rows[is_long]] = True
        return kept
