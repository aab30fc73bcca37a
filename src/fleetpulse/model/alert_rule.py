"""The rules of alerts, as people declare them."""

import math
from typing import Literal, get_args

import msgspec

from fleetpulse.model.access import Scope
from fleetpulse.model.device import check_labels
from fleetpulse.model.metric import AGGREGATIONS, Aggregation
from fleetpulse.model.text import NAME_RULE, check_text, is_name
from fleetpulse.model.uptime import MEASURES, Measure

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Ascending; the place in it is the code of a severity in columns."""
RuleKind = Literal["device_down", "metric", "uptime_below", "fleet", "absent", "drift", "service"]
"""What a rule watches, and what its subjects are.

    device_down    devices that are down                              a device
    metric         an aggregation of a metric over a window           a device
    uptime_below   uptime or availability over a window               a device
    absent         devices that have stopped to send a metric         a device
    drift          devices whose clocks are wrong                     a device
    fleet          how many devices of a label's value are down       a label's value, or all devices
    service        the telemetry of this service                      the service
"""
RULE_KINDS: tuple[RuleKind, ...] = get_args(RuleKind)
Comparison = Literal[">", ">=", "<", "<="]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
Quantity = Literal["share", "seconds"]
TELEMETRY: dict[str, Quantity] = {
    "error_ratio": "share",
    "ingest_lag": "seconds",
    "checkpoint_age": "seconds",
    "disk_free": "share",
    "clock_behind": "seconds",
}
"""The figures of this service that rules can watch.

    error_ratio      answers with a 5xx status, of all answers of the window
    ingest_lag       how long the oldest event that was accepted waits for the disk, or to be applied
    checkpoint_age   time since the last checkpoint
    disk_free        of the disk of the data folder
    clock_behind     how far the clock of the service is behind what it had reached already
