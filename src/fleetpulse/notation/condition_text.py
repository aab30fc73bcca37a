"""Conditions of alert rules as people write them, by the kind of the rule; FORMS has an example of each.

    metric         NAME AGGREGATION over DURATION COMPARISON NUMBER [until OPPOSITE NUMBER]
    uptime_below   settled|observed uptime, or availability, then over DURATION < PERCENT [until > PERCENT]
    fleet          down [by LABEL] COMPARISON NUMBER or PERCENT [until …]
    absent         no NAME over DURATION
    drift          drift COMPARISON DURATION [until …]
    service        FIGURE [over DURATION] COMPARISON PERCENT or DURATION [until …]
    device_down    nothing: it follows from the interval and grace of the device

What is read is written back in one canonical form, which is read as the same.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from fleetpulse.model.alert_rule import COMPARISONS, CONDITION_CHARS_MAX, TELEMETRY, AlertRule, Comparison, RuleKind
from fleetpulse.model.metric import AGGREGATIONS
from fleetpulse.model.text import NAME_RULE, is_name
from fleetpulse.notation.duration import format_seconds, parse_length

FORMS: dict[RuleKind, str] = {
    "device_down": "",
    "metric": "cpu avg over 10m > 90 until < 85",
    "uptime_below": "settled uptime over 30d < 99.9 %",
    "fleet": "down by site > 20 %",
    "absent": "no cpu over 15m",
    "drift": "drift > 30s",
    "service": "error_ratio over 5m > 1 %",
}
_TOKEN = re.compile(r"[<>]=?|=+|%|[^\s<>=%]+")
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,12})?", re.ASCII)
_FRACTION = re.compile(r"\d{1,9}\.\d{1,9}s", re.ASCII)
_OPPOSITE: dict[Comparison, Comparison] = {">": "<", ">=": "<", "<": ">", "<=": ">"}


def parse_condition(kind: RuleKind, text: str) -> dict[str, Any]:
    """The fields of an AlertRule that a condition sets, `condition` in its canonical form among them.

    Whether windows and thresholds are in range, `check_rule` of `model/alert_rule.py` checks.
    Raises: ValueError: names the word that is wrong, what is expected there, and an example.
    """
    if len(text) > CONDITION_CHARS_MAX:
        raise ValueError(f"condition: it must be at most {CONDITION_CHARS_MAX} characters, such as `{FORMS[kind]}`")
    words = _Words(kind, text)
    fields = _READERS[kind](words)
    words.end()
    return {**fields, "condition": _text_of(AlertRule(name="", kind=kind, **fields))}


class _Words:
    """The words of a condition, read one after the other."""

    def __init__(self, kind: RuleKind, text: str) -> None:
        self._kind = kind
        self._text = text
        self._words = _TOKEN.findall(text)
        self._next = 0

    def next(self) -> str:
        """The word that comes next, without taking it; empty at the end."""
        return self._words[self._next] if self._next < len(self._words) else ""

    def take(self) -> str:
        word = self.next()
        self._next += 1
        return word

    def fail(self, expected: str, word: str) -> NoReturn:
        """Raises: ValueError."""
        found = f"not `{word[:64]}`" if word else "which is missing at the end"
        example = (
            f"such as `{FORMS[self._kind]}`" if FORMS[self._kind] else "is empty: `for` says for how long it is down"
        )
        shown = f" (in `{self._text[:100]}`)" if self._text.strip() else ""
        raise ValueError(f"condition: expected {expected}, {found}{shown}; a condition of kind {self._kind}, {example}")

    def end(self) -> None:
        if word := self.next():
            self.fail("nothing more", word)

    def word(self, *known: str) -> str:
        word = self.take()
        if word not in known:
            self.fail(" or ".join(f"`{one}`" for one in known), word)
        return word

    def name(self, what: str) -> str:
        word = self.take()
        if not is_name(word):
            self.fail(f"{what} ({NAME_RULE})", word)
        return word

    def window_s(self) -> int:
        self.word("over")
        return self.length_s()

    def length_s(self) -> int:
        word = self.take()
        try:
            return parse_length(word)
        except ValueError:
            self.fail("a duration such as 10m", word)

    def comparison(self, *known: Comparison) -> Comparison:
        word = self.take()
        found = next((one for one in known or COMPARISONS if one == word), None)
        if found is None:
            self.fail(f"one of {' '.join(known or COMPARISONS)}", word)
        return found

    def number(self) -> float:
        word = self.take()
        number = float(word) if _NUMBER.fullmatch(word) else math.nan
        if not math.isfinite(number):
            self.fail("a number", word)
        return number + 0.0  # -0.0 is written as 0

    def count(self) -> float:
        """How many devices."""
        word = self.take()
        if not (word.isdigit() and word.isascii() and len(word) <= 9):
            self.fail("a whole number of devices, or a percentage such as 20 %", word)
        return float(word)

    def is_percentage_at(self, distance: int) -> bool:
        """Whether the number that comes so many words later has a percent sign."""
        return self._words[self._next + distance + 1 : self._next + distance + 2] == ["%"]

    def share(self) -> float:
        """A percentage, as a ratio. The sign may be left out where the number can be no ratio."""
        word = self.take()
        number = Decimal(word) if _PERCENT.fullmatch(word) else Decimal(-1)
        if not 0 <= number <= 100:
            self.fail("a percentage of 0 % to 100 %", word)
        if self.next() == "%":
            self.take()
        elif number <= 1:
            self.fail("`%`, as this might be a ratio or a percentage", self.next())
        return float(number / 100)

    def seconds(self) -> float:
        """A length of time, which may have a fraction: `30s`, `1h30m`, `0.5s`."""
        word = self.take()
        if _FRACTION.fullmatch(word):
            return float(word[:-1])
        try:
            return float(parse_length(word))
        except ValueError:
            self.fail("a duration such as 30s or 0.5s", word)


def _thresholds(words: _Words, read: Callable[[], float], *known: Comparison) -> dict[str, Any]:
    comparison, threshold = words.comparison(*known), read()
    fields: dict[str, Any] = {"comparison": comparison, "threshold": threshold}
    if words.next() == "until":
        words.take()
        words.comparison(_OPPOSITE[comparison])
        fields["clear_threshold"] = read()
    return fields


def _read_metric(words: _Words) -> dict[str, Any]:
    fields: dict[str, Any] = {"metric": words.name("the name of a metric")}
    fields["aggregation"] = words.word(*AGGREGATIONS)
    fields["window_s"] = words.window_s()
    return fields | _thresholds(words, words.number)


def _read_uptime(words: _Words) -> dict[str, Any]:
    measure = words.word("settled", "observed", "availability")
    if measure != "availability":
        words.word("uptime")
    return {"measure": measure, "window_s": words.window_s(), **_thresholds(words, words.share, "<", "<=")}


def _read_fleet(words: _Words) -> dict[str, Any]:
    words.word("down")
    fields: dict[str, Any] = {}
    if words.next() == "by":
        words.take()
        fields["by"] = words.name("the name of a label")
    is_share = words.is_percentage_at(1)
    read = words.share if is_share else words.count
    return {**fields, "is_share": is_share, **_thresholds(words, read, ">", ">=")}


def _read_absent(words: _Words) -> dict[str, Any]:
    words.word("no")
    return {"metric": words.name("the name of a metric"), "window_s": words.window_s()}


def _read_drift(words: _Words) -> dict[str, Any]:
    words.word("drift")
    return _thresholds(words, words.seconds, ">", ">=")


def _read_service(words: _Words) -> dict[str, Any]:
    figure = words.word(*TELEMETRY)
    window_s = words.window_s() if words.next() == "over" else 0
    read = words.share if TELEMETRY[figure] == "share" else words.seconds
    return {"telemetry": figure, "window_s": window_s, **_thresholds(words, read)}


_READERS: dict[RuleKind, Callable[[_Words], dict[str, Any]]] = {
    "device_down": lambda _: {},
    "metric": _read_metric,
    "uptime_below": _read_uptime,
    "fleet": _read_fleet,
    "absent": _read_absent,
    "drift": _read_drift,
    "service": _read_service,
}


def _text_of(rule: AlertRule) -> str:
    """The canonical form of the condition of a rule."""
    window = format_seconds(rule.window_s)
    match rule.kind:
        case "device_down":
            return ""
        case "metric":
            return f"{rule.metric} {rule.aggregation} over {window} {_compared(rule, _number_text)}"
        case "uptime_below":
            what = rule.measure if rule.measure == "availability" else f"{rule.measure} uptime"
            return f"{what} over {window} {_compared(rule, _share_text)}"
        case "fleet":
            by = f"by {rule.by} " if rule.by else ""
            return f"down {by}{_compared(rule, _share_text if rule.is_share else _number_text)}"
        case "absent":
            return f"no {rule.metric} over {window}"
        case "drift":
            return f"drift {_compared(rule, seconds_text)}"
        case "service":
            over = f"over {window} " if rule.window_s else ""
            is_share = TELEMETRY[rule.telemetry] == "share"
            return f"{rule.telemetry} {over}{_compared(rule, _share_text if is_share else seconds_text)}"


def figure_text(rule: AlertRule) -> str:
    """The figure of a rule, for a sentence that its value follows: `cpu avg over 10m is`. Not of `device_down`."""
    window = format_seconds(rule.window_s)
    match rule.kind:
        case "metric":
            return f"{rule.metric} {rule.aggregation} over {window} is"
        case "uptime_below":
            what = rule.measure if rule.measure == "availability" else f"{rule.measure} uptime"
            return f"{what} over {window} is"
        case "fleet":
            return "down are" if rule.is_share else "devices that are down:"
        case "absent":
            return f"time since {rule.metric} was sent last:"
        case "drift":
            return "its clock is wrong by"
        case _:
            return f"{rule.telemetry}{f' over {window}' if rule.window_s else ''} is"


def _compared(rule: AlertRule, text_of: Callable[[float], str]) -> str:
    text = f"{rule.comparison} {text_of(rule.threshold)}"
    if rule.clear_threshold is None:
        return text
    return f"{text} until {_OPPOSITE[rule.comparison]} {text_of(rule.clear_threshold)}"


def _number_text(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _share_text(ratio: float) -> str:
    text = f"{Decimal(repr(ratio)) * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def seconds_text(seconds: float) -> str:
    """A length of time as conditions have it: `1h30m`, `0.5s`."""
    return format_seconds(int(seconds)) if seconds.is_integer() else f"{seconds:.9f}".rstrip("0") + "s"
