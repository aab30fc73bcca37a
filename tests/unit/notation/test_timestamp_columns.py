from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.notation.timestamp_columns import parse_rfc3339_column

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001  # the texts are of UTC


@given(st.lists(st.tuples(MOMENTS, st.integers(0, 999_999_999)), min_size=1, max_size=20), st.integers(0, 9))
def test_a_column_reads_like_its_times_one_by_one(moments: list[tuple[datetime, int]], digits: int) -> None:
    texts = [
        moment.strftime("%Y-%m-%dT%H:%M:%S") + ("." + f"{fraction:09d}"[:digits] if digits else "") + "Z"
        for moment, fraction in moments
    ]
    column = parse_rfc3339_column(texts)
    assert column is not None
    assert column.tolist() == [parse_rfc3339_ns(text) for text in texts]


@pytest.mark.parametrize("text", ["2611-01-01T00:00:00Z", "1441-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def test_a_time_that_does_not_fit_64_bits_is_not_taken_for_another(text: str) -> None:
    assert parse_rfc3339_column([text]) is None
    assert not 0 <= parse_rfc3339_ns(text) < 2**62


@given(st.text(max_size=40))
def test_a_column_takes_nothing_that_one_by_one_is_refused(text: str) -> None:
    column = parse_rfc3339_column([text])
    if column is not None:
        assert column.tolist() == [parse_rfc3339_ns(text)]


@pytest.mark.parametrize(
    "texts",
    [
        ["2026-11-24T08:30:00Z", "2026-11-24T08:30:00.5Z"],
        ["2026-11-24T08:30:00Z", "2026-11-24T08:30:00+01:00"],
        ["2026-11-24T08:30:00Z", "2026-11-24 08:30:00Z"],
        ["2026-11-24T08:30:00Z", "2026-02-29T08:30:00Z"],
    ],
)
def test_a_column_of_unlike_times_is_left_to_the_caller(texts: list[str]) -> None:
    assert parse_rfc3339_column(texts) is None


def test_an_empty_column_has_no_times() -> None:
    column = parse_rfc3339_column([])
    assert column is not None
    assert column.tolist() == []
