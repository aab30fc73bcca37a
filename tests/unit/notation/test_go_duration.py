import pytest

from fleetpulse.notation.go_duration import format_duration


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (1_500_000, "1.5ms"),
        (1_000_000_000, "1s"),
        (209_226_522_788, "3m29.226522788s"),
        (3_600_500_000_000, "1h0m0.5s"),
        (2**63 - 1, "2562047h47m16.854775807s"),
    ],
)
def test_a_duration_reads_as_go_writes_it(ns: int, text: str) -> None:
    assert format_duration(ns) == text
