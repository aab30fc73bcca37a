"""The window of a question: from when, until when, and in which steps."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import gcd
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from fleetpulse.aggregate.local_time import step_starts_ns
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import date_span_ns, query_time_ns, read_zone
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.duration import UnitMissing, parse_length
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.limits import check_cells


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start_ns, end_ns).

    With `step_ns`, buckets begin at whole multiples of it since 1970, or, in steps of a local calendar, at `edges_ns`;
    the window may cut the first and the last.
    """

    start_ns: int
    end_ns: int
    step_ns: int | None = None
    edges_ns: tuple[int, ...] | None = None
    timezone: str | UnsetType = UNSET
    """The zone of the calendar that the question was put in, as answers give it."""
    ends_now: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What an answer says about the window."""

    @property
    def origin_ns(self) -> int:
        """Where the first bucket would begin if the window did not cut it."""
        if self.edges_ns is not None:
            return self.edges_ns[0]
        return self.start_ns if self.step_ns is None else self.start_ns // self.step_ns * self.step_ns

    @property
    def buckets(self) -> int:
        """How many buckets there are, at least 1."""
        if self.edges_ns is not None:
            return len(self.edges_ns)
        return 1 if self.step_ns is None else -(-(self.end_ns - self.origin_ns) // self.step_ns)

    @property
    def grain_ns(self) -> int | None:
        """A length that divides the start of every bucket that the window does not cut; None without steps."""
        return self.step_ns if self.edges_ns is None else gcd(*self.edges_ns)

    def bucket_start_ns(self, bucket: int) -> int:
        """Where a bucket begins, the first one with the window."""
        if self.edges_ns is not None:
            return max(self.start_ns, self.edges_ns[bucket])
        return max(self.start_ns, self.origin_ns + bucket * (self.step_ns or 0))

    def buckets_of(self, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bucket of each time, int64, shape (n,); outside of the window the nearest. `at_ns`: int64, shape (n,)."""
        if self.edges_ns is not None:
            return np.maximum(np.searchsorted(np.array(self.edges_ns), at_ns, side="right") - 1, 0)
        if self.step_ns is None:
            return np.zeros(len(at_ns), np.int64)
        return np.clip((at_ns - self.origin_ns) // self.step_ns, 0, self.buckets - 1)

    def since(self, start_ns: int) -> "Window":
        """The part of it from `start_ns` on, which lies in it; its buckets begin where they did."""
        edges_ns = self.edges_ns
        if edges_ns is not None:
            edges_ns = edges_ns[bisect_right(edges_ns, start_ns) - 1 :]
        return replace(self, start_ns=start_ns, edges_ns=edges_ns)

    def steps(self) -> Iterator["Window"]:
        """Its buckets as windows without steps."""
        for bucket in range(self.buckets):
            is_last = bucket == self.buckets - 1
            yield Window(self.bucket_start_ns(bucket), self.end_ns if is_last else self.bucket_start_ns(bucket + 1))

    def whole_days(self) -> "Window":
        """The UTC days that it touches, without steps."""
        return Window(self.start_ns // NS_PER_DAY * NS_PER_DAY, -(-self.end_ns // NS_PER_DAY) * NS_PER_DAY)

    @property
    def start(self) -> str:
        """Where it begins, as answers give it."""
        return format_rfc3339(self.start_ns)

    @property
    def end(self) -> str:
        """Where it ends, as answers give it."""
        return format_rfc3339(self.end_ns)

    @property
    def step_s(self) -> int | UnsetType:
        """Seconds of a step, as answers give them."""
        return UNSET if self.step_ns is None else self.step_ns // NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTexts:
    """The parameters of a window as they were given; None: not given."""

    length: str | None = None
    start: str | None = None
    end: str | None = None
    day: str | None = None
    month: str | None = None
    year: str | None = None
    step: str | None = None
    timezone: str | None = None


def read_window(texts: WindowTexts, *, now_ns: int, default: str, days_max: int, cells_max: int) -> Window:
    """The window of the parameters; `default` is its length where none is given. It ends now at the latest.

    Raises: Malformed: cannot be read. OutOfRange: a length without a unit, empty, reversed, in the future, before 1970,
    too long, of more than `cells_max` steps, or of steps that are shorter than a second, longer than any window, or
    none of a local calendar.
    """
    zone = read_zone(texts.timezone)
    start_ns, end_ns, notes = _span_ns(texts, zone, now_ns=now_ns, default=default)
    if end_ns - start_ns > days_max * NS_PER_DAY:
        raise OutOfRange(f"the window is longer than {days_max} days (window_days_max)", reason="window")
    if start_ns < 0:
        raise OutOfRange("the window begins before 1970-01-01T00:00:00Z: nothing was reported then", reason="window")
    step_ns = None if texts.step is None else _duration("step", texts.step) * NS_PER_S
    if step_ns is not None and not 0 < step_ns <= days_max * NS_PER_DAY:
        raise OutOfRange(f"step must be 1s to {days_max}d", reason="step")
    edges_ns = None
    check_cells((end_ns - start_ns) // (step_ns or end_ns - start_ns), "steps in the window", cells_max=cells_max)
    if step_ns is not None and texts.timezone is not None:
        try:
            edges_ns = tuple(step_starts_ns(start_ns, end_ns, step_s=step_ns // NS_PER_S, zone=zone))
        except ValueError as error:
            raise OutOfRange(str(error), reason="step") from error
    timezone = UNSET if texts.timezone is None else texts.timezone
    window = Window(start_ns, end_ns, step_ns, edges_ns, timezone, ends_now=end_ns == now_ns, notes=notes)
    check_cells(window.buckets, "steps in the window", cells_max=cells_max)
    return window


def _span_ns(texts: WindowTexts, zone: ZoneInfo, *, now_ns: int, default: str) -> tuple[int, int, tuple[str, ...]]:
    """Start and end of the window, which ends now at the latest; and a note where that is earlier than was asked."""
    cut = f"the window ends now, at {format_rfc3339(now_ns)}"
    dates = [unit for unit in ("day", "month", "year") if getattr(texts, unit) is not None]
    bounds = texts.start is not None or texts.end is not None
    ways = [f"`{unit}`" for unit in dates]
    ways += ["`window`"] if texts.length is not None else []
    ways += ["`from` and `to`"] if bounds else []
    if len(ways) > 1:
        raise Malformed(f"give {', or '.join(ways)}, not both")
    if dates:
        text = getattr(texts, dates[0])
        start_ns, end_ns = date_span_ns(dates[0], text, zone)
        if start_ns == end_ns:
            raise OutOfRange(f"the window is empty: {zone} skipped {text}", reason="window")
        if start_ns >= now_ns:
            raise OutOfRange(f"the window begins with {text}, which is not past yet", reason="window")
        return start_ns, min(end_ns, now_ns), (f"{text} is not over: {cut}",) if end_ns > now_ns else ()
    if texts.start is not None:
        start_ns = query_time_ns("from", texts.start, zone)
        end_ns = now_ns if texts.end is None else query_time_ns("to", texts.end, zone)
        if start_ns >= now_ns:
            raise OutOfRange(f"the window begins at {texts.start[:50]}, which is not past yet", reason="window")
        if end_ns <= start_ns:
            raise OutOfRange("the window is empty or reversed: `to` must be later than `from`", reason="window")
        return start_ns, min(end_ns, now_ns), (f"`to` is in the future: {cut}",) if end_ns > now_ns else ()
    if texts.end is not None:
        raise Malformed("`to` needs `from`; or give `window`, which ends now")
    length_ns = _duration("window", default if texts.length is None else texts.length) * NS_PER_S
    if not length_ns:
        raise OutOfRange("the window is empty: it must be at least 1s", reason="window")
    return now_ns - length_ns, now_ns, ()


def _duration(name: str, text: str) -> int:
    try:
        return parse_length(text)
    except UnitMissing as error:
        raise OutOfRange(f"`{name}`: {error}", reason=name) from error
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
