"""Spans that an answer lacks."""

from fleetpulse.query.answers import Missing
from fleetpulse.query.missing import distinct, note_missing, note_missing_day

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
