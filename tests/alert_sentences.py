"""The built-in text of a message, sentence by sentence, as the model would write it."""

import re
from datetime import UTC, datetime

from alert_model import ModelAlert
from fleetpulse.alert.message_text import Links, text_of
from fleetpulse.model.message import Message, MessageAlert
from fleetpulse.model.receiver import Receiver
from fleetpulse.notation.duration import length_text

RECEIVER = Receiver(name="any", kind="webhook", url="https://example.com")
STATUS = {
    "firing": "FIRING", "resolved": "RESOLVED", "reminder": "STILL FIRING", "escalation": "NOT ACKNOWLEDGED",
    "flapping": "FLAPPING", "blind": "BLIND",
}  # fmt: skip
ENDS = {"recovered": "recovered", "rule_changed": "the rule was changed"}


def time_text(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def line_of(alert: MessageAlert, truth: ModelAlert, heard_s: int, value: str) -> str:
    """What is to stand in the line of an alert."""
    text = f"- {alert.subject}: {alert.rule} ({truth.severity}), {alert.state}, since {time_text(truth.since)}"
    if truth.resolved_at:
        lasted = length_text(truth.resolved_at - truth.since)
        text += f", ended {time_text(truth.resolved_at)} after {lasted} ({ENDS[truth.resolution]})"
    text += f", last heard {time_text(heard_s)}" if heard_s else ""
    text += f", value {value}" if value else ""
    text += f", {truth.times} times" if truth.times > 1 else ""
    return text + (f", acknowledged by {alert.acknowledged_by}" if alert.acknowledged_by else "")


def check_text(message: Message, lines: list[str]) -> None:
    """Each line of the text is one that is expected, or one of the sentences whose figures stand in the message."""
    text = text_of(message, RECEIVER, Links())
    what, *rest = text.body.strip().splitlines()
    assert text.title.startswith(f"[{STATUS[message.kind]}")
    assert text.title.endswith(f"] {what.rstrip('.')}"), text
    assert what == f"{_what(message)}.", (what, message)
    expected = [*lines, f"As it was at {time_text(message.at_ns // 10**9)}."]
    if message.cause is not None:
        expected.append(f"Likely cause: {message.cause.explanation}.")
    if message.omitted:
        expected.append(f"and {message.omitted} more")
    summaries = [f"  {one.annotations['summary']}" for one in message.alerts if "summary" in one.annotations]
    assert sorted(line for line in rest if line) == sorted([*expected, *summaries]), (rest, expected, summaries)


def _what(message: Message) -> str:
    if message.kind == "blind":
        assert message.blind_ns is not None
        start, end = (time_text(at_ns // 10**9) for at_ns in message.blind_ns)
        return f"fleetpulse did not run from {start} to {end}: nothing is known of that time"
    if message.cause is not None:
        about = f"{message.cause.devices} devices of {message.cause.label}={message.cause.value}"
        if message.kind != "resolved":
            return f"{message.cause.down} of {about} are down"
        stay = f", {message.cause.down} stay down" if message.cause.down else ""
        ends = {one.resolution for one in message.alerts if one.state == "resolved"}
        if ends & {"removed", "rule_changed"}:
            return f"the alerts of {message.resolved} of {about} have ended{stay}"
        return f"{message.resolved} of {about} have returned{stay}"
    if message.firing + message.resolved == 1:
        (alert,) = message.alerts
        if message.kind == "flapping":
            return f"{alert.subject}: {alert.rule} begins and ends again and again, {alert.times} times so far"
        if alert.state == "firing":
            return f"{alert.subject}: {alert.rule} since {time_text(alert.since_ns // 10**9)}"
        lasted = length_text((alert.resolved_at_ns - alert.since_ns) // 10**9)
        return f"{alert.subject}: {alert.rule} has ended after {lasted} ({ENDS[alert.resolution]})"
    counts = [f"{message.firing} alert{'s' * (message.firing != 1)} firing"] if message.firing else []
    counts += [f"{message.resolved} ended"] if message.resolved else []
    shared = ", ".join(f"{name}={value}" for name, value in message.group.items() if value)
    return ", ".join(counts) + (f" ({shared})" if shared else "")


EXPLANATION = re.compile(
    r"(?P<down>\d+) of (?P<devices>\d+) devices with (?P<label>\w+)=(?P<value>\w+) went down within (?P<seconds>\d+) s"
    r"(; the next best label, (?P<other>\w+)=(?P<other_value>\w+), explains (?P<explains>\d+)"
    r"( and is less specific: (?P<wider>\d+) devices have it)?)?"
)
