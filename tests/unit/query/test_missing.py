"""Spans that an answer lacks."""

from fleetpulse.model.manifest import BEAT_GAPS, GAPS
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.query.answers import Missing
from fleetpulse.query.missing import distinct, note_expired_gaps, note_missing, note_missing_day

LOST = Exception("block x is missing")


def test_a_day_is_noted_from_midnight_to_midnight_and_once() -> None:
    missing: list[Missing] = []
    note_missing_day(missing, 1, LOST)
    note_missing_day(missing, 1, LOST)
    assert missing == [Missing("1970-01-02T00:00:00Z", "1970-01-03T00:00:00Z", "block x is missing")]


def test_the_same_span_for_another_reason_is_another_one() -> None:
    missing: list[Missing] = []
    note_missing(missing, 0, 10**9, LOST)
    note_missing(missing, 0, 10**9, Exception("block y is missing"))
    assert [span.reason[:7] for span in missing] == ["block x", "block y"]


def test_repetitions_are_left_out_in_order() -> None:
    one, two = Missing("a", "b", "lost"), Missing("b", "c", "lost")
    assert distinct([one, two, Missing("a", "b", "lost"), two]) == [one, two]


def test_days_of_gaps_that_were_deleted_are_noted_by_their_kind_from_the_start_of_the_window_on() -> None:
    expired = {GAPS: {3: 1, 5: 0}, BEAT_GAPS: {6: 2}, 0: {9: 1}}
    for kind, start_day, expected in (
        (GAPS, 0, [("1970-01-04", "1970-01-07", "reception gaps")]),
        (GAPS, 4, [("1970-01-06", "1970-01-07", "reception gaps")]),
        (BEAT_GAPS, 6, [("1970-01-07", "1970-01-08", "gaps between beats")]),
        (BEAT_GAPS, 7, []),
    ):
        missing: list[Missing] = []
        note_expired_gaps(missing, expired, start_ns=start_day * NS_PER_DAY, kind=kind)
        assert missing == [
            Missing(
                f"{start}T00:00:00Z",
                f"{end}T00:00:00Z",
                f"retention has deleted the {noun} that ended then (reception_gap_days)",
            )
            for start, end, noun in expected
        ]
