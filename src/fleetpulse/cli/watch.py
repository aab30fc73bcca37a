"""`fleetpulse watch`: what happens in the fleet, as it happens."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cyclopts import App
from msgspec import Struct
from msgspec.json import decode, encode

from fleetpulse.cli.event_source import EventSource, FeedEvent
from fleetpulse.cli.flags import Address
from fleetpulse.cli.terminal import clean
from fleetpulse.cli.watch_picture import Picture, line_of
from fleetpulse.errors import CommandRefused, NotAnswered

ALERTS, ALERTS_READ = "/api/v1/alerts", 20
REDRAWN_S = 0.2
"""The picture is not drawn anew more often, however much happens."""
app = App(name="watch", help_epilogue="Example:\n  fleetpulse watch\n  fleetpulse watch --json")


@app.default
def watch(*, json: bool = False, address: Address = Address()) -> None:
    """Watch the fleet live: devices by status, what changes, and which alerts fire. Ctrl-C ends it.

    On a terminal it is a picture that changes, elsewhere a line for each event.

    Args:
        json: Print each event as a line of JSON.
    """
    source = EventSource(address.client)
    try:
        if json:
            _print_each(source, _as_json)
        elif sys.stdout.isatty():
            _draw(source, address)
        else:
            _print_each(source, line_of)
    except KeyboardInterrupt:
        pass  # which is how it is ended


def _as_json(event: FeedEvent) -> str:
    if event.kind in ("lost", "back"):
        return ""
    body: dict[str, object] = {"event": event.kind, "data": decode(event.data)}
    return encode({"id": event.id, **body} if event.id else body).decode()


def _print_each(source: EventSource, text_of: Callable[[FeedEvent], str]) -> None:
    """Print a line for each event; of the connection on standard error."""
    for event in source.events():
        if event.kind in ("lost", "back"):
            print(_of_connection(event), file=sys.stderr, flush=True)
        elif line := text_of(event):
            print(line, flush=True)


def _of_connection(event: FeedEvent) -> str:
    if event.kind == "back":
        return "the connection is there again"
    return f"the connection has ended, trying again: {clean(event.data.decode())}"


class _Firing(Struct):
    """Of an answer about alerts what is shown."""

    alerts: list[dict[str, Any]]


@dataclass(slots=True)
class _Alerts:
    """Reads which alerts fire, since the feed tells only of changes."""

    address: Address

    def read(self) -> list[dict[str, Any]] | None:
        """Those that fire, the newest first; None where they cannot be read."""
        try:
            with self.address.client() as client:
                return client.get(ALERTS, [("limit", ALERTS_READ)]).into(_Firing).alerts
        except (CommandRefused, NotAnswered):
            return None


def _draw(source: EventSource, address: Address) -> None:
    """Show a picture of the fleet, and keep it true."""
    from rich.live import Live

    picture, alerts, drawn_s = Picture(address.base), _Alerts(address), 0.0
    with Live(auto_refresh=False, vertical_overflow="crop") as live:
        for event in source.events():
            picture.take(event)
            if picture.is_unread:
                picture.take_alerts(alerts.read())
            # Counts come last of each second.
            if event.kind != "transition" or time.monotonic() >= drawn_s + REDRAWN_S:
                drawn_s = time.monotonic()
                live.update(picture.drawn(rows=live.console.size.height), refresh=True)
