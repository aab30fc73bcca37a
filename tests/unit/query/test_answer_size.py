"""How much an answer holds, told by a few of its values."""

import pytest
from msgspec import Struct

from fleetpulse.query.answer_size import ITEM_BYTES, PIECE_ITEMS, bytes_of, is_long, items_of


class Point(Struct):
    """A value with fields."""

    at: str
    value: float


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        (1, 0),
        ([1, 2, 3], 3),
        ({"a": [1, 2]}, 3),
        (Point("", 0), 2),
        ([Point("", 0)] * 1_000, 3_000),
        ({str(number): [0] * 9 for number in range(100)}, 1_000),
    ],
)
def test_values_are_counted_however_deep(answer: object, items: int) -> None:
    assert items_of(answer) == items
    assert bytes_of(answer) == items * ITEM_BYTES


def test_an_answer_is_long_from_a_number_of_values_on() -> None:
    assert not is_long([0] * PIECE_ITEMS)
    assert is_long([0] * (PIECE_ITEMS + 1))
