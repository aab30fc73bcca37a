"""Receivers and routes: who is told of alerts; and the messages to them."""

from typing import Annotated

import msgspec
from litestar.params import PathParameter
from msgspec import Meta

from fleetpulse.api.parameters import LIMIT_DEFAULT, LIMIT_HIGHEST, query_parameter, read_count
from fleetpulse.api.routes import route
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.receiver_declarations import ReceiverBody, RouteBody, TemplateText, new_receiver, new_route
from fleetpulse.model.outbox import OUTBOX_STATES, OutboxState
from fleetpulse.model.text import NAME_PATTERN
from fleetpulse.pipeline.receiver_desk import ReceiverDesk
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.receiver_answers import (
    AlertReceiver,
    AlertReceivers,
    AlertRoute,
    AlertRoutes,
    Outbox,
    PreviewedText,
    RetriedMessages,
    TestedReceiver,
)

ReceiverNamePath = Annotated[
    str,
    PathParameter(
        description="name of a receiver", schema_extra={"pattern": f"^{NAME_PATTERN}$", "examples": ["hook"]}
    ),
]
RouteNamePath = Annotated[
    str,
    PathParameter(description="name of a route", schema_extra={"pattern": f"^{NAME_PATTERN}$", "examples": ["all"]}),
]


class RetryBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which messages that were given up are to be sent again; one of these."""

    numbers: Annotated[
        list[int | float], Meta(examples=[[17]], extra_json_schema={"items": {"type": "integer"}})  # which 17.0 is, too
    ] = []
    receiver: Annotated[str | None, Meta(description="all of this receiver", examples=[None])] = None
    all: Annotated[bool, Meta(description="all of every receiver", examples=[False])] = False


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which text is to be shown."""

    kind: Annotated[str, Meta(description="of the message", examples=["firing"])] = "firing"
    receiver: Annotated[str | None, Meta(description="by whose templates; null: the built-in ones")] = None
    title: Annotated[TemplateText | None, Meta(description="a template instead of the receiver's")] = None
    body: Annotated[TemplateText | None, Meta(description="a template instead of the receiver's")] = None


@route(
    "GET /api/v1/alerts/receivers",
    group="alerts",
    operation="listReceivers",
    permission="operate",
    scope="whole",
    limit="key",
)
async def get_receivers(receiver_desk: ReceiverDesk) -> AlertReceivers:
    """List all receivers, and how many messages wait for each. URLs and secrets are not shown."""
    return await receiver_desk.all()


@route(
    "GET /api/v1/alerts/receivers/{receiver:str}",
    group="alerts",
    operation="getReceiver",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(404,),
)
async def get_receiver(receiver_desk: ReceiverDesk, receiver: ReceiverNamePath) -> AlertReceiver:
    """Show one receiver."""
    return await receiver_desk.get(receiver)


@route(
    "PUT /api/v1/alerts/receivers/{receiver:str}",
    group="alerts",
    operation="putReceiver",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(422,),
)
async def put_receiver(
    receiver_desk: ReceiverDesk, receivers: Receivers, receiver: ReceiverNamePath, payload: ReceiverBody
) -> AlertReceiver:
    """Declare a receiver, or replace the one of this name as a whole.

    Without `url` and `url_file`, one that there is keeps its own, and its secret: nobody could repeat what no answer
    shows.
    """
    return await receiver_desk.put(new_receiver(receiver, payload, complete=receivers.with_secrets))


@route(
    "DELETE /api/v1/alerts/receivers/{receiver:str}",
    group="alerts",
    operation="deleteReceiver",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def delete_receiver(receivers: Receivers, receiver: ReceiverNamePath) -> Message:
    """Remove a receiver that no route names; messages that wait for it are given up."""
    await receivers.remove_receiver(receiver)
    return Message(f"receiver {receiver} is removed")


@route(
    "POST /api/v1/alerts/receivers/{receiver:str}/test",
    group="alerts",
    operation="testReceiver",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(404,),
)
async def test_receiver(receiver_desk: ReceiverDesk, receiver: ReceiverNamePath) -> TestedReceiver:
    """Send a test message to a receiver at once, and say what came of it."""
    return await receiver_desk.test(receiver)


@route(
    "POST /api/v1/alerts/preview",
    group="alerts",
    operation="previewText",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def preview_text(receiver_desk: ReceiverDesk, payload: PreviewBody) -> PreviewedText:
    """Show the text of an example message by some templates. Nothing is sent."""
    return receiver_desk.preview(payload.kind, receiver=payload.receiver, title=payload.title, body=payload.body)


@route(
    "GET /api/v1/alerts/routes",
    group="alerts",
    operation="listRoutes",
    permission="operate",
    scope="whole",
    limit="key",
)
async def get_routes(receiver_desk: ReceiverDesk) -> AlertRoutes:
    """List the routes that are in effect, in the order in which they are tried."""
    return receiver_desk.routes()


@route(
    "GET /api/v1/alerts/routes/{route:str}",
    group="alerts",
    operation="getRoute",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(404,),
)
async def get_route(receiver_desk: ReceiverDesk, route: RouteNamePath) -> AlertRoute:
    """Show one route."""
    return receiver_desk.route(route)


@route(
    "PUT /api/v1/alerts/routes/{route:str}",
    group="alerts",
    operation="putRoute",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(422,),
)
async def put_route(receiver_desk: ReceiverDesk, route: RouteNamePath, payload: RouteBody) -> AlertRoute:
    """Declare a route, or replace the one of this name as a whole."""
    return await receiver_desk.put_route(new_route(route, payload))


@route(
    "DELETE /api/v1/alerts/routes/{route:str}",
    group="alerts",
    operation="deleteRoute",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404,),
)
async def delete_route(receivers: Receivers, route: RouteNamePath) -> Message:
    """Remove a route. Without any, every receiver is told everything."""
    await receivers.remove_route(route)
    return Message(f"route {route} is removed")


@route(
    "GET /api/v1/alerts/outbox",
    group="alerts",
    operation="listMessages",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(422,),
    is_tagged=False,
)
async def get_outbox(
    *,
    receiver_desk: ReceiverDesk,
    outbox_state: Annotated[
        str, query_parameter("of messages; all where it is not given", name="state", enum=list(OUTBOX_STATES))
    ] = "",
    receiver: Annotated[str | None, query_parameter("name of a receiver", examples=["hook"])] = None,
    limit: Annotated[
        str, query_parameter("how many messages at most", minimum=1, maximum=LIMIT_HIGHEST, default=LIMIT_DEFAULT)
    ] = str(LIMIT_DEFAULT),
    cursor: Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)] = None,
) -> Outbox:
    """List messages to receivers, the newest first: those that wait, and the latest delivered and given-up ones."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Malformed("`cursor` is not the `next_cursor` of a page")
    return await receiver_desk.page(
        state=_state(outbox_state),
        receiver=receiver,
        before=None if cursor is None else int(cursor),
        limit=read_count(limit, LIMIT_HIGHEST),
    )


def _state(text: str) -> OutboxState | None:
    for state in OUTBOX_STATES:
        if text == state:
            return state
    if text:
        raise OutOfRange(f"`state` must be one of {', '.join(OUTBOX_STATES)}", reason="status")
    return None


@route(
    "POST /api/v1/alerts/outbox/retry",
    group="alerts",
    operation="retryMessages",
    permission="operate",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def retry_messages(receiver_desk: ReceiverDesk, payload: RetryBody) -> RetriedMessages:
    """Have messages that were given up sent again."""
    return await receiver_desk.retry(payload.numbers, receiver=payload.receiver, is_all=payload.all)
