"""Alerts and incidents: what is wrong, and what people do about it."""

from functools import partial
from typing import Annotated

from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter

from fleetpulse.api.admission import principal_of
from fleetpulse.api.parameters import (
    LIMIT_DEFAULT,
    LIMIT_HIGHEST,
    TIME_SCHEMA,
    LabelPairs,
    query_parameter,
    read_count,
    read_labels,
    read_moment,
    read_truth,
)
from fleetpulse.api.routes import route
from fleetpulse.clock import Clock
from fleetpulse.errors import Malformed, NotFound, OutOfRange
from fleetpulse.ingest.alert_decisions import (
    Acknowledgement,
    Assignment,
    Comment,
    Snooze,
    read_assignee,
    read_comment,
    read_until,
)
from fleetpulse.model.access import Principal
from fleetpulse.model.alert_filter import ALERT_SELECTIONS, AlertFilter
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.device import ID_CHARS_MAX
from fleetpulse.notation.whole import read_number, whole
from fleetpulse.pipeline.alert_desk import AlertDesk
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.seen_alerts import SeenAlerts
from fleetpulse.query.alert_answers import Alerts, Incident, Incidents, ShownAlert

_NUMBER = {"pattern": "^[1-9][0-9]{0,17}$", "examples": ["17"]}
AlertPath = Annotated[str, PathParameter(description="number of an alert", schema_extra=_NUMBER)]
IncidentPath = Annotated[str, PathParameter(description="number of an incident", schema_extra=_NUMBER)]
LimitQuery = Annotated[
    str, query_parameter("how many are listed at most", minimum=1, maximum=LIMIT_HIGHEST, default=LIMIT_DEFAULT)
]
CursorQuery = Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)]
NS_HIGHEST = 2**62
SOMEBODY = "somebody without a key"
"""Who decides where nobody needs a key."""
OPEN = ("open", "firing")


def number_in(text: str, what: str) -> int:
    """A number in a path. Raises: NotFound: it is none, so there is no such thing."""
    number = read_number(text)
    found = None if number is None else whole(number)
    if found is None or not 1 <= found < NS_HIGHEST:
        raise NotFound(f"`{text[:50]}` is no number of {what}", reason=f"unknown_{what.rpartition(' ')[2]}")
    return found


def read_alert_number(alert: AlertPath) -> int:
    """The number of an alert in the path. Raises: NotFound."""
    return number_in(alert, "an alert")


def read_incident_number(incident: IncidentPath) -> int:
    """The number of an incident in the path. Raises: NotFound."""
    return number_in(incident, "an incident")


