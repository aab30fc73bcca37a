"""What a deletion does to a device's pause, status and uptime, over the real command and a kill."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from conftest import PUBLISHED, Server
from http_client import Client

PATH = f"/api/v1/devices/{PUBLISHED[0]}"


def test_a_pause_ends_with_its_device_and_one_declared_again_is_not_paused_and_not_down(
    serve: Callable[..., Server],
) -> None:
    server = serve()
    client = Client(server.port)
    long_ago = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    assert client.ask("POST", f"{PATH}/heartbeat", {"sent_at": long_ago})[0] == 204
    assert client.ask("POST", f"{PATH}/pause", {})[1]["status"] == "paused"
    assert client.ask("DELETE", PATH)[0] == 200
    assert client.ask("GET", PATH)[0] == 404
    client.close()
    server.stop(signal.SIGKILL)
    server = serve()
    client = Client(server.port)
    assert client.ask("POST", "/api/v1/devices", {"id": PUBLISHED[0], "interval": "1s", "grace": "2s"})[0] == 201
    device = client.ask("GET", PATH)[1]
    assert device["status"] != "paused"
    explained = client.ask("GET", f"{PATH}/uptime?window=1h&explain=true")[1]
    assert {"paused", "deleted"} >= {interval["reason"] for interval in explained["intervals"]} & {"paused", "deleted"}
    client.close()
