"""What retention takes stays known over the real command, after it is raised again."""

import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import PUBLISHED, Server
from http_client import Client

DEVICES = [f"/api/v1/devices/{device}" for device in PUBLISHED[:2]]
START = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=5)
DEFINITION = "/api/v1/metrics/definitions/cpu"
WAIT_S = 60
SECONDS = itertools.count()


def post(client: Client, *, days: int, count: int, first: int = 0) -> None:
    """So many samples of each device, a second apart, of a day after START, from second `first` on."""
    events = [
        {
            "device_id": device,
            "sent_at": (START + timedelta(days=days, seconds=second)).isoformat(),
            "metrics": {"cpu": 1},
        }
        for device in PUBLISHED[:2]
        for second in range(first, first + count)
    ]
    assert client.ask("POST", "/api/v1/events", "\n".join(map(json.dumps, events)).encode())[0] == 200


def ask(client: Client, query: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metric of the first device, and how the fleet's was made, with its count."""
    device = client.ask("GET", f"{DEVICES[0]}/metrics?types=cpu&aggregation=count&{query}")[1]["metrics"]["cpu"]
    fleet = client.ask("GET", f"/api/v1/fleet/metrics?types=cpu&aggregation=count&{query}")[1]
    return device, {**fleet["metrics"]["cpu"], **fleet["groups"][0]["metrics"]["cpu"]}


def wait_until(client: Client, is_reached: Callable[[], bool]) -> None:
    """Until checkpoints and compaction, which follow what comes in, have done their work."""
    deadline_s = time.monotonic() + WAIT_S
    while not is_reached():
        assert time.monotonic() < deadline_s
        post(client, days=4, count=1, first=next(SECONDS))


def text(**after_start: int) -> str:
    return f"{START + timedelta(**after_start):%Y-%m-%dT%H:%M:%SZ}"


def test_what_a_short_retention_has_deleted_is_counted_and_what_an_edge_cuts_counts_whole(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps([{"name": "cpu", "retention_days": 30}]))
    server = serve("--metrics", str(tmp_path / "metrics.json"), "--checkpoint-s", "0.1", "--retention-grace-s", "0")
    client = Client(server.port)
    for days, count in ((0, 70), (1, 80), (2, 90)):
        post(client, days=days, count=count)
    week = f"from={text(days=-1)}"
    assert [metric.get("expired") for metric in ask(client, week)] == [None, None]

    assert client.ask("PATCH", DEFINITION, {"retention_days": 3, "raw_days": 1})[0] == 200
    wait_until(client, lambda: ask(client, week)[0].get("expired") == 300)
    cut = f"from={text(days=2, seconds=17)}&to={text(days=2, seconds=50)}"
    wait_until(client, lambda: ask(client, cut)[0]["tiers"] == ["minute"])
    assert client.ask("PATCH", DEFINITION, {"retention_days": 365, "raw_days": 365})[0] == 200
    for metric in ask(client, week):
        assert metric["expired"] == 300
        assert metric["kept_from"] == f"{text(days=2)[:10]}T00:00:00Z"
        assert "300 samples" in metric["note"]

    for metric, devices in zip(ask(client, cut), (1, 2), strict=True):
        assert metric["count"] == 60 * devices
        assert f"figures are of {text(days=2)} to {text(days=2, minutes=1)}" in metric["note"]
    client.close()
