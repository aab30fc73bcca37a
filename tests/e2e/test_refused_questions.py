"""Questions and changes that cannot be meant are refused at once, with what was wrong."""

import json
import time
from collections.abc import Callable

import pytest

from conftest import PUBLISHED, Server
from fleetpulse.api.app import describe_api
from http_client import Client
from questions_server import (
    API,
    DEEP,
    DEVICE,
    ago,
    client_fixture,  # noqa: F401  # a fixture
    import_csv,
    server_fixture,  # noqa: F401  # a fixture
)

ANSWER_S = 1.0
"""A refusal must not take longer."""


WINDOWS = [
    ("window=", 400, "duration"),
    ("window=0s", 422, "empty"),
    ("window=30", 422, "needs a unit: 30s, 30m, 30h or 30d"),
    ("window=0", 422, "needs a unit"),
    ("window=-1h", 400, "duration"),
    ("window=1y", 400, "duration"),
    ("window=3661d", 422, "window_days_max"),
    ("window=999999999w", 422, "window_days_max"),
    ("window=1h&window=2h", 400, "given twice"),
    ("widnow=1h", 400, "did you mean window?"),
    ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "reversed"),
    ("from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "empty"),
    ("from=2999-01-01T00:00:00Z", 422, "not past yet"),
    ("from=9999-12-31T23:59:59-23:59", 422, "not past yet"),
    ("from=0001-01-01T00:00:00%2B23:59", 422, "days"),
    ("from=1700-01-01T00:00:00Z&to=1700-01-02T00:00:00Z", 422, "1970"),
    ("from=1969-12-31T23:00:00Z&to=1970-01-01T01:00:00Z", 422, "1970"),
    ("from=yesterday", 400, "RFC 3339"),
    ("from=%00", 400, "RFC 3339"),
    ("to=2026-01-01T00:00:00Z", 400, "`to` needs `from`"),
    ("window=1h&from=2026-01-01T00:00:00Z", 400, "not both"),
    ("window=" + "9" * 5000, 400, "duration"),
]
STEPS = [
    ("window=1h&step=1ns", 400, "duration"),
    ("window=1h&step=0s", 422, "1s"),
    ("window=1h&step=60", 422, "needs a unit"),
    ("window=1h&step=999999999w", 422, "3660d"),
    ("window=3660d&step=1s", 422, "ask for a longer step"),
]
PLACES = [
    f"{DEVICE}/metrics?types=cpu&",
    f"{DEVICE}/uptime?",
    f"{DEVICE}/transitions?",
    f"{DEVICE}/fit?",
    f"{API}/fleet/fit?",
    f"{API}/fleet/metrics?types=cpu&",
    f"{API}/fleet/uptime?",
    f"{API}/fleet/stats?",
    f"{API}/export?types=cpu&",
]


def refused(client: Client, path: str, status: int, text: str, **request: object) -> None:
    """Ask, and be told quickly what was wrong."""
    started = time.monotonic()
    answered, problem = client.ask(str(request.pop("method", "GET")), path, request.pop("body", None), **request)
    assert time.monotonic() - started < ANSWER_S, path
    assert (answered, text in problem["msg"], problem["status"]) == (status, True, status), (path[:200], problem)
    assert len(problem["msg"]) < 3_000


@pytest.mark.parametrize("place", PLACES)
def test_a_window_that_cannot_be_meant_is_refused_everywhere(client: Client, place: str) -> None:
    takes_steps = not any(word in place for word in ("transitions", "stats", "fit", "export"))
    for query, status, text in WINDOWS + (
        STEPS if takes_steps else [("window=1h&step=1h", 400, "unknown parameter `step`")]
    ):
        refused(client, place + query, status, text)


