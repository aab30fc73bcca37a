"""The text of a message: facts become the fields of templates, and templates make title and body.

A template of a receiver that fails when it is used must not keep anybody from being told: the built-in text is sent
instead, and says that it is.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from fleetpulse.model.alert import RETURNED
from fleetpulse.model.message import Message, MessageAlert
from fleetpulse.model.receiver import Receiver
from fleetpulse.model.text_template import Names, Template, parse_template
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.count import count_text
from fleetpulse.notation.duration import length_text
from fleetpulse.notation.timestamp import format_second

TITLE_CHARS_MAX = 250
ALERT_FIELDS = {
    "subject": "the device, or the group such as site=paris",
    "rule": "the name of the rule",
    "alert": "the number of the alert",
    "alert_severity": "info, warning or critical",
    "state": "firing or resolved",
    "since": "since when it is true",
    "lasted": "for how long it was, or has been, true",
    "last_heard": "when the device was last heard",
    "value": "the figure that was compared, with its unit",
    "ended": "when it ended",
    "resolution": "why it ended",
    "times": "how often it has fired, where more than once",
    "owner": "whom it concerns",
    "acknowledged_by": "who has acknowledged it",
    "alert_url": "where to see it",
}
MESSAGE_FIELDS = {
    "status": "FIRING, RESOLVED, STILL FIRING, NOT ACKNOWLEDGED, FLAPPING, BLIND or TEST",
    "severity": "the highest severity of the alerts",
    "what": "what happened, in a sentence",
    "cause": "the likely common cause, and why this is thought",
    "firing": "how many alerts fire",
    "resolved": "how many have ended",
    "omitted": "how many further alerts are not listed; empty where all are",
    "beyond": "of how many further subjects a condition is true, though there is no room for their alerts; else empty",
    "decided_at": "of which time all of this is",
    "receiver": "the name of the receiver",
    "url": "where to see the alerts",
    "acknowledge_url": "where to acknowledge them",
    "lost": "how many earlier messages to this receiver were given up; empty where none was",
}
NAMES = Names(MESSAGE_FIELDS.keys(), {"group"}, {"alerts": Names(ALERT_FIELDS.keys(), {"label", "annotation"})})
BUILT_IN_TITLE = "[{status}] {what}"
_ALERT = """\
- {subject}: {rule} ({alert_severity}), {state}, since {since}{?ended}, ended {ended} after {lasted}{/ended}\
{?resolution} ({resolution}){/resolution}{?last_heard}, last heard {last_heard}{/last_heard}\
{?value}, value {value}{/value}{?times}, {times}{/times}{?acknowledged_by}, acknowledged by {acknowledged_by}\
{/acknowledged_by}"""
_ABOUT_ALERT = """{?annotation.summary}
  {annotation.summary}{/annotation.summary}{?alert_url}
  {alert_url}{/alert_url}"""
_BODY = """\
{what}.
{?cause}Likely cause: {cause}.
{/cause}{#alerts}
ALERT{/alerts}{?omitted}
and {omitted} more{/omitted}{?beyond}
and {beyond} more that are not followed: there are too many alerts (alerts_open_max){/beyond}
{?url}
All of it: {url}{/url}{?acknowledge_url}
Acknowledge: {acknowledge_url}{/acknowledge_url}{?lost}
{lost} to this receiver could not be delivered, see the dead letters of fleetpulse.{/lost}
As it was at {decided_at}.
"""
BUILT_IN_BODY = _BODY.replace("ALERT", _ALERT + _ABOUT_ALERT)
INCIDENT_BODY = _BODY.replace("ALERT", _ALERT)
"""The built-in text about an incident: what is true of each member is its cause, and a line for each is enough."""
_STATUS = {
    "firing": "FIRING",
    "resolved": "RESOLVED",
    "reminder": "STILL FIRING",
    "escalation": "NOT ACKNOWLEDGED",
    "flapping": "FLAPPING",
    "blind": "BLIND",
    "test": "TEST",
}
_RESOLUTION = {
    "recovered": "recovered",
    "ran": "was running, the link was down",
    "removed": "the device was removed",
    "rule_changed": "the rule was changed",
}
_MENTION = str.maketrans({"@": "@\u200b", "<": "‹", ">": "›"})
"""Chats call everybody where a text has @everyone, or <!channel>; names of labels may come from devices."""


class Text(NamedTuple):
    """What is sent to people. `trouble`: why the receiver's own templates were not used; empty where they were."""

    title: str
    body: str
    trouble: str = ""


class Links(NamedTuple):
    """Where people see the alerts and can acknowledge them; empty where the service does not know its address."""

    base: str = ""
    acknowledge: str = ""
    lost: int = 0


def check_templates(receiver: Receiver) -> None:
    """Raises: ValueError: a template of the receiver is wrong."""
    for field, text in (("title", receiver.title_template), ("body", receiver.body_template)):
        try:
            parse_template(text, NAMES)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error


_TITLE, _BODY_OF_ALERTS, _BODY_OF_INCIDENT = (
    parse_template(text, NAMES) for text in (BUILT_IN_TITLE, BUILT_IN_BODY, INCIDENT_BODY)
)


def text_of(message: Message, receiver: Receiver, links: Links) -> Text:
    """Title and body, by the templates of the receiver where it has some."""
    fields, alerts = fields_of(message, links), [_alert_fields(alert, message.at_ns, links) for alert in message.alerts]
    lists = {"alerts": alerts}
    built_in = _TITLE, _BODY_OF_ALERTS if message.cause is None else _BODY_OF_INCIDENT
    trouble = ""
    try:
        title = _own(receiver.title_template, built_in[0]).render(fields, lists)
        body = _own(receiver.body_template, built_in[1]).render(fields, lists)
    except ValueError as error:
        trouble = f"the templates of receiver {receiver.name} could not be used: {error}"
        title, body = (template.render(fields, lists) for template in built_in)
        body = f"{body}\nThis is the built-in text: {trouble}.\n"
    body = re.sub(r"\n{3,}", "\n\n", body.strip())  # parts that are left out leave empty lines
    return Text(" ".join(title.split())[:TITLE_CHARS_MAX], body + "\n", trouble)


def _own(text: str, built_in: Template) -> Template:
    return parse_template(text, NAMES) if text else built_in


def fields_of(message: Message, links: Links) -> Mapping[str, str]:
    """The fields of MESSAGE_FIELDS."""
    status = _STATUS[message.kind]
    return {
        "status": f"{status} {message.severity}" if message.kind in ("firing", "reminder", "escalation") else status,
        "severity": message.severity,
        "what": what_of(message),
        "cause": "" if message.cause is None else _plain(message.cause.explanation.rstrip(".")),
        "firing": str(message.firing),
        "resolved": str(message.resolved),
        "omitted": str(message.omitted) if message.omitted else "",
        "beyond": str(message.beyond) if message.beyond else "",
        "decided_at": format_second(message.at_ns),
        "receiver": message.receiver,
        "url": _url(message, links),
        "acknowledge_url": links.acknowledge,
        "lost": count_text(links.lost, "earlier message") if links.lost else "",
        **{f"group.{name}": _plain(value) for name, value in message.group.items()},
    }


def what_of(message: Message) -> str:
    """What happened, in a sentence without its full stop."""
    if message.kind == "test":
        return "This is a test of the receiver; nothing has happened"
    if message.blind_ns is not None:
        start, end = map(format_second, message.blind_ns)
        return f"fleetpulse did not run from {start} to {end}: nothing is known of that time"
    if message.cause is not None:
        cause = message.cause
        devices = f"{cause.devices} devices of {_plain(cause.label)}={_plain(cause.value)}"
        if message.kind == "resolved":
            of = f"{message.resolved} of {devices}"
            stay = f", {cause.down} stay down" * (cause.down > 0)
            # Those of devices or rules that were removed end, too, though nothing has returned.
            is_back = all(one.resolution in RETURNED for one in message.alerts if one.state == "resolved")
            return (f"{of} have returned" if is_back else f"the alerts of {of} have ended") + stay
        return f"{cause.down} of {devices} are down"
    if len(message.alerts) == 1 and not message.omitted:
        return _one(message.alerts[0], message)
    parts = [f"{count_text(message.firing, 'alert')} firing"] if message.firing else []
    parts += [f"{message.resolved} ended"] if message.resolved else []
    shared = ", ".join(f"{_plain(name)}={_plain(value)}" for name, value in message.group.items() if value)
    return f"{', '.join(parts)} ({shared})" if shared else ", ".join(parts)


def _one(alert: MessageAlert, message: Message) -> str:
    name = f"{_plain(alert.subject)}: {alert.rule}"
    if message.kind == "flapping":
        return f"{name} begins and ends again and again, {count_text(alert.times, 'time')} so far"
    if alert.state == "resolved":
        why = _RESOLUTION.get(alert.resolution, "ended")
        return f"{name} has ended after {_length(alert.resolved_at_ns - alert.since_ns)} ({why})"
    return f"{name} since {format_second(alert.since_ns)}"


def _alert_fields(alert: MessageAlert, at_ns: int, links: Links) -> Mapping[str, str]:
    value = "" if alert.value is None else f"{alert.value:.6g}{' ' if alert.unit else ''}{_plain(alert.unit)}"
    return {
        "subject": _plain(alert.subject),
        "rule": alert.rule,
        "alert": str(alert.number),
        "alert_severity": alert.severity,
        "state": alert.state,
        "since": format_second(alert.since_ns),
        "lasted": _length((alert.resolved_at_ns or at_ns) - alert.since_ns),
        "last_heard": format_second(alert.last_received_ns) if alert.last_received_ns else "",
        "value": value,
        "ended": format_second(alert.resolved_at_ns) if alert.resolved_at_ns else "",
        "resolution": _RESOLUTION.get(alert.resolution, ""),
        "times": f"{alert.times} times" if alert.times > 1 else "",
        "owner": _plain(alert.owner),
        "acknowledged_by": _plain(alert.acknowledged_by),
        "alert_url": f"{links.base}/api/v1/alerts/{alert.number}" if links.base and alert.number else "",
        **{f"label.{name}": _plain(value) for name, value in alert.labels.items()},
        **{f"annotation.{name}": _plain(value) for name, value in alert.annotations.items()},
    }


def _url(message: Message, links: Links) -> str:
    if not links.base or message.kind in ("test", "blind"):
        return ""
    if message.cause is not None:
        return f"{links.base}/api/v1/alerts/incidents/{message.cause.incident}"
    return f"{links.base}/api/v1/alerts"


def _plain(text: str) -> str:
    """A value in one line, that no chat takes for markup that calls people, or for a link with a text of its own."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return line.translate(_MENTION).replace("](", "]\u200b(")


def _length(length_ns: int) -> str:
    return length_text(max(0, length_ns) // NS_PER_S)
