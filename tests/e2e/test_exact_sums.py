"""Sums and averages are exact over the real command: any order and split, live, after restarts and compaction."""

import json
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from conftest import PUBLISHED, Server
from http_client import Client

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
VALUES: dict[str, list[float]] = {
    "constant": [21.7] * 1_440,
    "cancelling": [1e16, 1.0, -1e16],
    "large": [1.7e308] * 3,
    "tiny": [5e-324, 5e-324, 1.5e-323],
    "readings": [round(random.Random(1).gauss(20, 5), 1) for _ in range(1_000)],
}
PIECES = 4

WAIT_S = 60


def body_of(events: list[tuple[str, int, float]]) -> bytes:
    """A bulk body; an event is the name of a metric, the minutes since START and a value."""
    lines = [
        {
            "device_id": PUBLISHED[0],
            "sent_at": (START + timedelta(minutes=minute)).isoformat(),
            "metrics": {name: value},
        }
        for name, minute, value in events
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def expected(name: str, aggregation: str) -> float | None:
    exact = sum(map(Fraction, VALUES[name]), Fraction(0))
    try:
        return float(exact if aggregation == "sum" else exact / len(VALUES[name]))
    except OverflowError:
        return None


def check(port: int) -> set[str]:
    """Every figure, of the device and of the fleet. Returns: the tiers that were read."""
    client = Client(port)
    tiers: set[str] = set()
    window = f"from={START:%Y-%m-%dT%H:%M:%SZ}&to={START + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    for aggregation in ("sum", "avg", "min", "max"):
        query = f"types={','.join(VALUES)}&aggregation={aggregation}&{window}"
        device: dict[str, Any] = client.ask("GET", f"{DEVICE}/metrics?{query}")[1]["metrics"]
        stepped = client.ask("GET", f"{DEVICE}/metrics?{query}&step=1d")[1]["metrics"]
        fleet = client.ask("GET", f"/api/v1/fleet/metrics?{query}")[1]
        for name, values in VALUES.items():
            right = {"min": min(values), "max": max(values)}.get(aggregation) or expected(name, aggregation)
            assert (device[name]["value"], device[name]["count"]) == (right, len(values)), name
            assert [point["value"] for point in stepped[name]["series"]] == [right]
            assert fleet["groups"][0]["metrics"][name]["value"] == right
            assert ("beyond the largest double" in device[name].get("note", "")) is (right is None)
            tiers.update(device[name]["tiers"])
    client.close()
    return tiers


def test_every_order_and_split_gives_the_figures_of_a_plain_list(serve: Callable[..., Server]) -> None:
    events = [(name, minute, value) for name, values in VALUES.items() for minute, value in enumerate(values)]
    random.Random(2).shuffle(events)
    for piece in range(PIECES):
        server = serve("--auto-define")
        client = Client(server.port)
        assert client.ask("POST", "/api/v1/events", body_of(events[piece::PIECES]))[0] == 200
        client.close()
        if piece == PIECES - 1:
            assert "live" in check(server.port)
        server.stop(signal.SIGKILL if piece == 1 else signal.SIGTERM)
    server = serve("--auto-define", "--checkpoint-s", "0.1")
    client, deadline_s, tiers = Client(server.port), time.monotonic() + WAIT_S, set[str]()
    while not tiers & {"hour", "day"}:
        assert time.monotonic() < deadline_s, tiers
        client.ask("POST", f"{DEVICE}/metrics", {"sent_at": datetime.now(UTC).isoformat(), "metrics": {"other": 1.0}})
        tiers = check(server.port)
    client.close()
