"""The live feed as a client reads it: events in pieces, connections that end, and where to go on."""

from collections.abc import Iterator, Sequence
from typing import Any, Self, cast

import pytest

from fleetpulse.cli.client import Client
from fleetpulse.cli.event_source import EventParser, EventSource, FeedEvent
from fleetpulse.errors import CommandRefused, NotAnswered


class Connections:
    """Clients one after another: each gives its pieces, and then fails or ends."""

    def __init__(self, *scripts: Sequence[bytes | Exception]) -> None:
        self.scripts, self.resumed_after = list(scripts), list[str | None]()
        self.waits: list[float] = []

    def __call__(self) -> Client:
        return cast("Client", self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def stream(self, path: str, *, headers: dict[str, str], silent_s: float) -> Iterator[bytes]:
        assert (path, headers["Accept"]) == ("/api/v1/stream", "text/event-stream")
        assert silent_s > 15, "longer than the service is silent"
        self.resumed_after.append(headers.get("Last-Event-ID"))
        if not self.scripts:
            raise KeyboardInterrupt
        for piece in self.scripts.pop(0):
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def source(self) -> EventSource:
        return EventSource(self, self.waits.append)


def collected(source: EventSource) -> list[str]:
    """The kinds of all events, until the connections are used up."""
    found: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(event.kind for event in source.events())
    return found


ONE = b'id: a-1\nevent: counts\ndata: {"total":1}\n\n'
TWO = b"id: a-2\nevent: transition\ndata: {}\n\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_events_are_whole_however_their_bytes_come(size: int) -> None:
    parser, text = EventParser(), b"retry: 2000\n\n: a comment\n\n" + ONE + TWO
    events = [event for at in range(0, len(text), size) for event in parser.feed(text[at : at + size])]
    assert events == [FeedEvent("counts", b'{"total":1}', "a-1"), FeedEvent("transition", b"{}", "a-2")]


def test_a_new_connection_goes_on_after_the_last_whole_event() -> None:
    connections = Connections([ONE, TWO[:-5], NotAnswered("broke off")], [TWO])
    assert collected(connections.source()) == ["counts", "lost", "back", "transition", "lost"]
    assert connections.resumed_after == [None, "a-1", "a-2"]


def test_it_waits_longer_each_time_until_events_come() -> None:
    down = [NotAnswered("refused")]
    connections = Connections([ONE], down, down, [CommandRefused("too many", status=503)], [TWO], down)
    assert collected(connections.source()) == ["counts", "lost", "back", "transition", "lost"]
    assert connections.waits == [1, 2, 4, 8, 1, 2]


def test_the_end_that_the_service_announces_is_no_error() -> None:
    connections = Connections([ONE, b'event: end\ndata: {"reason":"stopping"}\n\n'], [TWO])
    assert collected(connections.source()) == ["counts", "end", "lost", "back", "transition", "lost"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([NotAnswered("nobody listens")], NotAnswered),
        ([CommandRefused("no key", status=401)], CommandRefused),
        ([CommandRefused("too many", status=503)], CommandRefused),
    ],
)
def test_the_first_connection_must_be_made(script: list[Exception], error: type[BaseException]) -> None:
    source = Connections(script).source()
    with pytest.raises(error):
        next(source.events())


def test_a_key_that_is_not_valid_any_more_ends_it() -> None:
    connections = Connections([ONE], [CommandRefused("the key was revoked", status=401)])
    events: Iterator[Any] = connections.source().events()
    assert [next(events).kind for _ in range(2)] == ["counts", "lost"]
    with pytest.raises(CommandRefused):
        next(events)