"""
OVER_WINDOW = ("error_ratio",)
"""Those of them that are counted over a window."""
FOR_HIGHEST_S = 30 * 86_400
WINDOW_HIGHEST_S = 366 * 86_400
UPTIME_WINDOW_LOWEST_S = 60
TELEMETRY_WINDOWS_S = (10, 3_600)
"""The shortest and the longest window of a figure of this service, which is in memory only."""
RESERVED_NAMES = ("preview",)
"""What stands in place of a rule's name in paths of other routes."""
CONDITION_CHARS_MAX = 300
OWNER_CHARS_MAX = 200
ANNOTATIONS_MAX = 16
ANNOTATION_CHARS_MAX = 2_000


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule, known by its name.

    Attributes:
        condition: the text that people declared, in its canonical form; empty for `device_down`.
        for_s: how long the condition must be true before the alert fires.
        keep_firing_for_s: how long it must be false before the alert is resolved.
        labels: which devices it is about: those that have all of these; empty: all.
        owner: whom the alerts concern, for people to read.
        annotations: templates of texts by name, such as `summary`.
        metric, aggregation, window_s: of which figure over which time the condition is.
        comparison, threshold, clear_threshold: when it is true; once true, until the figure has passed
            `clear_threshold`, where there is one. Ratios are 0 to 1; spans of time are in seconds.
        measure: which uptime, of `uptime_below`.
        by: the label whose values are the subjects of `fleet`; empty: all devices together.
        is_share: whether the threshold of `fleet` is a share of the devices, not a number of them.
        telemetry: which figure of the service, of `service`.
    """

    name: str
    kind: RuleKind
    severity: Severity = "warning"
    condition: str = ""
    for_s: int = 0
    keep_firing_for_s: int = 0
    labels: Scope = ()
    owner: str = ""
    annotations: dict[str, str] = {}
    is_enabled: bool = True
    metric: str = ""
    aggregation: Aggregation = "avg"
    window_s: int = 0
    comparison: Comparison = ">"
    threshold: float = 0.0
    clear_threshold: float | None = None
    measure: Measure = "settled"
    by: str = ""
    is_share: bool = False
    telemetry: str = ""


def check_rule(rule: AlertRule) -> None:
    """Check what the text of a condition cannot tell. Raises: ValueError: which field, and what is expected."""
    check_rule_name(rule.name)
    for field, value, known in (("kind", rule.kind, RULE_KINDS), ("severity", rule.severity, SEVERITIES)):
        if value not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, not `{value[:64]}`")
    for field, seconds in (("for", rule.for_s), ("keep_firing_for", rule.keep_firing_for_s)):
        if not 0 <= seconds <= FOR_HIGHEST_S:
            raise ValueError(f"{field} must be 0s to 30d, not {seconds}s")
    try:
        check_labels(dict(rule.labels))
    except ValueError as error:
        raise ValueError(f"labels: {error}") from error
    if rule.kind == "service" and rule.labels:
        raise ValueError("labels: a rule about the service is about no devices: leave them out")
    check_text(rule.owner, field="owner", chars_max=OWNER_CHARS_MAX)
    if len(rule.annotations) > ANNOTATIONS_MAX:
        raise ValueError(f"annotations: {len(rule.annotations)} are more than {ANNOTATIONS_MAX}")
    for name, text in rule.annotations.items():
        if not is_name(name):
            raise ValueError(f"annotations: the name `{name[:64]}` must be {NAME_RULE}")
        check_text(text, field=f"annotation {name}", chars_max=ANNOTATION_CHARS_MAX)
    _check_condition(rule)


def check_rule_name(name: str) -> None:
    """Raises: ValueError: `name` cannot be that of a rule."""
    if not is_name(name):
        raise ValueError(f"name: the name of a rule must be {NAME_RULE}, not `{name[:64]}`")
    if name in RESERVED_NAMES:
        raise ValueError(f"name: no rule can be called `{name}`, since that is the path of something else")


def _check_condition(rule: AlertRule) -> None:
    if rule.comparison not in COMPARISONS or rule.aggregation not in AGGREGATIONS or rule.measure not in MEASURES:
        raise ValueError("condition: it compares or aggregates in a way that is not known")
    is_named = rule.kind not in ("metric", "absent") or is_name(rule.metric)
    if not is_named or (rule.by and not is_name(rule.by)):
        raise ValueError(f"condition: `{(rule.metric or rule.by)[:64]}` must be {NAME_RULE}")
    lowest_s, highest_s = _windows_s(rule)
    if not lowest_s <= rule.window_s <= highest_s:
        if not highest_s:
            raise ValueError(f"condition: {rule.telemetry or rule.kind} is not over a window: leave out `over …`")
        raise ValueError(f"condition: the window must be {lowest_s}s to {highest_s}s, not {rule.window_s}s")
    _check_thresholds(rule)


def _windows_s(rule: AlertRule) -> tuple[int, int]:
    """The shortest and longest window that a rule of its kind may have; (0, 0): it has none."""
    if rule.kind in ("metric", "absent"):
        return 1, WINDOW_HIGHEST_S
    if rule.kind == "uptime_below":
        return UPTIME_WINDOW_LOWEST_S, WINDOW_HIGHEST_S
    return TELEMETRY_WINDOWS_S if rule.kind == "service" and rule.telemetry in OVER_WINDOW else (0, 0)


def _check_thresholds(rule: AlertRule) -> None:
    highest = math.inf
    if rule.is_share or rule.kind == "uptime_below" or TELEMETRY.get(rule.telemetry) == "share":
        highest = 1.0
    lowest = -math.inf if rule.kind == "metric" else 0.0
    for threshold in (rule.threshold, rule.clear_threshold):
        if threshold is None:
            continue
        if not math.isfinite(threshold):
            raise ValueError("condition: a threshold must be a finite number")
        if not lowest <= threshold <= highest:
            raise ValueError(f"condition: a threshold must be {'0 % to 100 %' if highest == 1 else 'at least 0'}")
    if rule.kind == "service" and rule.telemetry not in TELEMETRY:
        raise ValueError(f"condition: `{rule.telemetry[:64]}` must be one of {', '.join(TELEMETRY)}")
    if rule.clear_threshold is not None:
        is_above = rule.comparison in (">", ">=")
        if (rule.clear_threshold > rule.threshold) if is_above else (rule.clear_threshold < rule.threshold):
            side = "below" if is_above else "above"
            raise ValueError(f"condition: the threshold behind `until` must be {side} the first one, or equal to it")
