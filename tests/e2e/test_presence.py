"""What marks presence: heartbeats and reports of metrics, on every way in, live and after a kill; no upload times."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

AT = "2026-01-05T07:0{}:30Z"
WINDOW = "from=2026-01-05T07:00:00Z&to=2026-01-05T07:05:00Z"


def post(client: Client, path: str, body: object, *, is_bulk: bool) -> None:
    if is_bulk:
        line = {"device_id": path.split("/")[4], **dict(body)}  # type: ignore[call-overload]  # every body is a dict
        status, answer = client.ask("POST", "/api/v1/events", line)
        assert (status, answer["refused_total"]) == (200, 0), answer
    else:
        assert client.ask("POST", path, body) == (204, None)


def figures(client: Client, device: str) -> tuple[float, float, float, int]:
    """Lifetime uptime, seconds up and accountable of the window, and the count of heartbeats."""
    stats = client.ask("GET", f"/api/v1/devices/{device}/stats")[1]
    uptime = client.ask("GET", f"/api/v1/devices/{device}/uptime?{WINDOW}")[1]
    audit = client.ask("GET", f"/api/v1/devices/{device}/audit")[1]
    return stats["uptime"], uptime["up_s"], uptime["accountable_s"], audit["heartbeats"]


@pytest.mark.parametrize("way", ["front door", "handed over", "bulk"])
def test_a_report_of_metrics_is_presence_and_an_upload_time_is_not(
    serve: Callable[..., Server], tmp_path: Path, way: str
) -> None:
    (tmp_path / "metrics.json").write_text('[{"name": "load"}, {"name": "boots", "kind": "integer"}]')
    flags = ("--metrics", str(tmp_path / "metrics.json"))
    server = serve(*flags)
    client = Client(server.port)
    if way != "front door":
        assert client.ask("GET", "/") == (200, "OK.")
    reporting, uploading, both = (f"/api/v1/devices/{device}" for device in PUBLISHED[:3])
    is_bulk = way == "bulk"
    for minute in (0, 1, 1, 4):
        body = {"sent_at": AT.format(minute), "metrics": {"load": 0.5, "boots": 3}}
        post(client, f"{reporting}/metrics", body, is_bulk=is_bulk)
    for minute in range(5):
        body = {"sent_at": AT.format(minute), "upload_time": 9}
        post(client, f"{uploading}/stats", body, is_bulk=is_bulk)
        body = {"sent_at": AT.format(minute), "metrics": {"upload_time": 9}}
        post(client, f"{uploading}/metrics", body, is_bulk=is_bulk)
    post(client, f"{both}/heartbeat", {"sent_at": AT.format(0)}, is_bulk=is_bulk)
    mixed = {"sent_at": AT.format(4), "metrics": {"upload_time": 9, "load": 0.1}}
    post(client, f"{both}/metrics", mixed, is_bulk=is_bulk)
    # The window ends 30 s after the last beats; a minute is up after each beat, and down from then on until the next.
    expected = [(75.0, 150.0, 270.0, 0), (0.0, 0.0, 0.0, 0), (50.0, 90.0, 270.0, 1)]
    assert [figures(client, device) for device in PUBLISHED[:3]] == expected
    fleet = client.ask("GET", f"/api/v1/fleet/uptime?{WINDOW}")[1]["groups"][0]
    assert (fleet["up_s"], fleet["accountable_s"]) == (240.0, 540.0)
    client.close()
    server.stop(signal.SIGKILL)
    server = serve(*flags)
    client = Client(server.port)
    assert [figures(client, device) for device in PUBLISHED[:3]] == expected
    client.close()
    assert server.stop() == 0
    client = Client(serve(*flags).port)
    assert [figures(client, device) for device in PUBLISHED[:3]] == expected
    client.close()
