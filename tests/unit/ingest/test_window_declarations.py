import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.window_declarations import WeeklyBody, WindowBody, new_window
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence

NOW_NS = 1_000 * 10**9
NIGHTLY = WeeklyBody(at="02:30", duration="1h")


def window(**fields: object) -> MaintenanceWindow:
    return new_window(WindowBody(**fields), window_id="w", now_ns=NOW_NS)  # type: ignore[arg-type]  # by name


def test_a_window_begins_now_unless_it_says_when() -> None:
    assert window(all=True, end="1970-01-02T00:00:00Z") == MaintenanceWindow(
        "w", "", {}, (), NOW_NS, 86_400 * 10**9, None, is_for_all=True
    )
    assert window(devices=["a"], start="1970-01-01T00:00:01Z", end="1970-01-02T00:00:00Z").start_ns == 10**9


def test_a_bare_date_is_the_start_of_that_day_in_the_zone_of_the_recurrence_or_else_in_utc() -> None:
    once = window(all=True, start="2026-10-25", end="2026-10-26")
    assert (once.start_ns, once.end_ns) == (1_792_886_400 * 10**9, 1_792_972_800 * 10**9)
    nightly = WeeklyBody(at="02:30", duration="1h", timezone="Europe/Paris")
    recurring = window(all=True, start="2026-10-25", end="2026-10-26", recurrence=nightly)
    assert (recurring.start_ns, recurring.end_ns) == (1_792_879_200 * 10**9, 1_792_969_200 * 10**9)


def test_a_window_may_recur_on_weekdays_in_any_order_and_case() -> None:
    weekly = WeeklyBody(at="02:30", duration="90m", timezone="Europe/Paris", weekdays=["Sunday", "monday", "sunday"])
    declared = window(labels={"site": "paris"}, recurrence=weekly)
    assert declared.recurrence == Recurrence((0, 6), 150, 5_400, "Europe/Paris")
    assert declared.end_ns is None
    every_day = window(all=True, recurrence=NIGHTLY).recurrence
    assert every_day is not None
    assert every_day.weekdays == ()


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"all": True, "end": "tomorrow"}, Malformed, "`end` is not an RFC 3339 time"),
        ({"all": True, "end": "2026-02-30"}, OutOfRange, "`end`: there is no day 2026-02-30"),
        ({"all": True, "end": "2026-2-3"}, Malformed, "nor a date such as 2026-10-01"),
        ({"end": "1970-01-02T00:00:00Z"}, OutOfRange, "selects no device"),
        ({"all": True}, OutOfRange, "must have an end"),
        ({"all": True, "recurrence": WeeklyBody(at="24:00", duration="1h")}, OutOfRange, "time of day such as 02:30"),
        ({"all": True, "recurrence": WeeklyBody(at="2:30", duration="1h")}, OutOfRange, "not `2:30`"),
        ({"all": True, "recurrence": WeeklyBody(at="02:30", duration="x")}, OutOfRange, "not a duration"),
        ({"all": True, "recurrence": WeeklyBody(at="02:30", duration="1h", weekdays=["funday"])}, OutOfRange, "funday"),
        ({"all": True, "recurrence": WeeklyBody(at="02:30", duration="1h", timezone="Mars")}, OutOfRange, "IANA"),
    ],
)
def test_a_wrong_window_is_refused_with_what_is_expected(
    fields: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        window(**fields)
