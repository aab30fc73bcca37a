"""Occurrences against a plain model: walk through time in half-minutes, and watch the local clock."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.aggregate.recurrence import next_occurrence, occurrences
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP_S = 30
"""Offsets since 1970 are whole half-minutes: Monrovia was 44 minutes and 30 seconds behind until 1972."""
ZONES = sorted(available_timezones() - {"localtime"})
CHANGING = [
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Beirut",
]
"""Most zones do not set their clocks in most years; these do."""


def local(at_s: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(seconds=at_s)).astimezone(zone).replace(tzinfo=None)


@cache
def changes_s(timezone: str, year: int) -> list[int]:
    """Hours of a year after which the local clock was set."""
    zone = ZoneInfo(timezone)
    start_s = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
    hours = range(start_s, start_s + 366 * 86_400, 3_600)
    shown = [local(at_s, zone) for at_s in hours]
    return [at_s for at_s, one, two in zip(hours, shown, shown[1:], strict=False) if two - one != timedelta(hours=1)]


def starts_slowly(recurrence: Recurrence, *, start_s: int, end_s: int) -> list[int]:
    """For each day that the zone has: when in [start_s, end_s) the clock first shows its start or later."""
    zone = ZoneInfo(recurrence.timezone)
    clock = [(at_s, local(at_s, zone)) for at_s in range(start_s - 3 * 86_400, end_s + 3 * 86_400, STEP_S)]
    days: dict[date, int] = {}
    for _, shown in clock:
        days.setdefault(shown.date(), len(days))
    starts = []
    awaited = [
        datetime.combine(day, datetime.min.time()) + timedelta(minutes=recurrence.start_minute) for day in sorted(days)
    ]
    for at_s, shown in clock:
        while awaited and shown >= awaited[0]:
            day = awaited.pop(0).date()
            if start_s <= at_s < end_s and day.weekday() in (recurrence.weekdays or range(7)):
                starts.append(at_s)
    return starts


def end_slowly(recurrence: Recurrence, start_s: int) -> int:
    """After its duration; for whole days, when the clock first shows the start of that later day, or is past it."""
    if recurrence.duration_s % 86_400:
        return start_s + recurrence.duration_s
    zone = ZoneInfo(recurrence.timezone)
    # The day of the occurrence: its start may have been skipped, but not by more than a few hours.
    minutes = timedelta(minutes=recurrence.start_minute)
    shown = local(start_s, zone)
    day = shown.date() if shown - datetime.combine(shown.date(), datetime.min.time()) >= minutes else None
    assert day is not None or recurrence.start_minute > 0
    last = (day or shown.date() - timedelta(days=1)) + timedelta(days=recurrence.duration_s // 86_400)
    awaited = datetime.combine(last, datetime.min.time()) + minutes
    at_s = start_s + recurrence.duration_s - 26 * 3_600
    at_s -= at_s % STEP_S
    while local(at_s, zone) < awaited:
        at_s += STEP_S
    return at_s


def lengths(minutes_max: int) -> st.SearchStrategy[int]:
    """Lengths in ns near whole minutes."""
    return st.builds(
        lambda minute, ns: minute * 60 * SECOND + ns, st.integers(0, minutes_max), st.sampled_from([0, 0, 1, -1])
    )


@st.composite
def questions(draw: st.DrawFn) -> tuple[MaintenanceWindow, int, int]:
    """A window and a stretch of a few days, mostly around a change of the clocks."""
    timezone = draw(st.sampled_from(CHANGING) | st.sampled_from(ZONES))
    year = draw(st.integers(1970, 2150))
    changes = changes_s(timezone, year)
    new_year_s = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
    centre_s = (
        draw(st.sampled_from(changes))
        if changes and draw(st.integers(0, 3))
        else new_year_s + draw(st.integers(0, 365)) * 86_400
    )
    shown = local(
        centre_s, ZoneInfo(timezone)
    )  # the start of a window most often lies in or beside the hour of the change
    start_ns = max(0, centre_s * SECOND + draw(lengths(3 * 1440)) - 2 * DAY)
    end_ns = start_ns + max(0, 3 * DAY - draw(lengths(3 * 1440)))
    window_start_ns = max(0, start_ns - 9 * DAY + draw(lengths(10 * 1440)))
    window_end_ns = draw(st.none() | lengths(12 * 1440 - 1).map(lambda lack: window_start_ns + 12 * DAY - lack))
    recurrence = Recurrence(
        weekdays=tuple(sorted(draw(st.sets(st.integers(0, 6))))),
        start_minute=draw(
            st.integers(0, 1439)
            | st.integers(-30, 90).map(lambda minute: (shown.hour * 60 + shown.minute + minute) % 1440)
        ),
        duration_s=draw(
            st.integers(60, 86_400) | st.integers(60, 7 * 86_400) | st.sampled_from([86_400, 2 * 86_400, 7 * 86_400])
        ),
        timezone=timezone,
    )
    return MaintenanceWindow("w", "", {}, ("a",), window_start_ns, window_end_ns, recurrence), start_ns, end_ns


def test_questions_mostly_have_an_answer() -> None:
    """The control: where nothing were ever found, the other tests would hold for nothing."""
    found: list[bool] = []

    @settings(deadline=None, database=None)
    @given(questions())
    def ask(question: tuple[MaintenanceWindow, int, int]) -> None:
        window, start_ns, end_ns = question
        found.append(bool(occurrences(window, start_ns=start_ns, end_ns=end_ns)))

    ask()
    assert sum(found) > len(found) // 2


@settings(max_examples=examples(100), deadline=None)
@given(questions())
def test_occurrences_are_those_of_the_plain_model(question: tuple[MaintenanceWindow, int, int]) -> None:
    window, start_ns, end_ns = question
    check_window(window)
    assert window.recurrence is not None
    recurrence = window.recurrence
    longest_ns = recurrence.duration_s * SECOND + DAY
    # No start lies before the window's own; on the grid of whole half-minutes, so that no start is stepped over.
    first_s = max(start_ns - longest_ns, window.start_ns) // SECOND // STEP_S * STEP_S
    expected = [
        (at_s * SECOND, end_slowly(recurrence, at_s) * SECOND)
        for at_s in starts_slowly(recurrence, start_s=first_s, end_s=max(first_s, -(-end_ns // SECOND)))
        if window.start_ns <= at_s * SECOND and (window.end_ns is None or at_s * SECOND < window.end_ns)
    ]
    overlapping = [span for span in expected if span[0] < end_ns and span[1] > start_ns] if start_ns < end_ns else []
    assert occurrences(window, start_ns=start_ns, end_ns=end_ns) == overlapping


@settings(deadline=None)
@given(questions())
def test_the_next_occurrence_is_the_first_of_many_weeks(question: tuple[MaintenanceWindow, int, int]) -> None:
    window, after_ns, _ = question
    many = occurrences(window, start_ns=after_ns, end_ns=after_ns + 70 * DAY)
    assert next_occurrence(window, after_ns=after_ns) == (many[0] if many else None)


@settings(deadline=None)
@given(questions(), lengths(3 * 1440))
def test_a_stretch_cut_in_two_has_the_same_occurrences(
    question: tuple[MaintenanceWindow, int, int], cut_ns: int
) -> None:
    window, start_ns, end_ns = question
    middle_ns = min(max(start_ns, start_ns + cut_ns), end_ns)
    both = [
        *occurrences(window, start_ns=start_ns, end_ns=middle_ns),
        *occurrences(window, start_ns=middle_ns, end_ns=end_ns),
    ]
    assert sorted(set(both)) == occurrences(window, start_ns=start_ns, end_ns=end_ns)
