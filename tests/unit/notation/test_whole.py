import pytest

from fleetpulse.notation.whole import whole


@pytest.mark.parametrize(
    ("value", "integer"),
    [(5, 5), (5.0, 5), (1e3, 1000), (-0.0, 0), (5.5, None), (2.0**53, 2**53), (2.0**53 + 2, None), (10**400, 10**400)],
)
def test_a_float_is_an_integer_where_it_stands_for_one_only(value: float, integer: int | None) -> None:
    assert whole(value) == integer
