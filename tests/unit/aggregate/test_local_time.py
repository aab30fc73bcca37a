"""Local days and the steps that divide them; recurrence and windows are tested with these, too."""

from zoneinfo import ZoneInfo

import pytest

from fleetpulse.aggregate.local_time import day_of, day_start_ns, step_starts_ns
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns

PARIS, HOUR = ZoneInfo("Europe/Paris"), 3_600
CHANGE = parse_rfc3339_ns("2026-10-25T01:00:00Z") // (86_400 * 10**9)


def steps_of_the_long_day(step_s: int) -> list[str]:
    start_ns, end_ns = day_start_ns(CHANGE, PARIS), day_start_ns(CHANGE + 1, PARIS)
    return [format_rfc3339(at_ns)[11:16] for at_ns in step_starts_ns(start_ns, end_ns, step_s=step_s, zone=PARIS)]


def test_a_day_begins_at_local_midnight() -> None:
    assert format_rfc3339(day_start_ns(CHANGE, PARIS)) == "2026-10-24T22:00:00Z"
    assert day_of(day_start_ns(CHANGE, PARIS), PARIS) == CHANGE
    assert day_of(day_start_ns(CHANGE, PARIS) - 1, PARIS) == CHANGE - 1


def test_hours_of_a_long_day_are_25_and_quarters_of_it_begin_by_the_clock() -> None:
    assert len(steps_of_the_long_day(HOUR)) == 25
    assert steps_of_the_long_day(6 * HOUR) == ["22:00", "05:00", "11:00", "17:00"]
    assert steps_of_the_long_day(24 * HOUR) == ["22:00"]


@pytest.mark.parametrize("step_s", [7 * HOUR, 25 * HOUR])
def test_a_step_that_no_calendar_has_is_refused(step_s: int) -> None:
    with pytest.raises(ValueError, match="must divide a day"):
        steps_of_the_long_day(step_s)
