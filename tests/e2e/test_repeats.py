"""What is sent again changes no figure: over the real command and HTTP, in every way in, across crashes and days."""

import gzip
import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import PUBLISHED, Server
from http_client import Client

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
METRICS = [{"name": "cpu"}, {"name": "old", "raw_days": 1, "retention_days": 30}]
Event = dict[str, Any]


def at(**before_now: float) -> str:
    return (NOW - timedelta(**before_now)).isoformat()


UPLOADS: list[Event] = [
    {"sent_at": at(days=2), "upload_time": 1_000},
    {"sent_at": at(days=2), "upload_time": 3_000},  # another value at the same time: a second sample
    {"sent_at": at(minutes=1), "upload_time": 5_000},
]
REPORTS: list[Event] = [{"sent_at": at(days=2), "metrics": {"cpu": 0.1}}, {"sent_at": at(), "metrics": {"cpu": 0.2}}]
EVENTS = 5


def send_singly(client: Client) -> None:
    for what, events in (("stats", UPLOADS), ("metrics", REPORTS)):
        for event in events:
            assert client.ask("POST", f"{DEVICE}/{what}", event) == (204, None)


def send_by_the_other_path(client: Client) -> None:
    """A connection that has asked anything else stays with the ASGI handlers."""
    client.ask("GET", f"{DEVICE}/audit")
    send_singly(client)


def send_in_bulk(client: Client, *, is_packed: bool = False) -> None:
    lines = [{"device_id": PUBLISHED[0], **event} for event in (*REPORTS, *UPLOADS)]
    body = "\n".join(map(json.dumps, lines * 2)).encode()
    headers = {"Content_Encoding": "gzip"} if is_packed else {}
    status, answer = client.ask("POST", "/api/v1/events", gzip.compress(body) if is_packed else body, **headers)
    assert (status, answer["accepted"]) == (200, 2 * EVENTS)


def check(client: Client, *, sendings: int) -> None:
    """The figures are those of one sending, and the accounts those of all."""
    assert client.ask("GET", f"{DEVICE}/stats")[1]["avg_upload_time"] == "3µs"
    audit = client.ask("GET", f"{DEVICE}/audit")[1]
    assert (audit["accepted"], audit["samples"]) == (audit["applied"] + audit["pending"], sendings * EVENTS)
    for window in ("window=3d", "window=3d&step=1d", f"from={at(days=3)[:10]}T00:00:00Z"):
        for aggregation, figures in (("count", (2, 3)), ("sum", (0.1 + 0.2, 9_000))):
            query = f"types=cpu,upload_time&aggregation={aggregation}&{window}"
            device = client.ask("GET", f"{DEVICE}/metrics?{query}")[1]["metrics"]
            (group,) = client.ask("GET", f"/api/v1/fleet/metrics?{query}")[1]["groups"]
            for metrics in (device, group["metrics"]):
                assert tuple(total_of(metrics[name]) for name in ("cpu", "upload_time")) == figures


def total_of(metric: dict[str, Any]) -> float:
    return metric["value"] if "value" in metric else sum(point["value"] for point in metric["series"])


def test_a_report_that_is_sent_again_counts_once_whatever_happened_in_between(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    flags = ("--metrics", str(tmp_path / "metrics.json"))
    server = serve(*flags)
    sendings = 0
    for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        for send, times in (
            (send_singly, 1),
            (send_by_the_other_path, 1),
            (send_in_bulk, 2),
            (lambda client: send_in_bulk(client, is_packed=True), 2),
        ):
            client = Client(server.port)
            send(client)
            sendings += times
            check(client, sendings=sendings)
            client.close()
        server.stop(end)
        server = serve(*flags)
        client = Client(server.port)
        check(client, sendings=sendings)
        client.close()


def test_samples_of_days_whose_samples_are_gone_count_once_an_acknowledgement(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    server = serve("--metrics", str(tmp_path / "metrics.json"))
    client = Client(server.port)
    for expected in (1, 2, 3):
        assert client.ask("POST", f"{DEVICE}/metrics", {"sent_at": at(days=3), "metrics": {"old": 2.5}}) == (204, None)
        answer = client.ask("GET", f"{DEVICE}/metrics?types=old&aggregation=count&window=5d")[1]
        assert answer["metrics"]["old"]["value"] == expected
    client.close()
