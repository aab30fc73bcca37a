"""Nanoseconds as seconds in decimal digits."""

import pytest

from fleetpulse.notation.exact_seconds import count_ns, exact_seconds


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.0"),
        (180_000_000_000, "180.0"),
        (1, "0.000000001"),
        (1_500_000_000, "1.5"),
        (2_592_000_000_000_000_000_000_000_001, "2592000000000000000.000000001"),
    ],
)
def test_no_nanosecond_is_lost(ns: int, text: str) -> None:
    assert f"{exact_seconds(ns):f}" == text
    assert count_ns(exact_seconds(ns)) == ns
