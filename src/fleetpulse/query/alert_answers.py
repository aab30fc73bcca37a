"""The shape of answers about alerts, incidents and silences."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from fleetpulse.ingest.alert_declarations import AnnotationTexts, OwnerText, SeverityText
from fleetpulse.model import alert as model
from fleetpulse.model.alert import AlertState, Resolution
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Labels, Time

AlertNumber = Annotated[int, Meta(ge=1, examples=[17])]
NextCursor = Annotated[str | None, Meta(description="`cursor` of the next page; null: that was all", examples=[None])]
Who = Annotated[str, Meta(description="who it was; empty: the service", examples=["alice"])]


class LogEntry(Struct):
    """What happened to an alert, or what somebody did or wrote."""

    at: Time
    action: Annotated[str, Meta(examples=["acknowledged"])]
    who: Who
    text: Annotated[str, Meta(examples=["on my way"])]


class Alert(Struct, kw_only=True):
    """An alert: what is true, or was, of one rule and one subject."""

    number: Annotated[AlertNumber | None, Meta(description="null: it is pending, and has not fired")]
    rule: Annotated[str, Meta(examples=["device-offline"])]
    severity: SeverityText
    state: Annotated[AlertState, Meta(examples=["firing"])]
    subject: Annotated[
        str, Meta(description="id of a device, or a group: `site=paris`, `fleet`, `service`", examples=["press-07"])
    ]
    device_id: Annotated[str | None, Meta(description="null: it is about a group", examples=["press-07"])]
    labels: Labels
    since: Annotated[Time, Meta(description="since when the condition is true, or was")]
    first_fired_at: Time | None
    fired_at: Annotated[Time | None, Meta(description="when it fired last")]
    resolved_at: Time | None
    resolution: Annotated[
        Resolution,
        Meta(
            description="why it ended: `ran`: the device was running, and its link was down; empty: it has not ended",
            examples=["recovered"],
        ),
    ]
    value: Annotated[float | None, Meta(description="the figure of the condition, where it has one", examples=[93.5])]
    unit: Annotated[str, Meta(examples=["%"])]
    times: Annotated[Count, Meta(description="how often it has fired", examples=[1])]
    flapping: Annotated[
        bool, Meta(description="it fires again and again, and is told of once until it was quiet", examples=[False])
    ]
    withheld: Annotated[
        bool, Meta(description="maintenance or a pause say nothing of it now, so it stays as it is", examples=[False])
    ]
    incident: Annotated[int | None, Meta(description="the incident that it belongs to", examples=[None])]
    acknowledged_by: Annotated[str | None, Meta(examples=["alice"])]
    acknowledged_at: Time | None
    assignee: Annotated[str | None, Meta(examples=["bob"])]
    snoozed_until: Time | None
    owner: OwnerText
    annotations: AnnotationTexts


class ShownAlert(Alert, kw_only=True):
    """An alert with its log."""

    log: Annotated[list[LogEntry], Meta(description="oldest entries first")]


class Alerts(Struct):
    """Alerts, the newest first, and how many fire at the moment."""

    alerts: list[Alert]
    firing: Annotated[Count, Meta(description="how many alerts fire that you may see, whatever was asked for")]
    beyond: Annotated[
        Count, Meta(description="how many more there would be, beyond alerts_open_max; of all devices", examples=[0])
    ]
    next_cursor: NextCursor


class Silence(Struct, kw_only=True):
    """Nobody is told of alerts that have all of these labels."""

    number: AlertNumber
    labels: Annotated[Labels, Meta(description="also `rule`, `severity` and `device` are names here")]
    start: Time
    end: Time
    state: Annotated[str, Meta(description="`waiting`, `active` or `ended`", examples=["active"])]
    comment: Annotated[str, Meta(examples=["new switch in hall 2"])]
    created_by: Who
    created_at: Time


class Silences(Struct):
    """Silences, the newest first."""

    silences: list[Silence]


class Incident(Struct, kw_only=True):
    """Alerts that began together, of devices that share the value of a label."""

    number: AlertNumber
    rule: Annotated[str, Meta(examples=["device-offline"])]
    severity: SeverityText
    label: Annotated[str, Meta(examples=["site"])]
    value: Annotated[str, Meta(examples=["paris"])]
    started_at: Time
    ended_at: Time | None
    devices: Annotated[Count, Meta(description="how many devices have that value", examples=[120])]
    members: Annotated[Count, Meta(description="how many alerts have belonged to it", examples=[118])]
    explanation: Annotated[
        str,
        Meta(
            description="why this label was chosen",
            examples=["118 of the 120 devices with site:paris went down within 20 s"],
        ),
    ]


class Incidents(Struct):
    """Incidents, the newest first."""

    incidents: list[Incident]
    next_cursor: NextCursor


def describe_alert(
    alert: model.Alert,
    decision: model.AlertDecision | None,
    *,
    device_id: str | None,
    labels: Mapping[str, str],
    figure: tuple[float | None, str],
    owner: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Alert:
    """An alert as people see it. Args: figure: its value, and the unit of that."""
    decided = decision or model.AlertDecision(alert.number)
    return Alert(
        number=alert.number or None,
        rule=alert.rule,
        severity=alert.severity,
        state=alert.state,
        subject=alert.group if device_id is None else device_id,
        device_id=device_id,
        labels=dict(labels),
        since=format_rfc3339(alert.since_ns),
        first_fired_at=_time(alert.first_fired_at_ns),
        fired_at=_time(alert.fired_at_ns),
        resolved_at=_time(alert.resolved_at_ns),
        resolution=alert.resolution,
        value=figure[0],
        unit=figure[1],
        times=alert.times,
        flapping=alert.is_flapping,
        withheld=alert.is_withheld,
        incident=alert.incident or None,
        acknowledged_by=decided.acknowledged_by or None,
        acknowledged_at=_time(decided.acknowledged_at_ns),
        assignee=decided.assignee or None,
        snoozed_until=_time(decided.snoozed_until_ns),
        owner=owner,
        annotations=dict(annotations or {}),
    )


def describe_log(alert: model.Alert, notes: Sequence[model.AlertNote]) -> list[LogEntry]:
    """What happened to an alert, oldest first: what its row says, and its notes."""
    row = [(alert.first_fired_at_ns, "fired"), (alert.resolved_at_ns, "resolved")]
    entries = [(at_ns, LogEntry(format_rfc3339(at_ns), action, "", "")) for at_ns, action in row if at_ns]
    entries += [(note.at_ns, LogEntry(format_rfc3339(note.at_ns), note.action, note.who, note.text)) for note in notes]
    return [entry for _, entry in sorted(entries, key=lambda entry: entry[0])]


def describe_silence(silence: model.Silence, *, now_ns: int) -> Silence:
    """A silence as people see it."""
    state = "waiting" if now_ns < silence.start_ns else "active" if now_ns < silence.end_ns else "ended"
    return Silence(
        number=silence.number,
        labels=dict(silence.labels),
        start=format_rfc3339(silence.start_ns),
        end=format_rfc3339(silence.end_ns),
        state=state,
        comment=silence.comment,
        created_by=silence.created_by,
        created_at=format_rfc3339(silence.created_at_ns),
    )


def describe_incident(incident: model.Incident) -> Incident:
    """An incident as people see it."""
    return Incident(
        number=incident.number,
        rule=incident.rule,
        severity=incident.severity,
        label=incident.label,
        value=incident.value,
        started_at=format_rfc3339(incident.started_at_ns),
        ended_at=_time(incident.ended_at_ns),
        devices=incident.devices,
        members=incident.members,
        explanation=incident.explanation,
    )


def _time(at_ns: int) -> str | None:
    return format_rfc3339(at_ns) if at_ns else None
