"""The live feed as a client reads it: event by event, on a new connection where one ends, and without a hole unsaid."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from fleetpulse.cli.client import Client
from fleetpulse.errors import CommandRefused, NotAnswered

STREAM = "/api/v1/stream"
SILENT_S = 45.0
"""A connection on which nothing comes for so long is dead: counts come every 15 s at least."""
WAIT_FIRST_S, WAIT_MOST_S = 1.0, 30.0
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY, 504)
"""Refusals that may be none a while later."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event: its kind, its data as JSON, and its id, which may be empty.

    The kinds `lost` and `back` are not of the service: the connection has ended, and why; and it is there again.
    """

    kind: str
    data: bytes
    id: str = ""


@dataclass(slots=True)
class EventParser:
    """Makes events of bytes as they come."""

    _rest: bytes = b""

    def feed(self, piece: bytes) -> Iterator[FeedEvent]:
        """The events that are complete with these bytes."""
        *frames, self._rest = (self._rest + piece).split(b"\n\n")
        for frame in frames:
            values = dict(line.partition(b": ")[::2] for line in frame.split(b"\n"))
            if b"event" in values:
                yield FeedEvent(values[b"event"].decode(), values.get(b"data", b""), values.get(b"id", b"").decode())


@dataclass(slots=True)
class EventSource:
    """Reads the live feed, for ever."""

    new_client: Callable[[], Client]
    wait: Callable[[float], None] = time.sleep
    last_id: str = field(default="", init=False)
    """Of the last event that has come."""

    def events(self) -> Iterator[FeedEvent]:
        """Events as they come. Raises: NotAnswered: the first connection cannot be made; CommandRefused."""
        wait_s, was_there, is_lost = WAIT_FIRST_S, False, False
        while True:
            why = "the service ended the stream"
            try:
                for event in self._of_one_connection():
                    if is_lost:
                        yield FeedEvent("back", b"")
                    wait_s, was_there, is_lost = WAIT_FIRST_S, True, False
                    yield event
            except NotAnswered as error:
                if not was_there:
                    raise
                why = str(error)
            except CommandRefused as error:
                if not was_there or error.status not in _LATER:
                    raise
                why = str(error)
            if not is_lost:
                is_lost = True
                yield FeedEvent("lost", why.encode())
            self.wait(wait_s)
            wait_s = min(2 * wait_s, WAIT_MOST_S)

    def _of_one_connection(self) -> Iterator[FeedEvent]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        parser = EventParser()
        with self.new_client() as client:
            for piece in client.stream(STREAM, headers=headers, silent_s=SILENT_S):
                for event in parser.feed(piece):
                    self.last_id = event.id or self.last_id
                    yield event
