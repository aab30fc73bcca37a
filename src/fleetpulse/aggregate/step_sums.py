"""Sums of stretches by device and step, where each class of devices has a clock of its own."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.class_spans import search_in_rows


class StepSums:
    """How much of stretches lies in each step. A stretch over many steps costs no more than one over few."""

    def __init__(self, edges: NDArray[np.int64], *, count: int) -> None:
        """For `count` devices. Args: edges: the steps as each class sees them, int64, shape (classes, steps + 1)."""
        classes, width = edges.shape
        self._edges = edges
        self._rows = np.arange(classes + 1) * width
        self._sums_ns = np.zeros((count, width - 1), np.int64)
        self._whole = np.zeros((count if width > 2 else 0, width - 1), np.int32)
        """How many stretches begin less how many end here, of those that cover steps whole; their sum up to a step is
        1 where the step is covered, as those of a device do not overlap."""

    def add(
        self, places: NDArray[np.int64], codes: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Add stretches that do not overlap, where their clocks show `begins` to `ends`; what lies outside is left out.

        Args: places: of the devices; codes: of their classes; all int64, shape (n,).
        Returns: the numbers of those of which anything was added, int64.
        """
        first_edges, last_edges = self._edges[:, 0], self._edges[:, -1]
        if len(self._edges) > 1:
            first_edges, last_edges = first_edges[codes], last_edges[codes]
        begins, ends = np.maximum(begins, first_edges), np.minimum(ends, last_edges)
        chosen = np.flatnonzero(ends > begins)
        places, codes, begins, ends = places[chosen], codes[chosen], begins[chosen], ends[chosen]
        if self._edges.shape[1] == 2:
            np.add.at(self._sums_ns[:, 0], places, ends - begins)
            return chosen
        first = self._step_of(codes, begins, is_right=True)
        last = self._step_of(codes, ends, is_right=False)
        np.add.at(self._sums_ns, (places, first), np.minimum(ends, self._edges[codes, first + 1]) - begins)
        more = np.flatnonzero(last > first)
        places, codes, ends, first, last = places[more], codes[more], ends[more], first[more], last[more]
        np.add.at(self._sums_ns, (places, last), ends - self._edges[codes, last])
        np.add.at(self._whole, (places, first + 1), 1)
        np.add.at(self._whole, (places, last), -1)
        return chosen

    def _step_of(self, codes: NDArray[np.int64], shown: NDArray[np.int64], *, is_right: bool) -> NDArray[np.int64]:
        places = search_in_rows(self._edges.reshape(-1), self._rows, codes, shown, is_right=is_right)
        steps: NDArray[np.int64] = places - self._rows[codes] - 1
        return steps

    def of(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """What was added of each device in each step: int64, shape (n, steps). Args: codes: of all devices' classes."""
        if self._whole.any():
            self._sums_ns += np.cumsum(self._whole, axis=1) * step_lengths_ns(self._edges, codes)
            self._whole[:] = 0
        return self._sums_ns


def step_lengths_ns(edges: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long each step is by the clock of each device: int64, shape (n, steps), or (1, steps) where all agree.

    Args: edges: as for StepSums. codes: of the classes of all devices.
    """
    lengths_ns: NDArray[np.int64] = np.diff(edges)
    return lengths_ns if len(lengths_ns) == 1 else lengths_ns[codes]
