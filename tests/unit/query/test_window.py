"""Windows: from what a question gives to [start, end), and how steps cut them."""

import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.window import Window, read_window

S = 1_000_000_000
NOW = 1_780_000_000 * S


def window(**given: str | None) -> Window:
    texts = {"length": None, "start": None, "end": None, "step": None, **given}
    return read_window(**texts, now_ns=NOW, default="1h", days_max=30)


def test_a_window_ends_now_where_nothing_else_is_given() -> None:
    assert window() == Window(NOW - 3_600 * S, NOW)
    assert window(length="90s") == Window(NOW - 90 * S, NOW)
    assert window(start="2026-05-28T00:00:00Z") == Window(1_779_926_400 * S, NOW)


def test_a_window_that_ends_in_the_future_ends_now() -> None:
    found = window(start="2026-05-28T00:00:00Z", end="2030-01-01T00:00:00Z")
    assert (found.end_ns, found.ends_now) == (NOW, True)
    assert found.notes == (f"`to` is in the future: the window ends now, at {format_rfc3339(NOW)}",)


def test_a_window_that_ends_now_or_earlier_has_no_note() -> None:
    assert (window().notes, window().ends_now) == ((), True)
    past = window(start="2026-05-28T00:00:00Z", end="2026-05-28T01:00:00Z")
    assert (past.notes, past.ends_now) == ((), False)


def test_the_plus_of_an_offset_may_have_become_a_space() -> None:
    assert window(start="2026-05-28T02:00:00 02:00") == window(start="2026-05-28T00:00:00Z")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"length": "1h", "start": "2026-05-28T00:00:00Z"}, Malformed),
        ({"end": "2026-05-28T00:00:00Z"}, Malformed),
        ({"length": "long"}, Malformed),
        ({"start": "yesterday"}, Malformed),
        ({"length": "0s"}, OutOfRange),
        ({"length": "30"}, OutOfRange),
        ({"length": "1h", "step": "30"}, OutOfRange),
        ({"length": "31d"}, OutOfRange),
        ({"start": "2030-01-01T00:00:00Z"}, OutOfRange),
        ({"start": "2026-05-28T00:00:00Z", "end": "2026-05-28T00:00:00Z"}, OutOfRange),
        ({"step": "0s"}, OutOfRange),
        ({"step": "31d"}, OutOfRange),
    ],
)
def test_a_window_that_cannot_be_is_refused(given: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        window(**given)


def test_steps_begin_at_their_multiples_and_the_window_cuts_the_first_and_the_last() -> None:
    cut = Window(70 * S, 190 * S, 60 * S)
    assert (cut.origin_ns, cut.buckets, cut.step_s) == (60 * S, 3, 60)
    assert list(cut.steps()) == [Window(70 * S, 120 * S), Window(120 * S, 180 * S), Window(180 * S, 190 * S)]


def test_the_days_that_a_window_touches_are_whole() -> None:
    day = 86_400 * S
    assert Window(day + 1, 2 * day, S).whole_days() == Window(day, 2 * day)
    assert Window(day, 2 * day + 1).whole_days() == Window(day, 3 * day)


def test_a_window_without_steps_is_one_bucket() -> None:
    assert list(Window(5, 9).steps()) == [Window(5, 9)]
