"""Spans against the plain model: a set of whole numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.spans import (
    NO_SPANS,
    Spans,
    after_uncovered,
    clip,
    covered_before,
    minutes_inside,
    spans_of,
    subtract,
    total_ns,
    union,
)

MINUTE = 60_000_000_000
LOWEST, HIGHEST = -5, 35
TIMES = st.integers(LOWEST, HIGHEST)
PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)
SHIFTS = st.sampled_from([0, 1_790_000_000_123_456_789])
"""Near 1970 and today: at today's ns a double would be wrong."""


def model(pairs: list[tuple[int, int]]) -> set[int]:
    return {at for start, end in pairs for at in range(start, end)}


def plain(spans: Spans, shift: int = 0) -> set[int]:
    """The times of the spans; fails where they are not as `Spans` promises."""
    assert spans.dtype == np.int64
    assert spans.shape == (len(spans), 2)
    assert np.all(np.diff(spans.reshape(-1)) > 0)
    return model([(start - shift, end - shift) for start, end in spans.tolist()])


def shifted(pairs: list[tuple[int, int]], shift: int) -> Spans:
    return spans_of((start + shift, end + shift) for start, end in pairs)


@given(PAIRS, SHIFTS)
def test_pairs_in_any_order_become_the_spans_that_cover_the_same(pairs: list[tuple[int, int]], shift: int) -> None:
    spans = shifted(pairs, shift)
    assert plain(spans, shift) == model(pairs)
    assert total_ns(spans) == len(model(pairs))


@given(PAIRS, PAIRS, PAIRS, SHIFTS)
def test_union_and_difference_are_those_of_sets(
    one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]], shift: int
) -> None:
    first, second, third = shifted(one, shift), shifted(two, shift), shifted(three, shift)
    assert plain(union(first, second, third), shift) == model(one) | model(two) | model(three)
    assert plain(subtract(first, second), shift) == model(one) - model(two)


@given(PAIRS, TIMES, TIMES, SHIFTS)
def test_clipping_keeps_what_is_between(pairs: list[tuple[int, int]], start: int, end: int, shift: int) -> None:
    clipped = clip(shifted(pairs, shift), start_ns=start + shift, end_ns=end + shift)
    assert plain(clipped, shift) == model(pairs) & set(range(start, end))


@given(PAIRS, SHIFTS)
def test_covered_before_counts_the_times_before(pairs: list[tuple[int, int]], shift: int) -> None:
    at = np.arange(LOWEST, HIGHEST)
    covered = covered_before(shifted(pairs, shift), at + shift)
    assert covered.dtype == np.int64
    assert covered.tolist() == [sum(1 for time in model(pairs) if time < moment) for moment in at.tolist()]


@given(PAIRS, st.lists(st.tuples(TIMES, st.integers(0, 40)), max_size=20), SHIFTS)
def test_after_uncovered_is_the_earliest_time_with_the_amount_outside(
    pairs: list[tuple[int, int]], amounts: list[tuple[int, int]], shift: int
) -> None:
    covered = model(pairs)

    def earliest(at: int, amount: int) -> int:
        while amount > 0:
            amount -= at not in covered
            at += 1
        return at

    questions = np.array(amounts, np.int64).reshape(-1, 2)
    times = after_uncovered(shifted(pairs, shift), questions[:, 0] + shift, questions[:, 1])
    assert times.dtype == np.int64
    assert (times - shift).tolist() == [earliest(at, amount) for at, amount in amounts]


@given(
    st.lists(st.tuples(st.integers(-8, 30), st.integers(-8, 30)), max_size=8), st.integers(-4, 4), st.integers(0, 12)
)
def test_minutes_are_inside_as_their_quarters_are(pairs: list[tuple[int, int]], first: int, count: int) -> None:
    """Spans in quarters of a minute, so that starts and ends fall on and between minutes, before 1970 too."""
    spans = spans_of((start * MINUTE // 4, end * MINUTE // 4) for start, end in pairs)
    quarters = [
        [4 * minute + quarter in model(pairs) for quarter in range(4)] for minute in range(first, first + count)
    ]
    inside = minutes_inside(spans, first_minute=first, count=count)
    assert inside.dtype == np.bool_
    assert inside.tolist() == [all(minute) for minute in quarters]


def test_a_minute_less_a_nanosecond_is_not_inside() -> None:
    minute = 29_000_000
    spans = spans_of([(minute * MINUTE - 1, (minute + 1) * MINUTE), ((minute + 1) * MINUTE + 1, (minute + 2) * MINUTE)])
    assert minutes_inside(spans, first_minute=minute - 2, count=5).tolist() == [False, False, True, False, False]


def test_no_spans_cover_nothing() -> None:
    at = np.array([3, 4], np.int64)
    assert total_ns(NO_SPANS) == 0
    assert plain(union()) == plain(subtract(NO_SPANS, NO_SPANS)) == set()
    assert after_uncovered(NO_SPANS, at, at).tolist() == [6, 8]
