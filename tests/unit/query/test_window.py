"""Windows: from what a question gives to [start, end), and how steps cut them."""

from itertools import pairwise

import numpy as np
import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns
from fleetpulse.query.window import Window, WindowTexts, read_window

S = 1_000_000_000
NOW = 1_780_000_000 * S


def window(**given: str | None) -> Window:
    return read_window(WindowTexts(**given), now_ns=NOW, default="1h", days_max=400, cells_max=10_000)


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
        ({"length": "401d"}, OutOfRange),
        ({"start": "2030-01-01T00:00:00Z"}, OutOfRange),
        ({"start": "2026-05-28T00:00:00Z", "end": "2026-05-28T00:00:00Z"}, OutOfRange),
        ({"step": "0s"}, OutOfRange),
        ({"step": "401d"}, OutOfRange),
        ({"step": "1s", "length": "1d"}, OutOfRange),
        ({"step": "1s", "length": "1d", "timezone": "Europe/Paris"}, OutOfRange),
        ({"step": "7h", "timezone": "Europe/Paris"}, OutOfRange),
        ({"step": "25h", "timezone": "Europe/Paris"}, OutOfRange),
        ({"timezone": "Europe/Pariss"}, OutOfRange),
        ({"timezone": "localtime"}, OutOfRange),
        ({"day": "2026-02-30"}, OutOfRange),
        ({"month": "2026-13"}, OutOfRange),
        ({"day": "2011-12-30", "timezone": "Pacific/Apia"}, OutOfRange),
        ({"year": "2027"}, OutOfRange),
        ({"year": "1969"}, OutOfRange),
        ({"day": "2026-05"}, Malformed),
        ({"month": "May"}, Malformed),
        ({"day": "2026-05-01", "month": "2026-05"}, Malformed),
        ({"day": "2026-05-01", "length": "1h"}, Malformed),
        ({"month": "2026-05", "start": "2026-05-01"}, Malformed),
        ({"start": "2026-02-30"}, OutOfRange),
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


def at(text: str) -> int:
    return parse_rfc3339_ns(text)


def test_dates_are_those_of_the_zone() -> None:
    paris = window(month="2025-10", timezone="Europe/Paris")
    assert (paris.start_ns, paris.end_ns) == (at("2025-10-01T00:00:00+02:00"), at("2025-11-01T00:00:00+01:00"))
    assert window(day="2025-10-26", timezone="Europe/Paris").end_ns - at("2025-10-26T00:00:00+02:00") == 25 * 3_600 * S
    utc = window(day="2025-10-26")
    assert (utc.start_ns, utc.end_ns) == (at("2025-10-26T00:00:00Z"), at("2025-10-27T00:00:00Z"))
    assert window(year="2026") == Window(at("2026-01-01T00:00:00Z"), NOW)
    bare = window(start="2025-10-01", end="2025-11-01", timezone="Europe/Paris")
    assert (bare.start_ns, bare.end_ns) == (paris.start_ns, paris.end_ns)


def test_steps_of_days_have_23_to_25_hours() -> None:
    october = window(month="2025-10", timezone="Europe/Paris", step="1d")
    lengths = [(step.end_ns - step.start_ns) // (3_600 * S) for step in october.steps()]
    assert lengths == [24] * 25 + [25] + [24] * 5
    assert window(day="2026-03-29", timezone="Europe/Paris", step="1d").buckets == 1
    assert [step.end_ns - step.start_ns for step in window(day="2026-03-29", timezone="Europe/Paris").steps()] == [
        23 * 3_600 * S
    ]


@pytest.mark.parametrize("step", ["15m", "1h", "6h", "12h", "1d", "7d"])
@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "UTC"])
def test_buckets_of_a_calendar_lie_one_behind_the_other_and_hold_their_times(zone: str, step: str) -> None:
    cut = window(start="2026-03-05T11:07:00Z", end="2026-04-07T01:01:01Z", timezone=zone, step=step)
    steps = list(cut.steps())
    assert (steps[0].start_ns, steps[-1].end_ns) == (cut.start_ns, cut.end_ns)
    assert all(one.end_ns == two.start_ns for one, two in pairwise(steps))
    times = np.array([time for one in steps for time in (one.start_ns, one.end_ns - 1)])
    assert cut.buckets_of(times).tolist() == [bucket for bucket in range(cut.buckets) for _ in range(2)]
    assert cut.grain_ns is not None
    assert all(one.start_ns % cut.grain_ns == 0 for one in steps[1:])
    rest = cut.since(steps[1].start_ns + 5)
    assert (rest.start_ns, rest.bucket_start_ns(1), rest.end_ns) == (
        steps[1].start_ns + 5,
        steps[2].start_ns,
        cut.end_ns,
    )
