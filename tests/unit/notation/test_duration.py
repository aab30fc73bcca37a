import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.duration import LENGTH_PATTERN, UnitMissing, format_seconds, parse_length, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90.0", 90),
        ("9e1", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5_400),
        ("30d", 2_592_000),
        ("1w1d1h1m1s", 694_861),
    ],
)
def test_a_duration_is_read_in_all_its_units(text: str, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "-1h",
        "1.5h",
        "1y",
        "1m1h",
        "1h ",
        "٣h",
        "1234567890",
        "9" * 5_000,
        "0.5",
        "-5",
        "1e9",
        "1e400",
        "nan",
        "1_0",
        " 5",
    ],
)
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 90s") as raised:
        parse_seconds(text)
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize("text", ["0", "30", "999999999"])
def test_a_length_needs_units(text: str) -> None:
    with pytest.raises(UnitMissing, match=f"needs a unit: {text}s, {text}m"):
        parse_length(text)
    assert parse_length(f"{text}s") == int(text)
    assert not re.fullmatch(LENGTH_PATTERN, text)
    assert re.fullmatch(LENGTH_PATTERN, f"1h{text}s")
    with pytest.raises(UnitMissing, match=rf"`{text}\.0` needs a unit: {text}s, {text}m"):
        parse_length(f"{text}.0")


@given(st.integers(0, 10**9))
def test_what_is_written_reads_back(seconds: int) -> None:
    assert parse_seconds(format_seconds(seconds)) == seconds


def test_weeks_are_written_as_days() -> None:
    assert [format_seconds(seconds) for seconds in (0, 300, 5_400, 30 * 86_400)] == ["0s", "5m", "1h30m", "30d"]
