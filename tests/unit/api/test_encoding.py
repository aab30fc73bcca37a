"""JSON in pieces is the JSON of the whole, and no piece is long."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType, field

from fleetpulse.api.encoding import encode_pieces
from fleetpulse.query import answers
from fleetpulse.query.answer_size import PIECE_ITEMS, is_long


class Point(Struct):
    at: str
    value: float | int | None
    below: float | UnsetType = UNSET
    start: str = field(name="from", default="")


class Rarely(Struct, omit_defaults=True):
    points: list[Point] = []
    count: int = 0


POINTS = st.builds(Point, st.text(max_size=3), st.none() | st.integers(-9, 9), st.just(UNSET) | st.just(0.5))
LONG_LISTS = st.tuples(st.integers(1, PIECE_ITEMS), POINTS).map(lambda pair: [pair[1]] * pair[0])
VALUES = st.recursive(
    POINTS | st.none() | st.integers(-9, 9) | st.text(max_size=3) | LONG_LISTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(Rarely, st.lists(POINTS, max_size=3))
    ),
    max_leaves=8,
)


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_pieces_are_together_what_the_encoder_gives_for_the_whole(value: object) -> None:
    assert b"".join(encode_pieces(value)) == msgspec.json.encode(value)


def series(count: int) -> answers.DeviceMetrics:
    points = [answers.MetricPoint("2026-11-27T00:00:00Z", 0.1 * number, 1) for number in range(count)]
    metric = answers.DeviceMetric(unit="%", aggregation="avg", tiers=["raw"], series=points, count=count)
    return answers.DeviceMetrics(
        device_id="a", start="", end="", metrics={"cpu": metric, "memory": metric}, missing=[], notes=["a note"]
    )


@pytest.mark.parametrize("count", [0, 1, PIECE_ITEMS // 16, PIECE_ITEMS, 10 * PIECE_ITEMS + 7])
def test_a_long_answer_is_cut_into_short_pieces(count: int) -> None:
    answer = series(count)
    pieces = list(encode_pieces(answer))
    assert b"".join(pieces) == msgspec.json.encode(answer)
    assert max(map(len, pieces)) < 100 * PIECE_ITEMS
    assert is_long(answer) == (len(pieces) > 1) == (count >= PIECE_ITEMS // 8)


def test_lists_of_lists_are_long_by_what_all_of_them_hold() -> None:
    rows = PIECE_ITEMS // 10
    assert is_long([[0] * 10] * rows)
    assert not is_long([[0] * 10] * (rows // 2))
    assert not is_long("x" * 10 * PIECE_ITEMS)
    assert max(map(len, encode_pieces([[0] * 10] * 10 * rows))) <= 3 * PIECE_ITEMS
    assert max(map(len, encode_pieces([[0] * 2 * PIECE_ITEMS] * 3))) <= 3 * PIECE_ITEMS