def test_the_parameters_that_are_taken_are_those_that_the_document_lists(client: Client) -> None:
    operations_asked = 0
    for path, operations in describe_api().document["paths"].items():
        for method, operation in operations.items():
            listed = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            if listed:
                msg = client.ask(method.upper(), path.replace("{device_id}", PUBLISHED[0]) + "?zzzz=1")[1]["msg"]
                assert set(msg.partition("known are ")[2].split(", ")) == listed, (method, path, msg)
                operations_asked += 1
    assert operations_asked > 8


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        (f"{DEVICE}/metrics", 400, "defined are: boots, cpu"),
        (f"{DEVICE}/metrics?types=,", 400, "`types` must name"),
        (f"{DEVICE}/metrics?types=nope,cpu", 422, "no such metric: nope; defined are: boots, cpu"),
        (f"{DEVICE}/metrics?types=%00", 422, "no such metric"),
        (f"{DEVICE}/metrics?types={'x' * 9000}", 422, "no such metric"),
        (f"{DEVICE}/metrics?types=" + ",".join(f"m{i}" for i in range(101)), 422, "101 types are more than 100"),
        (f"{DEVICE}/metrics?types=cpu&aggregation=median", 422, "p95"),
        (f"{DEVICE}/metrics?types=cpu&group_by=site", 400, "unknown parameter `group_by`"),
        (f"{DEVICE}/uptime?explain=maybe", 400, "true or false"),
        (f"{DEVICE}?x=1", 400, "unknown parameter `x`"),
        (f"{API}/devices/nobody/metrics?types=cpu", 404, "Device not found"),
        (f"{API}/devices/{'x' * 9000}/uptime", 404, "Device not found"),
        (f"{API}/devices/%00", 404, "Device not found"),
        (f"{API}/fleet/uptime?window=1d&step=1m", 422, "ask for a longer step"),
        (f"{API}/fleet/uptime?label=site", 400, "name:value"),
        (f"{API}/devices?limit=0", 422, "1 to 1000"),
        (f"{API}/devices?limit=1001", 422, "1 to 1000"),
        (f"{API}/devices?limit=%C2%B2", 422, "1 to 1000"),
        (f"{API}/devices?limit=0000001009999999", 422, "1 to 1000"),
        (f"{API}/devices?limit={'9' * 5000}", 422, "1 to 1000"),
        (f"{API}/devices?cursor=nonsense", 400, "`cursor`"),
        (f"{API}/devices?cursor=%FF%00", 400, "not UTF-8"),
        (f"{API}/devices?cursor={'A' * 9000}", 400, "`cursor`"),
        (f"{API}/devices?sort=size", 422, "sort must be one of"),
        (f"{API}/devices?status=broken", 422, "status must be of"),
        (f"{API}/devices?uptime_below=nan", 422, "0 to 100"),
        (f"{API}/devices?uptime_below=1e999", 422, "0 to 100"),
        (f"{API}/devices?uptime_below=5&uptime_window=999999999w", 422, "3660d"),
        (f"{API}/devices?uptime_below=5&uptime_window=0s", 422, "1s to"),
        (f"{API}/devices?uptime_below=5&uptime_window=24", 422, "needs a unit"),
        (f"{API}/devices?seen_before=soon", 400, "RFC 3339"),
        (f"{API}/devices.csv?limit=1", 400, "unknown parameter `limit`"),
        (f"{API}/export", 400, "`types` must name"),
        (f"{API}/export?what=all", 422, "samples, presence, silences"),
        (f"{API}/export?what=presence&types=cpu", 422, "`types`"),
        (f"{API}/export?types=cpu&format=xlsx", 422, "parquet"),
        (f"{API}/export?types=cpu,boots&format=parquet", 422, "one kind"),
        (f"{API}/export?types=cpu&device=nobody", 404, "Device not found"),
        (f"{API}/metrics/definitions/nope", 404, "defined are"),
        (f"{API}/nothing", 404, "/docs"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(client: Client, path: str, status: int, text: str) -> None:
    refused(client, path, status, text)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/devices", {"id": "a b"}, 422, "no device id"),
        ("POST", "/devices", {"id": "x" * 5000}, 422, "no device id"),
        ("POST", "/devices", {"id": "x", "extra": 1}, 400, "extra"),
        ("POST", "/devices", {"id": "x", "labels": {"a": "v" * 201}}, 422, "200 characters"),
        ("POST", "/devices", {"id": "x", "labels": {"a": "n\0l"}}, 422, "NUL"),
        ("POST", "/devices", {"id": "x", "labels": {"interval": "1"}}, 422, "column of its own"),
        ("POST", "/devices", {"id": "x", "labels": {f"l{i}": "v" for i in range(65)}}, 422, "64"),
        ("POST", "/devices", {"id": "x", "note": "n" * 2001}, 422, "2000 characters"),
        ("POST", "/devices", {"id": "x", "note": "\0"}, 422, "NUL"),
        ("POST", "/devices", {"id": "x", "interval": "0s"}, 422, "1s to 2678400s"),
        ("POST", "/devices", {"id": "x", "grace": "9999d"}, 422, "604800s"),
        ("POST", "/devices", b'{"id": ' + b"[" * 60_000, 400, "array"),
        ("POST", "/devices", DEEP, 413, "body_bytes_max"),
        ("PATCH", f"/devices/{PUBLISHED[0]}", {"id": "other"}, 400, "id"),
        ("PATCH", "/devices?all=maybe", {"labels": {"a": "b"}}, 400, "true or false"),
        ("PATCH", "/devices?all=true&dry_run=perhaps", {"labels": {"a": "b"}}, 400, "true or false"),
        ("PATCH", "/devices?all=true", {"labels": {"1": "b"}}, 422, "label name"),
        ("POST", f"/devices/{PUBLISHED[0]}/pause", {"until": "2000-01-01T00:00:00Z"}, 422, "later than now"),
        ("POST", f"/devices/{PUBLISHED[0]}/pause", {"until": "9999-12-31T23:59:59-23:59"}, 422, "before 2200"),
        ("POST", f"/devices/{PUBLISHED[0]}/pause", {"duration": "999999999w"}, 422, "before 2200"),
        ("POST", f"/devices/{PUBLISHED[0]}/pause", {"until": ago(), "duration": "1h"}, 400, "not both"),
        ("POST", "/metrics/definitions", {"name": "n", "bounds": [5, 1]}, 422, "above"),
        ("POST", "/metrics/definitions", b'{"name": "n", "bounds": [1e999, null]}', 422, "out of range"),
        ("POST", "/metrics/definitions", {"name": "n", "kind": "integer", "bounds": [0, 2**64]}, 422, "64 bits"),
        ("POST", "/metrics/definitions", {"name": "n", "retention_days": 10**30}, 422, "36500"),
        ("POST", "/metrics/definitions", {"name": "n", "unit": "\0"}, 422, "NUL"),
        ("POST", "/maintenance", {}, 422, "selects no device"),
        ("POST", "/maintenance", {"all": True}, 422, "end"),
        ("POST", "/maintenance", {"all": True, "end": "9999-12-31T23:59:59-23:59"}, 422, "2199"),
        ("POST", "/maintenance", {"all": True, "recurrence": {"at": "2:30", "duration": "1h"}}, 422, "02:30"),
        (
            "POST",
            "/maintenance",
            {"all": True, "recurrence": {"at": "02:30", "duration": "1h", "timezone": "../../etc/passwd"}},
            422,
            "IANA",
        ),
        ("DELETE", "/maintenance/nope", None, 404, "no maintenance window"),
        ("PUT", "/devices", {}, 405, "not for this route"),
    ],
)
def test_a_change_that_cannot_be_meant_is_refused(
    client: Client, method: str, path: str, body: object, *, status: int, text: str
) -> None:
    refused(client, API + path, status, text, method=method, body=body)
    if isinstance(body, dict):
        assert client.ask(method, API + path, json.dumps(body).encode(), Content_Type="text/plain")[0] in (
            404,
            405,
            415,
        )


