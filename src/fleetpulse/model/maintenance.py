"""Maintenance windows: when some devices are expected to send nothing, as people declare it."""

from dataclasses import dataclass

from fleetpulse.model.device import check_device_id, check_labels
from fleetpulse.model.text import check_text
from fleetpulse.model.time_zone import is_timezone
from fleetpulse.model.units import NS_PER_S, S_PER_DAY

TITLE_CHARS_MAX = 200
SPAN_HIGHEST_S = 366 * S_PER_DAY
"""The longest window without recurrence. One with recurrence may go on for years, or without end."""
DURATION_LOWEST_S = 60
DURATION_HIGHEST_S = 7 * S_PER_DAY
TIME_HIGHEST_NS = 7_258_118_400 * NS_PER_S
"""2200-01-01: nanoseconds of much later years do not fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """On which days, and at what local time, a window begins again.

    `weekdays` are 0 = Monday .. 6 = Sunday, ascending and distinct; none means every day. `start_minute` is the minute
    0..1439 of the local day in `timezone`, an IANA name. `duration_s` is elapsed time, so that a change between summer
    and winter time makes no window longer or shorter; but whole days are days of the calendar, of 23 to 25 hours.
    """

    weekdays: tuple[int, ...]
    start_minute: int
    duration_s: int
    timezone: str


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """When which devices are under maintenance.

    It applies to the devices named in `devices` and to those that have all of `labels` (empty `labels` select none),
    or, with `is_for_all`, to every device. Without recurrence it is the one span [start_ns, end_ns). With recurrence it
    begins on every chosen local day at a moment in [start_ns, end_ns), and the last occurrence may end after `end_ns`.
    An `end_ns` of None means that it recurs without end.
    """

    id: str
    title: str
    labels: dict[str, str]
    devices: tuple[str, ...]
    start_ns: int
    end_ns: int | None
    recurrence: Recurrence | None = None
    is_for_all: bool = False


def check_window(window: MaintenanceWindow) -> None:
    """Raises: ValueError: says what is wrong and what is expected."""
    check_text(window.title, field="title", chars_max=TITLE_CHARS_MAX)
    _check_selection(window)
    _check_span(window)
    if window.recurrence is not None:
        check_recurrence(window.recurrence)


def _check_selection(window: MaintenanceWindow) -> None:
    if not (window.devices or window.labels or window.is_for_all):
        raise ValueError("the window selects no device; give device ids, labels, or that it is for all devices")
    for device in window.devices:
        check_device_id(device)
    check_labels(window.labels)


def _check_span(window: MaintenanceWindow) -> None:
    if not 0 <= window.start_ns < TIME_HIGHEST_NS:
        raise ValueError("the start must lie in the years 1970 to 2199")
    if window.end_ns is None:
        if window.recurrence is None:
            raise ValueError("a window without recurrence must have an end: give `end`, or a recurrence")
        return
    if window.end_ns <= window.start_ns:
        raise ValueError("the end must be later than the start")
    if window.end_ns > TIME_HIGHEST_NS:
        raise ValueError("the end must lie in the years 1970 to 2199")
    if window.recurrence is None and window.end_ns - window.start_ns > SPAN_HIGHEST_S * NS_PER_S:
        raise ValueError(
            f"a window without recurrence must last at most {SPAN_HIGHEST_S // S_PER_DAY} days; "
            "pause devices that are away for longer"
        )


def check_recurrence(recurrence: Recurrence) -> None:
    """Raises: ValueError: says what is wrong and what is expected."""
    days = recurrence.weekdays
    if any(not 0 <= day <= 6 for day in days) or list(days) != sorted(set(days)):
        raise ValueError("weekdays must be 0 (Monday) to 6 (Sunday), ascending and each once, or none for every day")
    if not 0 <= recurrence.start_minute <= 1439:
        raise ValueError(f"start minute must be 0 to 1439 of the local day, not {recurrence.start_minute}")
    if not DURATION_LOWEST_S <= recurrence.duration_s <= DURATION_HIGHEST_S:
        raise ValueError(
            f"duration must be {DURATION_LOWEST_S}s to {DURATION_HIGHEST_S}s, not {recurrence.duration_s}s"
        )
    if not is_timezone(recurrence.timezone):
        raise ValueError(
            f"time zone `{recurrence.timezone[:100]}` is not known; expected an IANA name such as Europe/Paris or UTC"
        )
