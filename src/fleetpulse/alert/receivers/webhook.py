"""Plain webhooks: a POST with JSON, signed by the secret of the receiver.

    Fleetpulse-Timestamp: 1764268800
    Fleetpulse-Signature: v1=<hex of HMAC-SHA256(secret, "1764268800." + body)>
    Idempotency-Key: the same in every try of this message

The time is part of what is signed, so that a receiver can refuse what somebody recorded and sends again later; it is
that of the try. docs/howto/notifications.md has code that checks it.
"""

import hmac
from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse import __version__
from fleetpulse.alert.message_text import Links
from fleetpulse.alert.receivers.http_post import post
from fleetpulse.alert.receivers.letter import Letter, Terms
from fleetpulse.alert.receivers.outcome import Outcome
from fleetpulse.model.message import Message, MessageAlert
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339

FORM_VERSION = 1


class WebhookAlert(msgspec.Struct, kw_only=True):
    """An alert in the body of a webhook. Times are RFC 3339; null: never, or not yet."""

    number: int
    rule: str
    severity: str
    subject: Annotated[str, Meta(description="a device's id, or a group such as `site=paris`")]
    state: str
    since: str
    fired_at: str | None
    last_received_at: str | None
    resolved_at: str | None
    resolution: str
    value: float | None
    unit: str
    times: int
    labels: dict[str, str]
    annotations: dict[str, str]
    owner: str
    acknowledged_by: str


class WebhookCause(msgspec.Struct, kw_only=True):
    """The likely common cause."""

    incident: int
    label: str
    value: str
    down: int
    devices: int
    explanation: str


class WebhookBody(msgspec.Struct, kw_only=True):
    """The body of a webhook. Fields may be added; `version` changes when one changes its meaning."""

    version: int = FORM_VERSION
    key: Annotated[str, Meta(description="the same in every try, and in no other message")]
    receiver: str
    kind: str
    severity: str
    decided_at: str
    title: str
    text: str
    group: dict[str, str]
    firing: int
    resolved: int
    omitted: int
    alerts: list[WebhookAlert]
    cause: WebhookCause | None
    blind: list[str] | None
    escalation: int
    url: str | None
    acknowledge_url: str | None


def body_of(letter: Letter) -> bytes:
    """The JSON of a message."""
    message, links = letter.message, letter.links
    cause = message.cause
    facts = None if cause is None else WebhookCause(**{name: getattr(cause, name) for name in cause.__struct_fields__})
    return msgspec.json.encode(
        WebhookBody(
            key=message.key,
            receiver=message.receiver,
            kind=message.kind,
            severity=message.severity,
            decided_at=format_rfc3339(message.at_ns),
            title=letter.text.title,
            text=letter.text.body,
            group=message.group,
            firing=message.firing,
            resolved=message.resolved,
            omitted=message.omitted,
            alerts=[_alert(alert) for alert in message.alerts],
            cause=facts,
            blind=None if message.blind_ns is None else [format_rfc3339(at_ns) for at_ns in message.blind_ns],
            escalation=message.escalation,
            url=_url(message, links),
            acknowledge_url=links.acknowledge or None,
        )
    )


def send(letter: Letter, terms: Terms) -> Outcome:
    """Try once. Blocks."""
    body = body_of(letter)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"fleetpulse/{__version__}",
        "Idempotency-Key": letter.message.key,
        **signature(body, letter.secret, at_s=letter.at_ns // NS_PER_S),
    }
    return post(
        letter.url, body, headers, timeout_s=terms.timeout_s, allows_private=terms.allows_private, sockets=terms.sockets
    )


def signature(body: bytes, secret: str, *, at_s: int) -> dict[str, str]:
    """The headers that prove who sent this body, and when; none without a secret."""
    if not secret:
        return {"Fleetpulse-Timestamp": str(at_s)}
    code = hmac.new(secret.encode(), f"{at_s}.".encode() + body, "sha256").hexdigest()
    return {"Fleetpulse-Timestamp": str(at_s), "Fleetpulse-Signature": f"v1={code}"}


def _alert(alert: MessageAlert) -> WebhookAlert:
    return WebhookAlert(
        number=alert.number,
        rule=alert.rule,
        severity=alert.severity,
        subject=alert.subject,
        state=alert.state,
        since=format_rfc3339(alert.since_ns),
        fired_at=_time(alert.fired_at_ns),
        last_received_at=_time(alert.last_received_ns),
        resolved_at=_time(alert.resolved_at_ns),
        resolution=alert.resolution,
        value=alert.value,
        unit=alert.unit,
        times=alert.times,
        labels=alert.labels,
        annotations=alert.annotations,
        owner=alert.owner,
        acknowledged_by=alert.acknowledged_by,
    )


def _time(at_ns: int) -> str | None:
    return format_rfc3339(at_ns) if at_ns else None


def _url(message: Message, links: Links) -> str | None:
    if not links.base:
        return None
    if message.cause is not None:
        return f"{links.base}/api/v1/alerts/incidents/{message.cause.incident}"
    return f"{links.base}/api/v1/alerts"
