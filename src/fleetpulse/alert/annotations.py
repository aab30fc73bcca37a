"""The annotations of an alert, filled with its facts."""

import math
from collections.abc import Callable

from fleetpulse.model.message import MessageAlert
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.annotations import LABEL, check_annotation, render_annotation
from fleetpulse.notation.duration import length_text
from fleetpulse.notation.timestamp import format_second

check = check_annotation


def facts_of(alert: MessageAlert, *, at_ns: int) -> dict[str, str]:
    """What a template may name, as text, of an alert as it is at `at_ns`."""
    end_ns = alert.resolved_at_ns or at_ns
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "owner": alert.owner,
        "subject": alert.subject,
        "device": alert.subject,
        "state": alert.state,
        "value": value_text(alert.value, alert.unit),
        "since": format_second(alert.since_ns),
        "duration": length_text((end_ns - alert.since_ns) // NS_PER_S),
        "last_seen": format_second(alert.last_received_ns) if alert.last_received_ns else "never",
        "times": str(alert.times),
        "number": str(alert.number),
        **{f"{LABEL}{name}": value for name, value in alert.labels.items()},
    }


def value_text(value: float | None, unit: str) -> str:
    """A figure for people, with its unit; empty where there is none."""
    if value is None or math.isnan(value):
        return ""
    if unit == "s" and abs(value) >= 60:
        return length_text(round(value))
    text = f"{value:.6g}"
    return f"{f'{value:.0f}' if 'e+' in text and abs(value) < 1e15 else text} {unit}".rstrip()


def render(template: str, alert: MessageAlert, *, at_ns: int, escape: Callable[[str], str] = lambda text: text) -> str:
    """The text of an annotation for one alert. Args: escape: see `render_annotation`."""
    return render_annotation(template, facts_of(alert, at_ns=at_ns), escape=escape)
