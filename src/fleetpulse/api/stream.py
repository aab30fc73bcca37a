"""The live feed as server-sent events: what changes in the fleet, as it changes."""

from typing import Any

from fleetpulse.access.credentials import shown_in
from fleetpulse.access.gate import Gate, Shown
from fleetpulse.api.admission import client_address, principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.event_stream import EVENT_STREAM, EventStream
from fleetpulse.api.routes import Media, route
from fleetpulse.errors import NotAcceptable
from fleetpulse.ingest.accept import accepts, refuses_identity
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.feed_channel import Stream
from fleetpulse.pipeline.live_feed import LiveFeed

_MEDIA = Media(
    EVENT_STREAM,
    "server-sent events, without an end: transition, alert, counts, omitted, missed and end, each with JSON as its "
    "data; see docs/howto/watch-the-fleet.md",
    example=(
        "id: 5f0c3a9e1b22-41\n"
        "event: transition\n"
        'data: {"at":"2026-11-24T08:30:00Z","device_id":"press-07","from":"late","to":"down",'
        '"since":"2026-11-24T08:29:59Z"}\n\n'
    ),
)
_HEADERS = {b"cache-control": b"no-store, no-transform", b"x-accel-buffering": b"no"}
"""No cache may keep it, no proxy compress it, and nginx must hand each event on at once."""


def read_stream(request: AnyRequest, live_feed: LiveFeed, gate: Gate, principal: Principal | None) -> Stream:
    """The stream of whoever asks. Raises: NotAcceptable; Busy; NotAccepting."""
    headers: Any = request.headers
    if not accepts(", ".join(headers.getall("accept", [])), EVENT_STREAM):
        raise NotAcceptable(f"this is answered as {EVENT_STREAM}, which Accept refuses")
    if refuses_identity(", ".join(headers.getall("accept-encoding", []))):
        raise NotAcceptable("the live feed is not compressed, and Accept-Encoding refuses it as it is")
    shown = shown_in(request.scope["headers"]) if gate.is_protected else Shown()
    last_event_id = headers.get("last-event-id")
    return live_feed.open(principal, shown, address=client_address(request), last_event_id=last_event_id)


@route(
    "GET /api/v1/stream",
    group="questions",
    operation="stream",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(406,),
    media=(_MEDIA,),
    readers={"stream": read_stream, "principal": principal_of},
    is_tagged=False,
    headers=_HEADERS,
)
async def get_stream(live_feed: LiveFeed, stream: Stream) -> EventStream:
    """Watch the fleet live: changes of status, alerts, and how many devices there are by status.

    The answer goes on until the client leaves. Whoever was cut off asks again with the header `Last-Event-ID`, and gets
    what came meanwhile, or an event `missed`.
    """
    return EventStream(live_feed, stream)
