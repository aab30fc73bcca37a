"""Cells are cut between days and in halves, and every row is in exactly one span."""

import numpy as np

from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR
from fleetpulse.query.cell_spans import CellMap, CellSpan
from fleetpulse.query.resolution import SAMPLE_NS, Resolution
from fleetpulse.query.window import Window

DAY = 20_000
START = DAY * NS_PER_DAY


def map_of(window: Window, *, groups: int = 1, bucket_ns: int = SAMPLE_NS) -> CellMap:
    resolution = Resolution(DAY, np.full(4, bucket_ns))
    codes = None if groups == 1 else np.array([0, 1, -1], np.int32)
    return CellMap(window, window, resolution, codes, groups)


def test_halves_cut_time_first_and_then_groups() -> None:
    span = CellSpan(0, 2, 0, 3)
    assert span.count == 6
    assert span.halves() == [CellSpan(0, 2, 0, 1), CellSpan(0, 2, 1, 3)]
    assert CellSpan(0, 2, 1, 2).halves() == [CellSpan(0, 1, 1, 2), CellSpan(1, 2, 1, 2)]


def test_spans_are_cut_between_days_where_they_would_hold_too_much() -> None:
    cells = map_of(Window(START, START + 4 * NS_PER_DAY, 6 * NS_PER_HOUR))
    assert cells.buckets_of_days().tolist() == [4, 4, 4, 4]
    assert cells.spans(np.array([10.0, 10, 30, 10]), bytes_max=20) == [
        CellSpan(0, 1, 0, 8),
        CellSpan(0, 1, 8, 12),
        CellSpan(0, 1, 12, 16),
    ]
    assert cells.spans(np.array([10.0, 10, 30, 10]), bytes_max=100) == [cells.whole]


def test_a_bucket_of_more_than_a_day_is_not_cut() -> None:
    cells = map_of(Window(START, START + 4 * NS_PER_DAY, 2 * NS_PER_DAY))
    assert cells.spans(np.full(4, 10.0), bytes_max=1) == [CellSpan(0, 1, 0, 1), CellSpan(0, 1, 1, 2)]
    whole = map_of(Window(START, START + 4 * NS_PER_DAY))
    assert whole.spans(np.full(4, 10.0), bytes_max=1) == [CellSpan(0, 1, 0, 1)]


def test_every_row_is_in_one_span_and_rows_of_others_in_none() -> None:
    window = Window(START, START + NS_PER_DAY, NS_PER_HOUR)
    cells = map_of(window, groups=2)
    devices = np.array([0, 1, 2, 1, 7], np.uint32)
    at_ns = START + np.array([0, 5, 5, 23, 1]) * NS_PER_HOUR
    first, rows = cells.cells(CellSpan(0, 2, 0, 6), devices, at_ns)
    assert (first.tolist(), rows is not None and rows.tolist()) == ([0, 11], [0, 1])
    last, rows = cells.cells(CellSpan(1, 2, 6, 24), devices, at_ns)
    assert (last.tolist(), rows is not None and rows.tolist()) == ([17], [3])


def test_the_time_of_a_span_holds_the_samples_that_count_in_the_hour_before_its_end() -> None:
    window = Window(START, START + NS_PER_DAY, NS_PER_HOUR // 2)
    cells = map_of(window, bucket_ns=NS_PER_HOUR)
    span = CellSpan(0, 1, 2, 4)
    start_ns, end_ns = cells.span_ns(span)
    assert (start_ns, end_ns) == (START + NS_PER_HOUR, START + 3 * NS_PER_HOUR - 1)
    at_ns = np.array([start_ns - 1, start_ns, START + 2 * NS_PER_HOUR - 1, START + 2 * NS_PER_HOUR])
    found, rows = cells.cells(span, np.zeros(4, np.uint32), at_ns)
    assert (found.tolist(), rows is not None and rows.tolist()) == ([0, 0], [1, 2])
