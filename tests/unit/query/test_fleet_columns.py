"""The columns of the fleet are held for no longer than they are needed, and refused where they would be too large."""

import pytest

from fleetpulse.errors import TooDear
from fleetpulse.model.uptime import MEASURES
from fleetpulse.query.budget import Budget
from fleetpulse.query.fleet_columns import STEP_BYTES, fleet_columns, fleet_columns_by_step
from fleetpulse.query.window import Window
from one_fleet import SECOND, OneFleet

HOUR = 3_600 * SECOND


def test_a_step_has_the_figures_of_a_window_of_its_own() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", "10:30:00", "12:30:00")
    one.move("13:00:00")
    window = Window(one.at("10:00:00"), one.now, HOUR)
    view = one.fleet_view(window.start_ns)
    steps = list(fleet_columns_by_step(view, window))
    minutes = {
        measure: [columns.time[measure].down_ns[0] // (60 * SECOND) for columns in steps] for measure in MEASURES
    }
    assert minutes == {"settled": [58, 60, 59], "observed": [58, 60, 59], "availability": [50, 60, 55]}
    for columns in steps:
        assert [time.accountable_ns.tolist() for time in columns.time.values()] == [[HOUR, 0]] * 3
    assert view.budget.taken_bytes == 0


def test_columns_that_a_question_may_not_hold_are_refused() -> None:
    one = OneFleet(devices=10)
    one.move("10:00:00")
    view = one.views.fleet_from(one.at("09:00:00"), budget=Budget(question_memory_max=29 * STEP_BYTES))()
    with pytest.raises(TooDear, match=r"the time of all devices.*question_memory_max"):
        fleet_columns(view, start_ns=one.at("09:00:00"), end_ns=one.now)
    assert view.budget.taken_bytes == 0
