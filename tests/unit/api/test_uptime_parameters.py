"""Parameters of questions about uptime."""

import pytest

from fleetpulse.api.uptime_parameters import read_below, read_formula, read_limit, read_mean, read_measure
from fleetpulse.errors import Malformed, OutOfRange


def test_a_formula_may_be_named_by_its_first_number() -> None:
    assert read_formula() == read_formula("uptime/2") == "uptime/2"
    assert read_formula("uptime/1") == read_formula("uptime/1.1") == "uptime/1.1"
    with pytest.raises(OutOfRange, match="formula must be one of"):
        read_formula("uptime/3")


def test_a_measure_is_one_of_three() -> None:
    assert [read_measure(), read_measure("observed"), read_measure("availability")] == [
        "settled",
        "observed",
        "availability",
    ]
    with pytest.raises(OutOfRange, match="settled, observed, availability"):
        read_measure("uptime")


@pytest.mark.parametrize("text", ["0", "1001", "1.5", "x", ""])
def test_a_limit_is_a_whole_number_in_range(text: str) -> None:
    assert (read_limit(), read_limit("1000")) == (20, 1_000)
    with pytest.raises(OutOfRange, match="limit must be 1 to 1000"):
        read_limit(text)


def test_a_promise_is_a_percentage() -> None:
    assert (read_below(), read_below("99.9")) == (None, 99.9)
    with pytest.raises(OutOfRange):
        read_below("101")
    with pytest.raises(Malformed):
        read_below("much")


def test_the_mean_is_a_truth() -> None:
    assert (read_mean(), read_mean("true")) == (False, True)
    with pytest.raises(Malformed):
        read_mean("yes please")
