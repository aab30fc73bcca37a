"""Spans of cells: a question about many cells is answered for some of them at a time, so that memory stays bounded.

The cells of a question are groups × buckets of its window. Each is a figure of its own, so any cut gives the same.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.query.resolution import Resolution
from fleetpulse.query.window import Window

EVER_NS = 2**62
"""Later than any time of a row."""


@dataclass(frozen=True, slots=True)
class CellSpan:
    """The cells of groups [first_group, end_group) x buckets [first_bucket, end_bucket), numbered in that order."""

    first_group: int
    end_group: int
    first_bucket: int
    end_bucket: int

    @property
    def buckets(self) -> int:
        """How many buckets there are."""
        return self.end_bucket - self.first_bucket

    @property
    def count(self) -> int:
        """How many cells there are."""
        return (self.end_group - self.first_group) * self.buckets

    def halves(self) -> list["CellSpan"]:
        """Two spans with the same cells, cut in time if possible, since what is stored is sorted by days."""
        if self.buckets > 1:
            middle = (self.first_bucket + self.end_bucket) // 2
            return [replace(self, end_bucket=middle), replace(self, first_bucket=middle)]
        middle = (self.first_group + self.end_group) // 2
        return [replace(self, end_group=middle), replace(self, first_group=middle)]


@dataclass(frozen=True, slots=True)
class CellMap:
    """Where the cells of a question are in time, and whose.

    `window` is that of the question, `widened` has the buckets of `resolution` at its edges whole.
    `codes`: int32, shape (devices,), the group of each device, -1 for none; None: all of them are in group 0.
    """

    window: Window
    widened: Window
    resolution: Resolution
    codes: NDArray[np.int32] | None
    groups: int

    @property
    def whole(self) -> CellSpan:
        """All cells."""
        return CellSpan(0, self.groups, 0, self.window.buckets)

    def span_ns(self, span: CellSpan) -> tuple[int, int]:
        """The time, [start, end), outside of which no row is in a span."""
        # What sticks out of the window counts in its first or last bucket.
        start_ns, end_ns = -EVER_NS, EVER_NS
        if span.first_bucket:
            start_ns = self.window.bucket_start_ns(span.first_bucket)
        if span.end_bucket < self.window.buckets:
            # Where samples are gone, those that are left count where their minute or hour begins.
            end_ns = self.window.bucket_start_ns(span.end_bucket) + self.resolution.longest_ns - 1
        return start_ns, end_ns

    def cells(
        self, span: CellSpan, devices: NDArray[np.uint32], at_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The cell within a span of each row that is in it; and which rows these are, None for all.

        Args: devices, at_ns: uint32 and int64, shape (rows,).
        """
        # Buckets at the edges may stick out of the window.
        buckets = self.window.buckets_of(self.resolution.begins(at_ns))
        is_inside: NDArray[np.bool_] | None = None
        if span.buckets < self.window.buckets:
            is_inside = (buckets >= span.first_bucket) & (buckets < span.end_bucket)
        places = buckets - span.first_bucket
        if self.codes is not None:
            groups = np.full(len(devices), -1, np.int64)
            is_known = devices < len(self.codes)
            groups[is_known] = self.codes[devices[is_known]]
            is_in_groups = (groups >= span.first_group) & (groups < span.end_group)
            is_inside = is_in_groups if is_inside is None else is_inside & is_in_groups
            places += (groups - span.first_group) * span.buckets
        if is_inside is None or is_inside.all():
            return places, None
        chosen = np.flatnonzero(is_inside)
        return places[chosen], chosen

    def spans(self, bytes_of_days: NDArray[np.float64], *, bytes_max: int) -> list[CellSpan]:
        """All cells, cut between days so that each span has about `bytes_max` bytes, or is of one day.

        Args: bytes_of_days: float64, shape (days,): of each UTC day of the widened window.
        """
        firsts = self.window.buckets_of(self.day_starts_ns())
        edges, bytes_now = [0], 0.0
        for first, day_bytes in zip(firsts.tolist(), bytes_of_days.tolist(), strict=True):
            if first > edges[-1] and bytes_now + day_bytes > bytes_max:
                edges.append(first)
                bytes_now = 0.0
            bytes_now += day_bytes
        ends = [*edges[1:], self.window.buckets]
        return [CellSpan(0, self.groups, first, end) for first, end in zip(edges, ends, strict=True)]

    def day_starts_ns(self) -> NDArray[np.int64]:
        """When each UTC day of the widened window begins: int64, shape (days,)."""
        days = self.widened.whole_days()
        return np.arange(days.start_ns, days.end_ns, NS_PER_DAY, dtype=np.int64)

    def buckets_of_days(self) -> NDArray[np.int64]:
        """How many buckets each UTC day of the widened window has, at least 1: int64, shape (days,)."""
        firsts = self.window.buckets_of(self.day_starts_ns())
        return np.maximum(1, np.diff(firsts, append=self.window.buckets))
