from dataclasses import replace

import pytest

from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window

DAY = 86_400 * 10**9
ONCE = MaintenanceWindow("w", "firmware", {"site": "paris"}, (), 0, DAY)
NIGHTLY = replace(ONCE, end_ns=None, recurrence=Recurrence((), 150, 3_600, "Europe/Paris"))


@pytest.mark.parametrize(
    "window",
    [ONCE, NIGHTLY, replace(ONCE, labels={}, devices=("a",)), replace(ONCE, labels={}, is_for_all=True),
     replace(ONCE, end_ns=366 * DAY), replace(NIGHTLY, end_ns=4_000 * DAY)],
)  # fmt: skip
def test_a_window_of_any_selection_passes(window: MaintenanceWindow) -> None:
    check_window(window)


def test_a_window_without_recurrence_needs_an_end_and_one_with_recurrence_does_not() -> None:
    with pytest.raises(ValueError, match="must have an end"):
        check_window(replace(NIGHTLY, recurrence=None))
    with pytest.raises(ValueError, match="at most 366 days; pause devices"):
        check_window(replace(ONCE, end_ns=366 * DAY + 1))


def test_a_window_that_selects_no_device_says_how_to_select_some() -> None:
    with pytest.raises(ValueError, match="selects no device; give"):
        check_window(replace(ONCE, labels={}))
    with pytest.raises(ValueError, match="`a b` is no device id"):
        check_window(replace(ONCE, devices=("a b",)))
