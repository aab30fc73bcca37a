"""Forward mode: alerts are handed to Alertmanager (API v2), which groups, silences and tells people itself.

An alert is one to Alertmanager by its labels alone. It ends at `endsAt`, or when nobody has sent it again for as long
as it was sent to last: `pipeline/deliveries.py` sends what still fires again every `resend_s`, each time until
RESENDS_MISSED such times later, so that a service that is stopped for a moment ends no alert there.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from fleetpulse import __version__
from fleetpulse.alert.receivers.http_post import post
from fleetpulse.alert.receivers.letter import Letter, Terms
from fleetpulse.alert.receivers.outcome import Outcome
from fleetpulse.model.message import Message, MessageAlert
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339

RESENDS_MISSED = 4
PATH = "/api/v2/alerts"
OWN_LABELS = ("alertname", "severity", "subject")


def send(letter: Letter, terms: Terms) -> Outcome:
    """Try once to hand over the alerts of a message. Blocks."""
    alerts = alerts_of(letter.message, at_ns=letter.at_ns, resend_s=terms.resend_s, base=letter.links.base)
    return send_alerts(letter.url, alerts, key=letter.message.key, terms=terms)


def send_alerts(url: str, alerts: Sequence[Mapping[str, Any]], *, key: str, terms: Terms) -> Outcome:
    """Try once to hand over alerts. Blocks."""
    headers = {"Content-Type": "application/json", "User-Agent": f"fleetpulse/{__version__}", "Idempotency-Key": key}
    body = msgspec.json.encode(alerts)
    return post(
        address_of(url),
        body,
        headers,
        timeout_s=terms.timeout_s,
        allows_private=terms.allows_private,
        sockets=terms.sockets,
    )


def address_of(url: str) -> str:
    """The address that takes alerts, of an Alertmanager at `url`, which may name that address already."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(PATH) else path + PATH))


def alerts_of(message: Message, *, at_ns: int, resend_s: float, base: str) -> list[dict[str, Any]]:
    """The alerts of a message as Alertmanager takes them; of an incident one for its label, with how many are down."""
    if message.kind == "test":
        return [_entry({"alertname": "fleetpulse_test", "severity": "info"}, {}, at_ns, at_ns + 60 * NS_PER_S)]
    if message.blind_ns is not None:
        labels = {"alertname": "fleetpulse_blind", "severity": message.severity}
        text = {"summary": "fleetpulse did not run: nothing is known of this time"}
        return [_entry(labels, text, message.blind_ns[0], at_ns + 300 * NS_PER_S)]
    until_ns = at_ns + int(RESENDS_MISSED * resend_s * NS_PER_S)
    found = [_of(alert, until_ns=until_ns, base=base) for alert in message.alerts]
    if message.cause is not None and message.alerts:
        cause = message.cause
        labels = {"alertname": "fleetpulse_incident", "severity": message.severity, _name(cause.label): cause.value}
        text = {"summary": f"{cause.down} of {cause.devices} devices down", "description": cause.explanation}
        address = f"{base}/api/v1/alerts/incidents/{cause.incident}" if base else ""
        since_ns = min(alert.since_ns for alert in message.alerts)
        found.append(_entry(labels, text, since_ns, at_ns if message.kind == "resolved" else until_ns, address))
    return found


def forwarded_of(message: Message) -> dict[int, bytes | None]:
    """What must be sent again until it ends, as JSON by the numbers of alerts; None: it has ended.

    An incident has its number with a minus.
    """
    found: dict[int, bytes | None] = {}
    if message.kind in ("test", "blind"):
        return found
    listed = alerts_of(message, at_ns=message.at_ns, resend_s=0, base="")
    for alert, entry in zip(message.alerts, listed, strict=False):
        found[alert.number] = None if alert.state == "resolved" else msgspec.json.encode(entry)
    if message.cause is not None:
        is_over = message.kind == "resolved" or len(listed) == len(message.alerts)
        found[-message.cause.incident] = None if is_over else msgspec.json.encode(listed[-1])
    return found


def resent(entries: Sequence[dict[str, Any]], *, at_ns: int, resend_s: float) -> list[dict[str, Any]]:
    """The same alerts, which end later now."""
    until = format_rfc3339(at_ns + int(RESENDS_MISSED * resend_s * NS_PER_S))
    return [{**entry, "endsAt": until} for entry in entries]


def _of(alert: MessageAlert, *, until_ns: int, base: str) -> dict[str, Any]:
    labels = {_name(name): value for name, value in alert.labels.items() if value and name not in OWN_LABELS}
    labels |= {"alertname": alert.rule, "severity": alert.severity, "subject": alert.subject}
    text = {_name(name): value for name, value in alert.annotations.items() if value}
    end_ns = alert.resolved_at_ns if alert.state == "resolved" else until_ns
    address = f"{base}/api/v1/alerts/{alert.number}" if base else ""
    return _entry(labels, text, alert.since_ns, max(end_ns, alert.since_ns + 1), address)


def _entry(
    labels: Mapping[str, str], annotations: Mapping[str, str], start_ns: int, end_ns: int, address: str = ""
) -> dict[str, Any]:
    entry = {
        "labels": labels,
        "annotations": annotations,
        "startsAt": format_rfc3339(start_ns),
        "endsAt": format_rfc3339(end_ns),
    }
    return {**entry, "generatorURL": address} if address else entry


def _name(name: str) -> str:
    """A label's name as Prometheus has them: `.` and `-` become `_`."""
    return name.replace(".", "_").replace("-", "_")
