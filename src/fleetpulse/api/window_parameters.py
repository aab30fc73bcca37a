"""The parameters of windows: lengths, times, dates of a calendar, and steps."""

from collections.abc import Callable
from typing import Annotated, Any

from fleetpulse.api.parameters import DAY, DURATION_SCHEMA, TIME_SCHEMA, query_parameter
from fleetpulse.clock import Clock
from fleetpulse.limits import QuestionLimits
from fleetpulse.query.window import Window, WindowTexts, read_window

_Start = Annotated[
    str | None,
    query_parameter("where the window begins; a bare date is the start of that day", name="from", **TIME_SCHEMA),
]
_End = Annotated[
    str | None,
    query_parameter("where it ends, not included; now where it is not given; or a bare date", name="to", **TIME_SCHEMA),
]
_Step = Annotated[
    str | None,
    query_parameter("a series in steps of this length; steps begin at its multiples since 1970", **DURATION_SCHEMA),
]
_Day = Annotated[str | None, query_parameter("the window is this day", examples=["2026-10-01"])]
_Month = Annotated[str | None, query_parameter("the window is this month", examples=["2026-10"])]
_Year = Annotated[str | None, query_parameter("the window is this year", examples=["2026"])]
_Timezone = Annotated[
    str | None,
    query_parameter(
        "an IANA name: dates, and steps of days or their parts, are those of this zone's calendar; UTC where not given",
        examples=["Europe/Paris"],
    ),
]


def _length(default: str) -> Any:
    about = f"the time before now, {default} where nothing is given; or give `from`, and perhaps `to`, or a date"
    return query_parameter(about, name="window", **DURATION_SCHEMA)


def _window_reader(default: str) -> Callable[..., Window]:
    """Reads the window of a question, of the length `default` where none is given."""

    def read(
        *,
        clock: Clock,
        limits: QuestionLimits,
        length: Annotated[str | None, _length(default)] = None,
        start: _Start = None,
        end: _End = None,
        day: _Day = None,
        month: _Month = None,
        year: _Year = None,
        step: _Step = None,
        timezone: _Timezone = None,
    ) -> Window:
        texts = WindowTexts(
            length=length, start=start, end=end, day=day, month=month, year=year, step=step, timezone=timezone
        )
        return _read_window(texts, clock, limits, default=default)

    return read


read_day_window, read_hour_window = _window_reader(DAY), _window_reader("1h")
"""The window of a question. Raises: Malformed; OutOfRange."""


def _plain_reader(default: str) -> Callable[..., Window]:
    """Reads the window of a question that has no steps, of the length `default` where none is given."""

    def read(
        *,
        clock: Clock,
        limits: QuestionLimits,
        length: Annotated[str | None, _length(default)] = None,
        start: _Start = None,
        end: _End = None,
        day: _Day = None,
        month: _Month = None,
        year: _Year = None,
        timezone: _Timezone = None,
    ) -> Window:
        texts = WindowTexts(length=length, start=start, end=end, day=day, month=month, year=year, timezone=timezone)
        return _read_window(texts, clock, limits, default=default)

    return read


read_plain_window, read_month_window = _plain_reader(DAY), _plain_reader("30d")
"""The window of a question that has no steps. Raises: Malformed; OutOfRange."""


def _read_window(texts: WindowTexts, clock: Clock, limits: QuestionLimits, *, default: str) -> Window:
    days_max, cells_max = limits.window_days_max, limits.cells_max
    return read_window(texts, now_ns=clock.now_ns(), default=default, days_max=days_max, cells_max=cells_max)
