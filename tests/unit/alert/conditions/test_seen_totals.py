"""How totals of the rounds before are kept."""

from fleetpulse.alert.conditions.seen_totals import SeenTotals

SECOND = 1_000_000_000


def test_what_no_window_needs_is_dropped() -> None:
    seen = SeenTotals()
    for second in range(100):
        seen.add(second * SECOND, {"answers": float(second)}, window_s=10 if second % 2 else 20)
    assert seen.before(85 * SECOND) == {"answers": 85.0}
    assert seen.before(80 * SECOND) == {"answers": 80.0}
    assert seen.before(10 * SECOND) == {"answers": 79.0}, "the earliest that is there"


def test_a_clock_that_goes_back_begins_anew() -> None:
    seen = SeenTotals()
    assert seen.before(0) is None
    seen.add(100 * SECOND, {"answers": 1.0}, window_s=10)
    seen.add(50 * SECOND, {"answers": 2.0}, window_s=10)
    assert seen.before(200 * SECOND) == {"answers": 2.0}
