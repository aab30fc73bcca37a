"""Limits that are settings: what is just within passes, one more is refused by the name of its setting."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import zstandard

from conftest import Server
from http_client import Client

WINDOW = "from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"
LINE = b'{"device_id":"a","sent_at":"2026-01-01T00:00:00Z"}\n'
EVENTS = "/api/v1/events"
CSV, BAD_RECORD = b"device_id,note\nd,n\n", b'e,"f"g\n'


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A setting, a request that it lets pass, one that it does not, and how that is refused.

    Attributes:
        reason: of the refusal; "" where only a line is refused.
        says: is in the answer to what is beyond.
    """

    setting: str
    value: int
    within: tuple[Any, ...]
    beyond: tuple[Any, ...]
    status: int = 422
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    says: str = ""


def get(path: str) -> tuple[str, str]:
    return "GET", path


def bulk(body: bytes) -> tuple[str, str, bytes]:
    return "POST", EVENTS, body


def device(name: str, interval_s: int) -> tuple[str, str, dict[str, Any]]:
    return "POST", "/api/v1/devices", {"id": name, "interval": f"{interval_s}s"}


def maintenance(*devices: str) -> tuple[str, str, dict[str, Any]]:
    span = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T01:00:00Z"}
    return "POST", "/api/v1/maintenance", {"title": "t", "devices": devices, **span}


def zstd(window_log: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(LINE) + stream.flush()


UPTIME = "/api/v1/fleet/uptime"
GZIP, ZSTD = (("Content-Encoding", "gzip"),), (("Content-Encoding", "zstd"),)
LIMITS = [
    Limit(
        setting="types_max",
        value=2,
        within=get(f"/api/v1/fleet/metrics?types=upload_time,m0&{WINDOW}"),
        beyond=get(f"/api/v1/fleet/metrics?types=upload_time,m0,m1&{WINDOW}"),
        reason="types",
    ),
    Limit(
        setting="fleet_steps_max",
        value=4,
        within=get(f"{UPTIME}?step=15m&{WINDOW}"),
        beyond=get(f"{UPTIME}?step=10m&{WINDOW}"),
        reason="cells",
    ),
    Limit(
        setting="groups_max",
        value=2,
        within=get(f"{UPTIME}?group_by=two&{WINDOW}"),
        beyond=get(f"{UPTIME}?group_by=three&{WINDOW}"),
        reason="groups",
    ),
    Limit(setting="policies_max", value=2, within=device("p1", 77), beyond=device("p2", 78), reason="terms"),
    Limit(
        setting="window_devices_max",
        value=2,
        within=maintenance("a", "b"),
        beyond=maintenance("a", "b", "c"),
        reason="window_devices_max",
    ),
    Limit(
        setting="line_bytes_max",
        value=128,
        within=bulk(LINE.replace(b"}", b" " * (128 - len(LINE) + 1) + b"}")),
        beyond=bulk(LINE.replace(b"}", b" " * (128 - len(LINE) + 2) + b"}")),
        status=200,
        says="line_bytes_max",
    ),
    Limit(
        setting="csv_bad_records_max",
        value=2,
        within=("POST", "/api/v1/devices.csv", CSV + BAD_RECORD * 2),
        beyond=("POST", "/api/v1/devices.csv", CSV + BAD_RECORD * 3),
        status=400,
        reason="malformed",
        headers=(("Content-Type", "text/csv"),),
    ),
    Limit(
        setting="gzip_members_max",
        value=2,
        within=bulk(gzip.compress(LINE) * 2),
        beyond=bulk(gzip.compress(LINE) * 3),
        status=413,
        reason="gzip_members",
        headers=GZIP,
    ),
    Limit(
        setting="zstd_window_bytes_max",
        value=1 << 20,
        within=bulk(zstd(20)),
        beyond=bulk(zstd(21)),
        status=413,
        reason="zstd_window_bytes",
        headers=ZSTD,
    ),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.setting)
def test_a_limit_is_a_setting_whose_refusal_names_it(
    serve: Callable[..., Server], limit: Limit, request: pytest.FixtureRequest
) -> None:
    server = serve(f"--{limit.setting.replace('_', '-')}", str(limit.value), "--auto-define", devices=None)
    client = Client(server.port)
    request.addfinalizer(client.close)
    for place, name in enumerate("abc"):
        labels = {"two": str(place % 2), "three": str(place)}
        assert client.ask("POST", "/api/v1/devices", {"id": name, "labels": labels})[0] == 201
    report = {"device_id": "a", "sent_at": "2026-01-01T00:00:00Z", "metrics": {"m0": 1, "m1": 2}}
    assert client.ask("POST", EVENTS, json.dumps(report).encode())[0] == 200
    headers = {name.replace("-", "_"): value for name, value in limit.headers}
    status, answer = client.ask(*limit.within, **headers)
    assert status < 300, answer
    assert not answer.get("refused") or limit.setting == "csv_bad_records_max", answer
    status, answer = client.ask(*limit.beyond, **headers)
    assert status == limit.status, answer
    if limit.reason:
        assert answer["type"] == f"urn:fleetpulse:problem:{limit.reason}"
        assert limit.setting in answer["msg"]
    assert limit.says in json.dumps(answer)
