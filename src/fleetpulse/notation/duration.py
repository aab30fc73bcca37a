"""Durations as people write them: `90s`, `1h`, `30d`, `1h30m`."""

import re

from fleetpulse.notation.whole import read_number, whole

_UNIT_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
DURATION_PATTERN = "^(([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s?)?)$"
"""What `parse_seconds` reads, as a pattern for the OpenAPI document. It cannot say that the text must not be empty."""
LENGTH_PATTERN = DURATION_PATTERN.replace("s?)?", "s)?")
"""What `parse_length` reads, in the same way."""
_DURATION = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_SECONDS_HIGHEST = 999_999_999
_NUMBER_CHARS_MAX = 20
DURATION_EXPECTED = "a duration such as 90s, 15m, 1h, 30d or 1h30m"


class UnitMissing(ValueError):
    """A number without a unit, where it might be taken for one of another unit than was meant."""


def parse_length(text: str) -> int:
    """The seconds of a duration, of which every number has a unit.

    Raises: UnitMissing; ValueError: `text` is no duration.
    """
    number = _bare_number(text)
    if number is not None:
        raise UnitMissing(f"`{text}` needs a unit: {number}s, {number}m, {number}h or {number}d")
    return parse_seconds(text)


def parse_seconds(text: str) -> int:
    """The seconds of a duration; a bare number counts as seconds, also as 60.0 or 6e1.

    Raises: ValueError: `text` is no duration; the text of the error says what is expected.
    """
    number = _bare_number(text)
    if number is not None:
        return number
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"`{text[:50]}` is not {DURATION_EXPECTED}")
    return sum(int(count) * unit_s for count, unit_s in zip(match.groups(), _UNIT_S.values(), strict=True) if count)


def _bare_number(text: str) -> int | None:
    """The whole number that a text is, without a unit; None where it is none."""
    if text.isdigit() and text.isascii() and len(text) <= 9:
        return int(text)
    value = read_number(text) if text == text.strip() and len(text) <= _NUMBER_CHARS_MAX else None
    number = None if value is None else whole(value)
    return number if number is not None and 0 <= number <= _SECONDS_HIGHEST else None


def format_seconds(total_s: int) -> str:
    """The shortest text that `parse_seconds` reads as `total_s`: `5m`, `1h30m`, `0s`. Weeks are written as days."""
    parts: list[str] = []
    for unit, unit_s in _UNIT_S.items():
        count, total_s = divmod(total_s, unit_s)
        if count and unit != "w":
            parts.append(f"{count}{unit}")
        elif count:
            total_s += count * unit_s  # people say 30d, not 4w2d
    return "".join(parts) or "0s"


def length_text(seconds: int) -> str:
    """A length of time for people, to its second unit: `4 h 10 m`, `3 d 2 h`, `45 s`."""
    parts: list[str] = []
    rest = max(0, seconds)
    for unit, unit_s in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, unit_s)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"
