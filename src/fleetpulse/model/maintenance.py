"""Maintenance windows: when silence is expected, and of whom, as people declare it."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fleetpulse.model.device import ID_CHARS_MAX, ID_RULE, check_labels, is_device_id
from fleetpulse.model.units import NS_PER_S, S_PER_DAY

TITLE_CHARS_MAX = 200
WINDOW_DEVICES_MAX = 10_000
SPAN_HIGHEST_S = 366 * S_PER_DAY
"""Of a window without recurrence; one that recurs may go on for years, or without end."""
DURATION_LOWEST_S = 60
DURATION_HIGHEST_S = 7 * S_PER_DAY
TIME_HIGHEST_NS = 7_258_118_400 * NS_PER_S
"""2200-01-01: ns of later years come close to what 64 bits hold."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Days and wall-clock time at which a window begins anew.

    `weekdays` are 0 = Monday .. 6 = Sunday, ascending and distinct; none means every day. `start_minute` is the minute 0..1439 of the
    local day in `timezone`, an IANA name. `duration_s` is elapsed time, so that a change of the clocks makes no window longer or shorter.
    """

    weekdays: tuple[int, ...]
    start_minute: int
    duration_s: int
    timezone: str


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A window applies to the devices named in `devices`, to those that have all of `labels`, or, with `is_for_all`, to every device.

    Empty `labels` select nobody. Without recurrence the window is the one span [start_ns, end_ns). With recurrence every local day whose
    start lies in [start_ns, end_ns) has an occurrence, of which the last may end later; an `end_ns` of None is no end.
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
    if len(window.title) > TITLE_CHARS_MAX or "\0" in window.title:
        raise ValueError(f"title must be at most {TITLE_CHARS_MAX} characters, none of them NUL")
    _check_selection(window)
    _check_span(window)
    if window.recurrence is not None:
        _check_recurrence(window.recurrence)


def _check_selection(window: MaintenanceWindow) -> None:
    if not (window.devices or window.labels or window.is_for_all):
        raise ValueError("the window selects no device; expected device ids, labels, or that it is for all")
    if len(window.devices) > WINDOW_DEVICES_MAX:
        raise ValueError(
            f"{len(window.devices)} device ids are more than {WINDOW_DEVICES_MAX}; select by labels instead"
        )
    for device in window.devices:
        if not is_device_id(device):
            raise ValueError(f"`{device[: 2 * ID_CHARS_MAX]}` is no device id; expected {ID_RULE}")
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
            f"a window without recurrence must last at most {SPAN_HIGHEST_S // S_PER_DAY} days; pause devices that stay away longer"
        )


def _check_recurrence(recurrence: Recurrence) -> None:
    days = recurrence.weekdays
    if any(not 0 <= day <= 6 for day in days) or list(days) != sorted(set(days)):
        raise ValueError("weekdays must be 0 (Monday) to 6 (Sunday), ascending and each once, or none for every day")
    if not 0 <= recurrence.start_minute <= 1439:
        raise ValueError(f"start minute must be 0 to 1439 of the local day, not {recurrence.start_minute}")
    if not DURATION_LOWEST_S <= recurrence.duration_s <= DURATION_HIGHEST_S:
        raise ValueError(
            f"duration must be {DURATION_LOWEST_S}s to {DURATION_HIGHEST_S}s, not {recurrence.duration_s}s"
        )
    if not _is_timezone(recurrence.timezone):
        raise ValueError(
            f"time zone `{recurrence.timezone[:100]}` is not known here; expected an IANA name such as Europe/Paris or UTC"
        )


def _is_timezone(name: str) -> bool:
    # These load too, but differ from machine to machine, or count leap seconds, which our time does not.
    if name in {"localtime", "posixrules"} or name.startswith(("right/", "posix/")):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, not a name or not a zone's file, a folder such as `Europe`
        return False
    return True
