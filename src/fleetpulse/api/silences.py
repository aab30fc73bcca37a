"""Silences: of which alerts nobody is told for a while, since people know of them."""

from http import HTTPStatus
from typing import Annotated

from litestar.params import PathParameter

from fleetpulse.api.admission import principal_of
from fleetpulse.api.alerts import name_of, number_in
from fleetpulse.api.parameters import query_parameter, read_truth
from fleetpulse.api.routes import route
from fleetpulse.clock import Clock
from fleetpulse.ingest.alert_decisions import NewSilence, read_silence, read_silence_labels
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.alert_desk import AlertDesk
from fleetpulse.pipeline.seen_alerts import SeenAlerts
from fleetpulse.query.alert_answers import Silence, Silences, describe_silence

SilencePath = Annotated[
    str,
    PathParameter(description="number of a silence", schema_extra={"pattern": "^[1-9][0-9]{0,17}$", "examples": ["3"]}),
]


def read_silence_number(silence: SilencePath) -> int:
    """The number of a silence in the path. Raises: NotFound."""
    return number_in(silence, "a silence")


@route(
    "GET /api/v1/alerts/silences",
    group="alerts",
    operation="listSilences",
    permission="read",
    scope="labels",
    limit="key",
)
async def get_silences(
    *,
    seen_alerts: SeenAlerts,
    ended: Annotated[str, query_parameter("those that have ended, too", default=False)] = "false",
) -> Silences:
    """List silences, the newest first: those that are in effect, or will be."""
    return Silences(seen_alerts.silences(are_ended_included=read_truth("ended", ended)))


@route(
    "POST /api/v1/alerts/silences",
    group="alerts",
    operation="addSilence",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 422),
    status=HTTPStatus.CREATED,
    readers={"principal": principal_of},
)
async def post_silence(
    *, seen_alerts: SeenAlerts, alert_desk: AlertDesk, clock: Clock, principal: Principal | None, payload: NewSilence
) -> Silence:
    """Have nobody told of alerts with these labels for a while; they fire and end as always."""
    read_silence_labels(payload.labels)
    labels = seen_alerts.silence_within(payload.labels)
    now_ns = clock.now_ns()
    silence = read_silence(payload, labels=labels, who=name_of(principal), now_ns=now_ns)
    return describe_silence(await alert_desk.add_silence(silence), now_ns=now_ns)


@route(
    "DELETE /api/v1/alerts/silences/{silence:str}",
    group="alerts",
    operation="endSilence",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404, 409),
    readers={"number": read_silence_number},
)
async def delete_silence(*, seen_alerts: SeenAlerts, alert_desk: AlertDesk, clock: Clock, number: int) -> Silence:
    """End a silence now: people are told of the alerts that still fire."""
    silence = seen_alerts.own_silence(alert_desk.silence(number))
    return describe_silence(await alert_desk.end_silence(silence), now_ns=clock.now_ns())
