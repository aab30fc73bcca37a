"""The window of a question: from when, until when, and in which steps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.duration import parse_seconds
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_rfc3339_ns


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start_ns, end_ns). With `step_ns`, buckets begin at whole multiples of it since 1970, the first and the last
    perhaps cut by the window."""

    start_ns: int
    end_ns: int
    step_ns: int | None = None

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

    def described(self) -> dict[str, object]:
        """As an answer says it."""
        said: dict[str, object] = {"from": format_rfc3339(self.start_ns), "to": format_rfc3339(self.end_ns)}
        if self.step_ns is not None:
            said["step_s"] = self.step_ns // NS_PER_S
        return said


def read_window(asked: Mapping[str, str], *, now_ns: int, default: str, days_max: int) -> Window:
    """The window that `window=`, or `from=` and `to=`, and `step=` ask for; it ends now at the latest.

    Raises: Malformed: cannot be read. OutOfRange: empty, reversed, in the future, before 1970, too long, or a step that is no second
    or longer than any window.
    """
    if "window" in asked and ("from" in asked or "to" in asked):
        raise Malformed("give `window`, or `from` and `to`, not both")
    if "to" in asked and "from" not in asked:
        raise Malformed("`to` needs `from`; or give `window`, which ends now")
    if "from" in asked:
        start_ns = _time(asked, "from")
        end_ns = min(_time(asked, "to"), now_ns) if "to" in asked else now_ns
        if start_ns >= now_ns:
            raise OutOfRange(f"the window begins at {asked['from'][:50]}, which is not past yet", reason="window")
        if "to" in asked and _time(asked, "to") <= start_ns:
            raise OutOfRange("the window is empty or reversed: `to` must be later than `from`", reason="window")
    else:
        length_ns = _duration(asked, "window", default) * NS_PER_S
        if not length_ns:
            raise OutOfRange("the window is empty: it must be at least 1s", reason="window")
        start_ns, end_ns = now_ns - length_ns, now_ns
    if end_ns - start_ns > days_max * NS_PER_DAY:
        raise OutOfRange(f"the window is longer than {days_max} days (window_days_max)", reason="window")
    if start_ns < 0:
        raise OutOfRange("the window begins before 1970-01-01T00:00:00Z: nothing was reported then", reason="window")
    step_ns = _duration(asked, "step", "") * NS_PER_S if "step" in asked else None
    if step_ns is not None and not 0 < step_ns <= days_max * NS_PER_DAY:
        raise OutOfRange(f"step must be 1s to {days_max}d", reason="step")
    return Window(start_ns, end_ns, step_ns)


def _time(asked: Mapping[str, str], name: str) -> int:
    try:
        # A `+` of an offset that was not escaped comes as a space.
        return parse_rfc3339_ns(asked[name].replace(" ", "+"))
    except ValueError as error:
        raise Malformed(f"`{name}` is not {EXPECTED}") from error


def _duration(asked: Mapping[str, str], name: str, default: str) -> int:
    try:
        return parse_seconds(asked.get(name, default))
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error
