"""Gaps as a function of the set of beats."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.beat_gaps import divide, join_backfill, touches
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans

BEATS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=25)


def spans(rows: list[tuple[int, int, int]]) -> DeviceSpans:
    devices, starts, ends = np.array(rows, np.int64).reshape(-1, 3).T
    return DeviceSpans(devices.astype(np.uint32), starts, ends)


def rows(found: DeviceSpans) -> list[tuple[int, int, int]]:
    return list(zip(found.devices.tolist(), found.start_ns.tolist(), found.end_ns.tolist(), strict=True))


def gaps_of(beats: set[tuple[int, int]], longer_than: int) -> list[tuple[int, int, int]]:
    ordered = sorted(beats)
    return [
        (device, start, end)
        for (device, start), (other, end) in itertools.pairwise(ordered)
        if device == other and end - start > longer_than
    ]


@given(BEATS, BEATS, BEATS, st.integers(1, 8))
def test_gaps_divided_by_late_beats_are_those_of_all_beats(
    first: list[tuple[int, int]], second: list[tuple[int, int]], third: list[tuple[int, int]], limit: int
) -> None:
    def is_kept(_devices: object, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
        return end_ns - start_ns > limit

    beats = set(first)
    gaps = spans(gaps_of(beats, limit))
    pieces = []
    for late in (second, third, second):
        # Beats before the first and after the last of a device lie in no gap; the fleet keeps those apart.
        inside = [
            (device, at)
            for device, at in late
            if (same := [other for number, other in beats if number == device]) and min(same) <= at <= max(same)
        ]
        beats |= set(inside)
        pieces.append(join_backfill(spans([(device, at, at) for device, at in inside]), is_kept))
        once = divide(gaps, pieces[-1])
        gaps = once.where(is_kept(once.devices, once.start_ns, once.end_ns))
    assert rows(gaps) == gaps_of(beats, limit)
    # All at once, and in any order.
    at_once = divide(spans(gaps_of(set(first), limit)), join_backfill(join_device_spans(pieces[::-1]), is_kept))
    assert rows(at_once.where(is_kept(at_once.devices, at_once.start_ns, at_once.end_ns))) == gaps_of(beats, limit)


def test_nothing_is_copied_where_no_late_beat_lies_in_a_gap() -> None:
    gaps = spans([(0, 10, 20), (1, 5, 50)])
    assert divide(gaps, spans([])) is gaps
    assert divide(gaps, spans([(0, 3, 10), (0, 20, 25), (2, 6, 7)])) is gaps


def test_backfill_that_reaches_over_the_ends_of_a_gap_leaves_less_of_it() -> None:
    gaps = spans([(0, 10, 20), (0, 30, 40), (1, 10, 20)])
    assert rows(divide(gaps, spans([(0, 15, 33)]))) == [(0, 10, 15), (0, 33, 40), (1, 10, 20)]


def test_backfill_touches_a_gap_where_one_of_its_beats_is_inside() -> None:
    gaps = spans([(0, 10, 20), (0, 30, 40), (1, 10, 20)])
    late = [(0, 1, 10), (0, 11, 11), (0, 20, 30), (0, 35, 50), (1, 5, 11), (1, 20, 20), (2, 15, 15)]
    assert touches(spans(late), gaps).tolist() == [False, True, False, True, True, False, False]
    assert touches(spans([(0, 5, 50), (1, 0, 5)]), gaps).tolist() == [True, False]
    assert touches(spans(late), spans([])).tolist() == [False] * 7
    assert touches(spans([]), gaps).tolist() == []
