"""The window of a question: from when, until when, and in which steps."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.duration import UnitMissing, parse_length
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_query_time_ns


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start_ns, end_ns).

    With `step_ns`, buckets begin at whole multiples of it since 1970; the window may cut the first and the last.
    """

    start_ns: int
    end_ns: int
    step_ns: int | None = None
    ends_now: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What an answer says about the window."""

    @property
    def origin_ns(self) -> int:
        """Where the first bucket would begin if the window did not cut it."""
        return self.start_ns if self.step_ns is None else self.start_ns // self.step_ns * self.step_ns

    @property
    def buckets(self) -> int:
        """How many buckets there are, at least 1."""
        return 1 if self.step_ns is None else -(-(self.end_ns - self.origin_ns) // self.step_ns)

    def bucket_start_ns(self, bucket: int) -> int:
        """Where a bucket begins, the first one with the window."""
        return max(self.start_ns, self.origin_ns + bucket * (self.step_ns or 0))

    def steps(self) -> Iterator["Window"]:
        """Its buckets as windows without steps."""
        for bucket in range(self.buckets):
            end_ns = self.origin_ns + (bucket + 1) * (self.step_ns or self.end_ns - self.start_ns)
            yield Window(self.bucket_start_ns(bucket), min(self.end_ns, end_ns))

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


def read_window(
    *,
    length: str | None,
    start: str | None,
    end: str | None,
    step: str | None,
    now_ns: int,
    default: str,
    days_max: int,
) -> Window:
    """The window of the parameters `window` (length), or `from` and `to`, and `step`. It ends now at the latest.

    Raises: Malformed: cannot be read. OutOfRange: a length without a unit, empty, reversed, in the future, before 1970,
    too long, or a step that is shorter than a second or longer than any window.
    """
    notes: tuple[str, ...] = ()
    if length is not None and (start is not None or end is not None):
        raise Malformed("give `window`, or `from` and `to`, not both")
    if start is not None:
        start_ns = _time("from", start)
        end_ns = now_ns if end is None else min(_time("to", end), now_ns)
        if end is not None and _time("to", end) > now_ns:
            notes = (f"`to` is in the future: the window ends now, at {format_rfc3339(now_ns)}",)
        if start_ns >= now_ns:
            raise OutOfRange(f"the window begins at {start[:50]}, which is not past yet", reason="window")
        if end is not None and _time("to", end) <= start_ns:
            raise OutOfRange("the window is empty or reversed: `to` must be later than `from`", reason="window")
    elif end is not None:
        raise Malformed("`to` needs `from`; or give `window`, which ends now")
    else:
        length_ns = _duration("window", default if length is None else length) * NS_PER_S
        if not length_ns:
            raise OutOfRange("the window is empty: it must be at least 1s", reason="window")
        start_ns, end_ns = now_ns - length_ns, now_ns
    if end_ns - start_ns > days_max * NS_PER_DAY:
        raise OutOfRange(f"the window is longer than {days_max} days (window_days_max)", reason="window")
    if start_ns < 0:
        raise OutOfRange("the window begins before 1970-01-01T00:00:00Z: nothing was reported then", reason="window")
    step_ns = None if step is None else _duration("step", step) * NS_PER_S
    if step_ns is not None and not 0 < step_ns <= days_max * NS_PER_DAY:
        raise OutOfRange(f"step must be 1s to {days_max}d", reason="step")
    return Window(start_ns, end_ns, step_ns, ends_now=end_ns == now_ns, notes=notes)


def _time(name: str, text: str) -> int:
    try:
        return parse_query_time_ns(text)
    except ValueError as error:
        raise Malformed(f"`{name}` is not {EXPECTED}") from error


def _duration(name: str, text: str) -> int:
    try:
        return parse_length(text)
    except UnitMissing as error:
        raise OutOfRange(f"`{name}`: {error}", reason=name) from error
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
