"""Occurrences of maintenance windows, with the instants written out; and what a window must not be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleetpulse.aggregate.recurrence import next_occurrence, occurrences
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window

HOUR_S = 3_600
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 1440 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SINGLE = MaintenanceWindow("w", "new firmware", {}, ("a",), 10 * DAY, 11 * DAY)


def ns(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1) * SECOND


def recurring(
    timezone: str,
    start: str,
    *weekdays: int,
    start_ns: int = 0,
    end_ns: int | None = None,
    duration_s: int = 2 * HOUR_S,
) -> MaintenanceWindow:
    hour, minute = start.split(":")
    return replace(
        SINGLE,
        start_ns=start_ns,
        end_ns=end_ns,
        recurrence=Recurrence(weekdays, int(hour) * 60 + int(minute), duration_s, timezone),
    )


def starts(window: MaintenanceWindow, start: str, end: str) -> list[str]:
    """Starts of the occurrences in UTC; that each lasts as long as it should is held here, for all tests."""
    assert window.recurrence is not None
    spans = occurrences(window, start_ns=ns(start), end_ns=ns(end))
    assert all(span[1] - span[0] == window.recurrence.duration_s * SECOND for span in spans)
    return [(EPOCH + timedelta(seconds=span[0] // SECOND)).strftime("%Y-%m-%dT%H:%M") for span in spans]


@pytest.mark.parametrize(
    ("timezone", "start", "first_day", "expected"),
    [
        pytest.param(
            "Europe/Paris",
            "02:30",
            "2026-03-28",
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
            id="paris-spring",
        ),
        pytest.param(
            "Europe/Paris",
            "02:00",
            "2026-03-28",
            ["2026-03-28T01:00", "2026-03-29T01:00", "2026-03-30T00:00"],
            id="gap-begins",
        ),
        pytest.param(
            "Europe/Paris",
            "03:00",
            "2026-03-28",
            ["2026-03-28T02:00", "2026-03-29T01:00", "2026-03-30T01:00"],
            id="gap-ends",
        ),
        pytest.param(
            "Europe/Paris",
            "02:30",
            "2026-10-24",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
            id="paris-autumn",
        ),
        pytest.param(
            "Europe/Paris",
            "02:00",
            "2026-10-24",
            ["2026-10-24T00:00", "2026-10-25T00:00", "2026-10-26T01:00"],
            id="fold-begins",
        ),
        pytest.param(
            "Europe/Paris",
            "03:00",
            "2026-10-24",
            ["2026-10-24T01:00", "2026-10-25T02:00", "2026-10-26T02:00"],
            id="fold-ends",
        ),
        pytest.param(
            "America/New_York",
            "02:30",
            "2026-03-07",
            ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"],
            id="york-spring",
        ),
        pytest.param(
            "America/New_York",
            "01:30",
            "2026-10-31",
            ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"],
            id="york-autumn",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            "02:15",
            "2026-10-02",
            ["2026-10-02T15:45", "2026-10-03T15:30", "2026-10-04T15:15"],
            id="half-hour-gap",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            "01:45",
            "2026-04-03",
            ["2026-04-03T14:45", "2026-04-04T14:45", "2026-04-05T15:15"],
            id="half-hour-fold",
        ),
        pytest.param(
            "America/Santiago",
            "00:00",
            "2026-09-05",
            ["2026-09-05T04:00", "2026-09-06T04:00", "2026-09-07T03:00"],
            id="no-midnight-west",
        ),
        pytest.param(
            "America/Santiago",
            "23:30",
            "2026-04-04",
            ["2026-04-04T02:30", "2026-04-05T02:30", "2026-04-06T03:30"],
            id="fold-before-midnight",
        ),
        pytest.param(
            "Asia/Beirut",
            "00:00",
            "2026-03-27",
            ["2026-03-27T22:00", "2026-03-28T22:00", "2026-03-29T21:00"],
            id="no-midnight-east",
        ),
        pytest.param(
            "UTC", "23:59", "2028-02-28", ["2028-02-28T23:59", "2028-02-29T23:59", "2028-03-01T23:59"], id="leap-day"
        ),
        pytest.param(
            "UTC",
            "12:00",
            "2100-02-27",
            ["2100-02-27T12:00", "2100-02-28T12:00", "2100-03-01T12:00"],
            id="no-leap-day-in-2100",
        ),
        pytest.param(
            "Asia/Tokyo",
            "00:00",
            "2026-12-30",
            ["2026-12-30T15:00", "2026-12-31T15:00", "2027-01-01T15:00"],
            id="year-end",
        ),
        pytest.param(
            "Pacific/Apia",
            "12:00",
            "2011-12-28",
            ["2011-12-28T22:00", "2011-12-29T22:00", "2011-12-30T22:00"],
            id="date-line",
        ),
    ],
)
def test_three_days_begin_at_wall_clock_time(timezone: str, start: str, first_day: str, expected: list[str]) -> None:
    first = datetime.fromisoformat(first_day)
    window = recurring(timezone, start, start_ns=ns(first_day))
    assert starts(window, first_day, (first + timedelta(days=3)).isoformat()) == expected


def test_a_day_the_date_line_takes_away_has_no_occurrence() -> None:
    midnight = recurring("Pacific/Apia", "00:00")
    assert starts(midnight, "2011-12-28T12:00", "2011-12-31T12:00") == [
        "2011-12-29T10:00",
        "2011-12-30T10:00",
        "2011-12-31T10:00",
    ]
    fridays = recurring("Pacific/Apia", "12:00", 4)
    assert starts(fridays, "2011-12-20", "2012-01-10") == ["2011-12-23T22:00", "2012-01-05T22:00"]
    saturdays = recurring("Pacific/Apia", "12:00", 5)
    assert starts(saturdays, "2011-12-20", "2012-01-10") == ["2011-12-24T22:00", "2011-12-30T22:00", "2012-01-06T22:00"]
    assert next_occurrence(fridays, after_ns=ns("2011-12-24T00:00")) == (ns("2012-01-05T22:00"), ns("2012-01-06T00:00"))


def test_weekdays_are_those_of_the_local_day() -> None:
    # Monday 01:00 in Tokyo is still Sunday in UTC; 2026-11-23 is a Monday.
    assert starts(recurring("Asia/Tokyo", "01:00", 0), "2026-11-20", "2026-12-01") == [
        "2026-11-22T16:00",
        "2026-11-29T16:00",
    ]
    assert starts(recurring("UTC", "01:00", 1, 3), "2026-11-23", "2026-11-30") == [
        "2026-11-24T01:00",
        "2026-11-26T01:00",
    ]
    assert starts(recurring("UTC", "00:00", 1), "2028-02-23", "2028-03-08") == ["2028-02-29T00:00", "2028-03-07T00:00"]


def test_overlap_is_half_open_to_the_nanosecond() -> None:
    window = recurring("UTC", "10:00", start_ns=ns("2026-01-05"), end_ns=ns("2026-01-05T10:00") + 1)
    start_ns, end_ns = span = (ns("2026-01-05T10:00"), ns("2026-01-05T12:00"))
    assert occurrences(window, start_ns=start_ns - 1, end_ns=start_ns) == []
    assert occurrences(window, start_ns=start_ns, end_ns=start_ns + 1) == [span]
    assert occurrences(window, start_ns=end_ns - 1, end_ns=end_ns) == [span]
    assert occurrences(window, start_ns=end_ns, end_ns=end_ns + 1) == []
    assert occurrences(window, start_ns=start_ns + 1, end_ns=start_ns + 1) == []
    assert occurrences(replace(window, end_ns=start_ns), start_ns=0, end_ns=end_ns) == []
    assert occurrences(replace(window, start_ns=start_ns + 1), start_ns=0, end_ns=end_ns) == []


def test_occurrences_longer_than_a_day_overlap_and_are_all_told() -> None:
    window = recurring("UTC", "10:00", duration_s=50 * HOUR_S)
    assert starts(window, "2026-01-10T11:59", "2026-01-10T12:00") == [
        "2026-01-08T10:00",
        "2026-01-09T10:00",
        "2026-01-10T10:00",
    ]
    assert starts(window, "2026-01-10T12:00", "2026-01-10T12:01") == ["2026-01-09T10:00", "2026-01-10T10:00"]


def test_a_window_without_recurrence_is_its_span() -> None:
    span = (10 * DAY, 11 * DAY)
    assert occurrences(SINGLE, start_ns=11 * DAY - 1, end_ns=20 * DAY) == [span]
    assert occurrences(SINGLE, start_ns=0, end_ns=10 * DAY + 1) == [span]
    assert (
        occurrences(SINGLE, start_ns=0, end_ns=10 * DAY)
        == occurrences(SINGLE, start_ns=11 * DAY, end_ns=20 * DAY)
        == []
    )
    assert occurrences(SINGLE, start_ns=10 * DAY + 5, end_ns=10 * DAY + 5) == []
    assert next_occurrence(SINGLE, after_ns=0) == next_occurrence(SINGLE, after_ns=11 * DAY - 1) == span
    assert next_occurrence(SINGLE, after_ns=11 * DAY) is None


def test_the_next_occurrence_may_have_begun_or_lie_years_ahead() -> None:
    window = recurring("UTC", "10:00", 0, start_ns=ns("2030-01-01"), end_ns=ns("2030-01-15"))
    first, second = ((ns(f"{day}T10:00"), ns(f"{day}T12:00")) for day in ("2030-01-07", "2030-01-14"))
    assert next_occurrence(window, after_ns=0) == next_occurrence(window, after_ns=first[1] - 1) == first
    assert next_occurrence(window, after_ns=first[1]) == next_occurrence(window, after_ns=second[1] - 1) == second
    assert next_occurrence(window, after_ns=second[1]) is None


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Etc/GMT+12", "Africa/Monrovia", "America/Nuuk"])
def test_every_time_of_the_years_1970_to_2199_can_be_asked_for(timezone: str) -> None:
    window = recurring(timezone, "00:00", duration_s=7 * 24 * HOUR_S)
    lowest, highest = 0, ns("2200-01-01")
    assert len(occurrences(window, start_ns=lowest, end_ns=lowest + 1)) in {0, 1}
    assert len(occurrences(window, start_ns=highest - 1, end_ns=highest)) == 7
    assert next_occurrence(window, after_ns=lowest) is not None
    assert next_occurrence(window, after_ns=highest) is not None
    # 84,006 days by the calendar; the date line and the two edges may take or give one.
    assert abs(len(occurrences(window, start_ns=lowest, end_ns=highest)) - 84_006) <= 2


@pytest.mark.parametrize(
    "window",
    [
        SINGLE,
        replace(SINGLE, end_ns=SINGLE.start_ns + 366 * DAY),
        replace(SINGLE, devices=(), labels={"site": "north"}),
        replace(SINGLE, devices=(), is_for_all=True),
        replace(SINGLE, title="t" * 200, devices=tuple(f"d{i}" for i in range(10_000))),
        recurring("Europe/Paris", "23:59", 0, 6, end_ns=3650 * DAY),
        recurring("UTC", "00:00", duration_s=60),
        recurring("America/Argentina/Buenos_Aires", "00:00", 0, 1, 2, 3, 4, 5, 6, duration_s=7 * 24 * HOUR_S),
    ],
)
def test_a_right_window_passes(window: MaintenanceWindow) -> None:
    check_window(window)


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (replace(SINGLE, title="t" * 201), "title must be at most 200 characters"),
        (replace(SINGLE, title="a\0"), "NUL"),
        (replace(SINGLE, devices=()), "selects no device"),
        (replace(SINGLE, devices=("a", "b c")), "`b c` is no device id; expected 1 to 128"),
        (replace(SINGLE, labels={"1": "x"}), "label name `1`"),
        (replace(SINGLE, start_ns=-1), "years 1970 to 2199"),
        (replace(SINGLE, end_ns=None), "must have an end"),
        (replace(SINGLE, end_ns=SINGLE.start_ns), "later than the start"),
        (replace(SINGLE, end_ns=SINGLE.start_ns - 1), "later than the start"),
        (replace(SINGLE, end_ns=SINGLE.start_ns + 366 * DAY + 1), "at most 366 days"),
        (recurring("UTC", "10:00", start_ns=5, end_ns=5), "later than the start"),
        (recurring("UTC", "10:00", end_ns=2**63 - 1), "years 1970 to 2199"),
        (recurring("UTC", "24:00"), "start minute must be 0 to 1439 of the local day, not 1440"),
        (recurring("UTC", "10:00", duration_s=59), "duration must be 60s to 604800s, not 59s"),
        (recurring("UTC", "10:00", duration_s=7 * 86_400 + 1), "duration must be 60s to 604800s"),
        (recurring("UTC", "10:00", 7), "weekdays must be 0"),
        (recurring("UTC", "10:00", -1), "weekdays must be 0"),
        (recurring("UTC", "10:00", 1, 1), "each once"),
        (recurring("UTC", "10:00", 2, 1), "ascending"),
    ],
)
def test_a_wrong_window_is_told_what_is_expected(window: MaintenanceWindow, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_window(window)


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "",
        "Europe",
        "../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "\ud800",
        "x" * 5_000,
        "localtime",
        "right/UTC",
    ],
)
def test_a_time_zone_nobody_else_would_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected an IANA name"):
        check_window(recurring(name, "10:00"))
