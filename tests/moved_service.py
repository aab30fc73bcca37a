"""A service with a life behind it, for tests that move it, and what it answers before and afterwards."""

import signal
from collections.abc import Callable

from conftest import PUBLISHED, Server
from http_client import Client

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
QUESTIONS = (
    f"{DEVICE}/stats",
    f"{DEVICE}/uptime?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z",
    "/api/v1/maintenance",
)


def answers_of(server: Server) -> list[object]:
    """What a server answers of what does not change by itself, and the ids of its devices."""
    client = Client(server.port)
    try:
        devices = client.ask("GET", "/api/v1/devices")[1]["devices"]
        return [[device["id"] for device in devices], *(client.ask("GET", question) for question in QUESTIONS)]
    finally:
        client.close()


def lived(serve: Callable[..., Server]) -> tuple[Server, list[object]]:
    """A service with history and declarations, stopped, and what it answered."""
    server = serve("--auto-define")
    client = Client(server.port)
    for minute in (0, 1, 7):
        assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": f"2026-01-01T00:0{minute}:00Z"})[0] == 204
    window = {"start": "2026-01-01T00:03:00Z", "end": "2026-01-01T00:05:00Z", "devices": [PUBLISHED[0]]}
    assert client.ask("POST", "/api/v1/maintenance", window)[0] in {200, 201}
    client.close()
    answers = answers_of(server)
    assert server.stop(signal.SIGTERM) == 0
    return server, answers
