import pytest

from fleetpulse.notation.whole import read_number, whole


@pytest.mark.parametrize(
    ("value", "integer"),
    [(5, 5), (5.0, 5), (1e3, 1000), (-0.0, 0), (5.5, None), (2.0**53, 2**53), (2.0**53 + 2, None), (10**400, 10**400)],
)
def test_a_float_is_an_integer_where_it_stands_for_one_only(value: float, integer: int | None) -> None:
    assert whole(value) == integer


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("5.0", 5), ("1e3", 1000), (" 5", 5), ("-.5", -0.5), ("5.", 5), ("1e400", float("inf")), ("1_0", None),
     ("-inf", float("-inf")), ("nano", None), ("", None), ("0x1", None), ("\u0665", None), ("9" * 500, float("inf")),
     ("9" * 5_001, None),
     ("1 0", None)],
)  # fmt: skip
def test_a_text_is_a_number_in_ascii_only(text: str, number: float | None) -> None:
    assert read_number(text) == number