def read_cursor(cursor: CursorQuery = None) -> int | None:
    """Where a page begins. Raises: Malformed."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Malformed("`cursor` is not the `next_cursor` of a page")
    return None if cursor is None else int(cursor)


def name_of(principal: Principal | None) -> str:
    """How logs name whoever decides."""
    return SOMEBODY if principal is None else principal.name


def read_alert_filter(
    *,
    registry: Registry,
    labels: LabelPairs,
    alert_state: Annotated[
        str,
        query_parameter(
            "of alerts; `open` are those that are pending or firing, `all` those that ever fired",
            name="state",
            enum=list(ALERT_SELECTIONS),
            default="firing",
        ),
    ] = "firing",
    severity: Annotated[str | None, query_parameter("of alerts", enum=list(SEVERITIES))] = None,
    rule: Annotated[str, query_parameter("name of a rule", examples=["device-offline"])] = "",
    device_id: Annotated[
        list[str] | None,
        query_parameter(
            "id of a device; repeat it for several",
            items=Schema(type=OpenAPIType.STRING, min_length=1, max_length=ID_CHARS_MAX, examples=["press-07"]),
        ),
    ] = None,
    incident: Annotated[str | None, query_parameter("number of an incident", **_NUMBER)] = None,
    acknowledged: Annotated[
        str | None, query_parameter("whether somebody has acknowledged it; of those that fire", examples=["false"])
    ] = None,
    since: Annotated[str | None, query_parameter("fired at this time or later", **TIME_SCHEMA)] = None,
    until: Annotated[str | None, query_parameter("fired before this time", **TIME_SCHEMA)] = None,
) -> AlertFilter:
    """Which alerts. Raises: Malformed; OutOfRange; NotFound; UnknownDevice."""
    if alert_state not in ALERT_SELECTIONS:
        raise OutOfRange(f"`state` must be one of {', '.join(ALERT_SELECTIONS)}", reason="state")
    if severity is not None and severity not in SEVERITIES:
        raise OutOfRange(f"`severity` must be one of {', '.join(SEVERITIES)}", reason="severity")
    if acknowledged is not None and alert_state not in OPEN:
        raise OutOfRange("`acknowledged` is only asked of alerts that fire: with state=firing", reason="acknowledged")
    start_ns, end_ns = read_moment("since", since), read_moment("until", until)
    number_of = partial(registry.number_of, is_deleted_included=True)
    return AlertFilter(
        state=alert_state,
        severity=severity,
        rule=rule,
        devices=None if device_id is None else tuple(map(number_of, device_id)),
        labels=labels,
        incident=0 if incident is None else number_in(incident, "an incident"),
        is_acknowledged=None if acknowledged is None else read_truth("acknowledged", acknowledged),
        since_ns=max(0, start_ns or 0),
        until_ns=NS_HIGHEST if end_ns is None else min(end_ns, NS_HIGHEST),
    )


@route(
    "GET /api/v1/alerts",
    group="alerts",
    operation="listAlerts",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404, 422),
    readers={"labels": read_labels, "chosen": read_alert_filter, "before": read_cursor},
)
async def get_alerts(
    *, seen_alerts: SeenAlerts, chosen: AlertFilter, before: int | None, limit: LimitQuery = str(LIMIT_DEFAULT)
) -> Alerts:
    """List alerts, the newest first; those that fire, unless `state` says otherwise.

    A page of alerts that have ended may be shorter than `limit`: as long as there is a `next_cursor`, there may be
    more.
    """
    return await seen_alerts.page(chosen, before=before, limit=read_count(limit, LIMIT_HIGHEST))


@route(
    "GET /api/v1/alerts/{alert:str}",
    group="alerts",
    operation="getAlert",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404,),
    readers={"number": read_alert_number},
)
async def get_alert(seen_alerts: SeenAlerts, number: int) -> ShownAlert:
    """Show one alert, and its log."""
    return await seen_alerts.show(number)


@route(
    "POST /api/v1/alerts/{alert:str}/acknowledge",
    group="alerts",
    operation="acknowledgeAlert",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 409, 422),
    readers={"number": read_alert_number, "principal": principal_of},
)
async def acknowledge(
    *,
    seen_alerts: SeenAlerts,
    alert_desk: AlertDesk,
    number: int,
    principal: Principal | None,
    payload: Acknowledgement | None = None,
) -> ShownAlert:
    """Say that you take care of an alert: nobody is reminded of it, and it does not escalate.

    When it ends, people are told; if it fires again, nobody has acknowledged that.
    """
    body = payload or Acknowledgement()
    await seen_alerts.check(number)
    await alert_desk.acknowledge(
        number, who=name_of(principal), comment=read_comment(body.comment), is_undone=not body.acknowledged
    )
    return await seen_alerts.show(number)


@route(
    "POST /api/v1/alerts/{alert:str}/assign",
    group="alerts",
    operation="assignAlert",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 409, 422),
    readers={"number": read_alert_number, "principal": principal_of},
)
async def assign(
    *, seen_alerts: SeenAlerts, alert_desk: AlertDesk, number: int, principal: Principal | None, payload: Assignment
) -> ShownAlert:
    """Say who is to take care of an alert."""
    await seen_alerts.check(number)
    await alert_desk.assign(
        number, assignee=read_assignee(payload.assignee), who=name_of(principal), comment=read_comment(payload.comment)
    )
    return await seen_alerts.show(number)


@route(
    "POST /api/v1/alerts/{alert:str}/snooze",
    group="alerts",
    operation="snoozeAlert",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 409, 422),
    readers={"number": read_alert_number, "principal": principal_of},
)
async def snooze(
    *,
    seen_alerts: SeenAlerts,
    alert_desk: AlertDesk,
    clock: Clock,
    number: int,
    principal: Principal | None,
    payload: Snooze,
) -> ShownAlert:
    """Have nobody told of an alert for a while."""
    await seen_alerts.check(number)
    until_ns = read_until(payload.until, payload.for_, start_ns=clock.now_ns())
    await alert_desk.snooze(number, until_ns=until_ns, who=name_of(principal), comment=read_comment(payload.comment))
    return await seen_alerts.show(number)


@route(
    "POST /api/v1/alerts/{alert:str}/comment",
    group="alerts",
    operation="commentAlert",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 422),
    readers={"number": read_alert_number, "principal": principal_of},
)
async def comment(
    *, seen_alerts: SeenAlerts, alert_desk: AlertDesk, number: int, principal: Principal | None, payload: Comment
) -> ShownAlert:
    """Write something into the log of an alert, for others."""
    await seen_alerts.check(number)
    await alert_desk.comment(number, text=read_comment(payload.text, is_needed=True), who=name_of(principal))
    return await seen_alerts.show(number)


@route(
    "GET /api/v1/alerts/incidents",
    group="alerts",
    operation="listIncidents",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={"before": read_cursor},
)
async def get_incidents(
    *, seen_alerts: SeenAlerts, before: int | None, limit: LimitQuery = str(LIMIT_DEFAULT)
) -> Incidents:
    """List incidents, the newest first: alerts with a common cause."""
    return await seen_alerts.incidents(before=before, limit=read_count(limit, LIMIT_HIGHEST))


@route(
    "GET /api/v1/alerts/incidents/{incident:str}",
    group="alerts",
    operation="getIncident",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404,),
    readers={"number": read_incident_number},
)
async def get_incident(seen_alerts: SeenAlerts, number: int) -> Incident:
    """Show one incident; `GET /api/v1/alerts?state=all&incident=…` lists its alerts."""
    return await seen_alerts.incident(number)
