from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.timestamp import format_rfc3339, format_second, parse_query_time_ns, parse_rfc3339_ns
from fleetpulse.notation.timestamp_columns import parse_rfc3339_column

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001  # the zone is added below


@given(MOMENTS, st.integers(0, 999_999_999), st.integers(0, 9), st.integers(-23 * 60, 23 * 60))
def test_any_offset_and_any_fraction_is_exact(
    moment: datetime, fraction: int, digits: int, offset_minutes: int
) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    local = moment.replace(microsecond=0, tzinfo=zone)
    kept = f"{fraction:09d}"[:digits]
    text = local.strftime("%Y-%m-%dT%H:%M:%S") + (f".{kept}" if kept else "")
    sign = "-" if offset_minutes < 0 else "+"
    text += f"{sign}{abs(offset_minutes) // 60:02d}:{abs(offset_minutes) % 60:02d}"
    expected = (local - EPOCH) // timedelta(seconds=1) * 10**9 + int(kept.ljust(9, "0"))
    assert parse_rfc3339_ns(text) == expected


@given(st.integers(-(10**10), 10**11))
def test_whole_seconds_are_written_as_strftime_writes_them(second: int) -> None:
    text = (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert format_rfc3339(second * 10**9) == text


def test_years_have_four_digits() -> None:
    assert format_rfc3339(parse_rfc3339_ns("0001-01-01T00:00:00Z")) == "0001-01-01T00:00:00Z"
    assert format_rfc3339(parse_rfc3339_ns("0999-12-31T23:59:59Z")) == "0999-12-31T23:59:59Z"


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_what_is_written_reads_back(at_ns: int) -> None:
    assert parse_rfc3339_ns(format_rfc3339(at_ns)) == at_ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-24", "2026-11-24T08:30:00", "2026-13-24T08:30:00Z", "2026-02-30T00:00:00Z",
     "2026-11-24T24:00:00Z", "2026-11-24T08:30:61Z", "2026-11-24T08:30:00.Z",
     "2026-11-24T08:30:00.0123456789Z", "2026-11-24T08:30: 1Z",
     "2026-11-24T08:30:00+24:00", "2026-11-24T08:30:00+2400", "2026-11-24T08:30:00+24", "2026-11-24T08:30:00+1",
     "2026-11-24T08:30:00+010", "2026-11-24T08:30:00+0160", "2026-11-24T08:30:00+01:0", "2026-11-24T08:30:00+01:",
     "2026-11-24T08:30:00 +01:00", "2026-11-24T08:30:00,", "2026-11-24T08:30:00,.5Z", "2026-11-24T08:30:00.5,5Z",
     "2026-11-24T08:30:60Z", "2016-12-31T23:58:60Z", "2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z",
     "2016-11-30T23:59:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T23:59:61Z", "2016-12-31T23:59:99Z",
     "0001-01-01T00:00:60+23:59", "9999-12-31T23:59:60Z", "9999-12-31T23:59:60-23:00", "٢٠٢٦-11-24T08:30:00Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    parse_rfc3339_ns("2026-11-24T08:30:00Z")  # the minute is known now, and must not make the rest lenient
    with pytest.raises(ValueError):  # noqa: PT011  # of many texts
        parse_rfc3339_ns(text)
    assert parse_rfc3339_column([text]) is None


@pytest.mark.parametrize(
    "text",
    ["2016-12-31T23:59:60Z", "2015-06-30T23:59:60Z", "2016-12-31 23:59:60z", "2017-01-01T00:59:60+01:00",
     "2017-01-01T05:29:60,0+0530", "2016-12-31T15:59:60-08"],
)  # fmt: skip
def test_a_leap_second_stays_in_its_minute(text: str) -> None:
    moment = "2015-06-30T23:59:59Z" if text.startswith("2015") else "2016-12-31T23:59:59Z"
    for _ in range(2):  # the second time from the cache
        assert parse_rfc3339_ns(text) == parse_rfc3339_ns(moment)
    assert parse_rfc3339_column([text]) is None


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("fraction", ["", "5", "000000001", "123456789"])
@pytest.mark.parametrize(
    ("offset", "minutes"),
    [("Z", 0), ("z", 0), ("+00:00", 0), ("-00:00", 0), ("+0000", 0), ("-0000", 0), ("+00", 0), ("+01:00", 60),
     ("+0100", 60), ("+01", 60), ("-0330", -210), ("-03:30", -210), ("-12", -720), ("+1400", 840), ("+2359", 1_439)],
)  # fmt: skip
@pytest.mark.parametrize("between", ["T", "t", " "])
def test_the_shapes_that_clients_write_are_one_time(
    between: str, offset: str, minutes: int, fraction: str, mark: str
) -> None:
    text = f"2026-11-24{between}08:30:00{mark if fraction else ''}{fraction}{offset}"
    expected = 1_795_509_000 * 10**9 - minutes * 60 * 10**9 + int(fraction.ljust(9, "0"))
    assert parse_rfc3339_ns(text) == expected
    assert parse_query_time_ns(text) == expected
    assert parse_query_time_ns(text.replace("+", " ")) == expected  # a query whose + was not escaped
    assert parse_query_time_ns(text.replace(" ", "+", 1)) == expected  # one whose blank was escaped as a form's


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24 08:30:00 +0100", "2026-11-24T07:30:00Z"),
        ("2026-11-24 08:30:00  0100", "2026-11-24T07:30:00Z"),
        ("2026-11-24 08:30:00 -01:00", "2026-11-24T09:30:00Z"),
        ("2026-11-24 08:30:00 Z", "2026-11-24T08:30:00Z"),
        (" 2026-11-24T08:30:00Z ", "2026-11-24T08:30:00Z"),
    ],
)
def test_blanks_of_a_query_are_read_where_they_mean_one_thing(text: str, time: str) -> None:
    assert format_rfc3339(parse_query_time_ns(text)) == time


@pytest.mark.parametrize(
    "text",
    ["", " ", "2026-11-24", "2026-11-24 08:30:00", "2026-11-24T08:3 0:00Z", "2026-11-24T08:30: 0Z",
     "2026-11-24T08:30:00 5Z", "2026-11-24-08:30:00Z", "2026 11 24T08:30:00Z", "2026-11-24T08:30:00 1",
     "2026-11-24T08:30:00++01", "2026-11-24T08:30:00 01 00"],
)  # fmt: skip
def test_a_query_time_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of many texts
        parse_query_time_ns(text)


def test_sentences_have_times_to_the_second() -> None:
    assert format_second(1_764_000_000_999_999_999) == "2025-11-24T16:00:00Z"