def test_a_hundred_thousand_values_of_a_label_are_too_many_to_group_by_and_nobody_waits(
    serve: Callable[..., Server],
) -> None:
    server = serve("--auto-define")
    client = Client(server.port)
    rows = "".join(f"d{i},s{i},p{i % 7}\n" for i in range(100_000))
    assert import_csv(client, "device_id,serial,site\n" + rows)[1]["new"] == 100_000
    assert client.ask("POST", f"{API}/devices/d1/metrics", {"sent_at": ago(minutes=1), "metrics": {"cpu": 1}})[0] == 204
    for path, text in [
        ("/fleet/metrics?types=cpu&group_by=serial", "cells_max"),
        ("/fleet/uptime?group_by=serial", "100001 values"),
        ("/fleet/uptime?group_by=site&window=3660d&step=1d", "longer step"),
        ("/fleet/metrics?types=cpu&group_by=site&window=1d&step=1s", "cells_max"),
    ]:
        refused(client, API + path, 422, text)
    # A filter that leaves few makes few groups.
    answer = client.ask("GET", f"{API}/fleet/uptime?group_by=serial&label=serial:s5")[1]
    assert [(group["group"], group["devices"]) for group in answer["groups"]] == [("s5", 1)]
    assert len(client.ask("GET", f"{API}/fleet/uptime?group_by=site")[1]["groups"]) == 8
    assert client.ask("GET", f"{API}/devices?limit=1000&sort=-uptime&uptime_window=3660d")[1]["total"] == 100_005
    client.close()
