"""What a correction of the server's clock changes, and what it leaves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.clock_correction import correct_blind, correct_gaps, correct_times
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.server_clock import ClockCorrection


def gaps_of(*rows: tuple[int, int]) -> ReceptionGapColumns:
    starts, ends = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    seconds = np.full(len(rows), 60, np.uint32)
    return ReceptionGapColumns(np.arange(len(rows), dtype=np.uint32), starts, ends, seconds, seconds)


def test_a_gap_that_the_wrong_time_ended_ends_with_the_correction_and_one_inside_is_none() -> None:
    gaps = gaps_of((10, 40), (50, 120), (0, 130), (90, 130), (60, 61))
    corrected = correct_gaps(gaps, [ClockCorrection(60, 80)])
    assert corrected.devices.tolist() == [0, 1, 2, 4]
    assert corrected.end_ns.tolist() == [40, 80, 80, 80]
    assert correct_gaps(gaps, []) is gaps


def test_a_gap_that_would_end_where_it_began_is_none() -> None:
    assert len(correct_gaps(gaps_of((60, 120)), [ClockCorrection(60, 60)])) == 0


def test_blind_time_of_the_wrong_clock_is_replaced_by_one_span() -> None:
    spans = [(10, 20), (60, 100), (110, 120)]
    assert correct_blind(spans, ClockCorrection(60, 80)) == [(10, 20), (60, 80)]
    assert correct_blind(spans, ClockCorrection(60, 60)) == [(10, 20)]
    assert correct_blind(spans, ClockCorrection(15, 30)) == [(10, 15), (15, 30)]


@given(st.lists(st.integers(0, 100)), st.integers(0, 100), st.integers(0, 100))
def test_times_from_before_stay(times: list[int], since: int, length: int) -> None:
    corrected = np.array(times, np.int64)
    correct_times(corrected, ClockCorrection(since, since + length))
    assert corrected.tolist() == [at if at <= since else since + length for at in times]
