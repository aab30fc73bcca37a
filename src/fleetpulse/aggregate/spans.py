"""Spans: sets of time, as half-open ranges [start, end) in ns.

Maintenance, blind time and outages are such sets. All is integer arithmetic: a double of a present date is only exact
to 256 ns.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_MINUTE

Spans = NDArray[np.int64]
"""Shape (n, 2), [start, end) in ns: ascending, disjoint, touching ones joined, none empty."""

NO_SPANS: Spans = np.empty((0, 2), np.int64)


def spans_of(pairs: Iterable[tuple[int, int]]) -> Spans:
    """The spans that cover what any of the pairs (start_ns, end_ns) covers.

    Pairs come in any order; those with end <= start cover nothing.
    """
    listed = list(pairs)
    if len(listed) == 1 and listed[0][0] < listed[0][1]:
        return np.array(listed, np.int64)  # as of most devices that are paused
    return _joined(np.array(listed, np.int64).reshape(-1, 2))


def union(*many: Spans) -> Spans:
    """The time that lies in any of them."""
    return _joined(np.concatenate([NO_SPANS, *many]))


def subtract(one: Spans, two: Spans) -> Spans:
    """The time that lies in `one` and not in `two`."""
    pieces = _pieces(one, two)
    return _joined(pieces[is_inside(one, pieces[:, 0]) & ~is_inside(two, pieces[:, 0])])


def clip(spans: Spans, *, start_ns: int, end_ns: int) -> Spans:
    """The part within [start_ns, end_ns)."""
    if end_ns <= start_ns:
        return NO_SPANS
    clipped = np.clip(spans, start_ns, end_ns)
    return clipped[clipped[:, 0] < clipped[:, 1]]


def total_ns(spans: Spans) -> int:
    """How long the spans are together."""
    return int((spans[:, 1] - spans[:, 0]).sum())


def covered_before(spans: Spans, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many ns of the spans lie before each time: int64, in the shape of `at_ns`."""
    if len(spans) == 0 or (at_ns.size and at_ns.max() <= spans[0, 0]):
        return np.zeros_like(at_ns)
    begun = np.searchsorted(spans[:, 0], at_ns, side="right")
    last = np.maximum(begun - 1, 0)
    within_last = np.minimum(at_ns, spans[last, 1]) - spans[last, 0]
    covered: NDArray[np.int64] = np.where(begun > 0, _lengths_before(spans)[last] + within_last, 0)
    return covered


def after_uncovered(spans: Spans, at_ns: NDArray[np.int64], amount_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """When a clock that stands still inside the spans, started at `at_ns`, has run for `amount_ns`.

    That is the earliest t >= at with `amount` ns of [at, t) outside the spans: where it could be the start or the end
    of a span it is the start, and where the amount is 0 or less it is `at`. All arrays are int64 of one shape.
    """
    # Time without the spans is one line on which the clock never stops; every span is a point on it.
    due = at_ns - covered_before(spans, at_ns) + amount_ns
    lengths_before = _lengths_before(spans)
    passed = np.searchsorted(spans[:, 0] - lengths_before[:-1], due, side="left")
    times: NDArray[np.int64] = np.where(amount_ns > 0, due + lengths_before[passed], at_ns)
    return times


def is_inside(spans: Spans, at_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each time lies in a span: bool, in the shape of `at_ns`."""
    # Starts and ends alternate, so a time is inside where an odd number of them has passed.
    inside: NDArray[np.bool_] = np.searchsorted(spans.reshape(-1), at_ns, side="right") % 2 == 1
    return inside


def minutes_inside(spans: Spans, *, first_minute: int, count: int) -> NDArray[np.bool_]:
    """Which of the minutes first_minute + 0..count-1 since 1970 lie wholly inside a span: bool, shape (count,)."""
    return _covered_places(
        -(-spans[:, 0] // NS_PER_MINUTE) - first_minute, spans[:, 1] // NS_PER_MINUTE - first_minute, count=count
    )


def _joined(pairs: NDArray[np.int64]) -> Spans:
    """Spans of any pairs, shape (n, 2)."""
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    if len(pairs) == 0:
        return NO_SPANS
    pairs = pairs[np.argsort(pairs[:, 0])]
    reached = np.maximum.accumulate(pairs[:, 1])
    # A span begins where all before it have ended, strictly: touching ones are one.
    begins = np.flatnonzero(pairs[1:, 0] > reached[:-1]) + 1
    return np.stack([pairs[np.append(0, begins), 0], reached[np.append(begins, len(pairs)) - 1]], axis=1)


def _pieces(one: Spans, two: Spans) -> NDArray[np.int64]:
    """Time cut at every edge of both, shape (edges - 1, 2): each piece lies wholly inside or wholly outside of each."""
    edges = np.unique(np.concatenate([one.reshape(-1), two.reshape(-1)]))
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _lengths_before(spans: Spans) -> NDArray[np.int64]:
    """How long the spans before each are together, and at the end all, shape (n + 1,)."""
    lengths = np.zeros(len(spans) + 1, np.int64)
    np.cumsum(spans[:, 1] - spans[:, 0], out=lengths[1:])
    return lengths


def _covered_places(starts: NDArray[np.int64], ends: NDArray[np.int64], *, count: int) -> NDArray[np.bool_]:
    """Which of the places 0..count-1 any [start, end) covers, shape (count,); those with end <= start cover none."""
    is_long = starts < ends
    begun = np.bincount(np.clip(starts[is_long], 0, count), minlength=count + 1)
    ended = np.bincount(np.clip(ends[is_long], 0, count), minlength=count + 1)
    return np.cumsum(begun - ended)[:count] > 0
