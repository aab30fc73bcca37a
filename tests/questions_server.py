"""A server of a few devices and metrics, for the tests of reports, questions and declarations."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

API = "/api/v1"
DEVICE = f"{API}/devices/{PUBLISHED[0]}"
METRICS = [
    {"name": "cpu", "aggregation": "avg", "retention_days": 30},
    {"name": "memory", "aggregation": "max", "retention_days": 7},
    {"name": "boots", "kind": "integer", "bounds": [0, None]},
]
DEEP = b'{"sent_at": ' + b"[" * 100_000
LINE = {"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("questions")
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    server = Server(folder / "data", "--metrics", str(folder / "metrics.json"))
    yield server
    assert server.stop() == 0
    assert "by a defect of ours" not in server.log.read_text()


@pytest.fixture(name="client")
def client_fixture(server: Server) -> Iterator[Client]:
    client = Client(server.port)
    yield client
    client.close()


def raw(client: Client, path: str) -> tuple[int, str, bytes]:
    """(status, content type, body) of a GET whose answer is no JSON."""
    client.connection.request("GET", path)
    response = client.connection.getresponse()
    return response.status, response.headers["content-type"], response.read()


def import_csv(client: Client, text: str, query: str = "") -> tuple[int, dict[str, object]]:
    return client.ask("POST", f"{API}/devices.csv{query}", text.encode(), Content_Type="text/csv")


def ago(**of: float) -> str:
    return (datetime.now(UTC) - timedelta(**of)).isoformat()
