"""Metrics, devices, definitions and questions, over the real command and real HTTP; and what bad questions get."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import PUBLISHED, Server
from fleetpulse.api.app import describe_api
from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.metrics_file import read_metrics
from http_client import Client

API = "/api/v1"
DEVICE = f"{API}/devices/{PUBLISHED[0]}"
METRICS = [
    {"name": "cpu", "aggregation": "avg", "retention_days": 30},
    {"name": "memory", "aggregation": "max", "retention_days": 7},
    {"name": "boots", "kind": "integer", "bounds": [0, None]},
]
ANSWER_S = 1.0
"""A refusal must not take longer."""
DEEP = b'{"sent_at": ' + b"[" * 100_000
LINE = {"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("questions")
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    server = Server(folder / "data", "--metrics", str(folder / "metrics.json"))
    yield server
    assert server.stop() == 0
    assert "by a defect of ours" not in server.log.read_text()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
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


# What is asked for


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_metrics_are_reported_and_asked_for_as_the_mission_says(client: Client, is_handed_over: bool) -> None:
    device = f"{API}/devices/{PUBLISHED[1 + is_handed_over]}"
    if is_handed_over:
        assert client.ask("GET", "/") == (200, "OK.")
    for minutes in range(30):
        body = {"sent_at": ago(minutes=minutes), "metrics": {"cpu": minutes, "memory": minutes * 2.5}}
        assert client.ask("POST", f"{device}/metrics", body) == (204, None)
    status, answer = client.ask("GET", f"{device}/metrics?types=cpu,memory&window=1h")
    assert status == 200
    assert (answer["metrics"]["cpu"]["value"], answer["metrics"]["cpu"]["count"]) == (14.5, 30)
    assert (answer["metrics"]["memory"]["aggregation"], answer["metrics"]["memory"]["value"]) == ("max", 72.5)
    answer = client.ask("GET", f"{device}/metrics?types=cpu&window=1h&step=10m&aggregation=sum")[1]
    assert sum(point["value"] for point in answer["metrics"]["cpu"]["series"]) == sum(range(30))
    start, end = quote(ago(hours=1)), quote(ago(seconds=-5))
    assert client.ask("GET", f"{device}/metrics?types=cpu&from={start}&to={end}")[1]["metrics"]["cpu"]["count"] == 30
    # The `+` of its offset is not escaped here.
    assert client.ask("GET", f"{device}/metrics?types=cpu&from={ago(hours=1)}")[1]["metrics"]["cpu"]["count"] == 30


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_a_report_is_taken_whole_or_refused_with_what_is_wrong(client: Client, is_handed_over: bool) -> None:
    if is_handed_over:
        assert client.ask("GET", "/") == (200, "OK.")
    for metrics, status, text in [
        ('{"cpu": 1, "nope": 1}', 422, "defined are: boots, cpu, memory"),
        ("{}", 400, "names no metric"),
        ("[]", 400, "metrics"),
        ('{"cpu": "1"}', 400, "str"),
        ('{"cpu": true}', 400, "bool"),
        ('{"boots": true}', 400, "bool"),
        ('{"cpu": NaN}', 400, "`cpu` is NaN"),
        ('{"cpu": 1e999}', 400, "out of range"),
        ('{"boots": 9223372036854775808}', 422, "boots must be 0 to 9223372036854775807"),
        ('{"boots": 1.5}', 422, "whole number"),
        ('{"boots": -1}', 422, "boots must be 0"),
        ('{"' + "x" * 5_000 + '": 1}', 422, "no such metric"),
        ('{"a\\u0000b": 1}', 422, "no such metric"),
        ("{" + ",".join(f'"m{i}": 1' for i in range(257)) + "}", 422, "report_metrics_max"),
    ]:
        body = f'{{"sent_at": "2026-01-01T00:00:00Z", "metrics": {metrics}}}'.encode()
        answered, problem = client.ask("POST", f"{DEVICE}/metrics", body)
        assert (answered, text in problem["msg"]) == (status, True), (metrics, problem)
    assert client.ask("POST", f"{DEVICE}/metrics", DEEP[:60_000])[0] == 400
    assert client.ask("POST", f"{DEVICE}/metrics", b"{}", Content_Type="text/plain")[0] == 415
    assert (
        client.ask("POST", f"{API}/devices/nobody/metrics", {"sent_at": LINE["sent_at"], "metrics": {"cpu": 1}})[0]
        == 404
    )
    answer = client.ask("GET", f"{DEVICE}/metrics?types=cpu,boots&window=400d")[1]["metrics"]
    assert (answer["cpu"]["count"], answer["boots"]["count"]) == (0, 0)


def test_lines_of_reports_stand_or_fall_alone_and_all_events_are_accounted_for(client: Client, server: Server) -> None:
    device = PUBLISHED[3]
    wrong = ['{"cpu": 1e999}', '{"nope": 1, "cpu": 2}', "{}", '{"cpu": true}']
    body = "\n".join(
        [
            json.dumps(
                {**LINE, "device_id": device, "sent_at": ago(minutes=5), "metrics": {"cpu": 1, "memory": 2, "boots": 3}}
            ),
            *(
                f'{{"device_id": "{device}", "sent_at": "2026-01-01T00:00:00Z", "metrics": {metrics}}}'
                for metrics in wrong
            ),
            json.dumps({**LINE, "device_id": device, "metrics": {"cpu": 1}, "upload_time": 5}),
            json.dumps({**LINE, "device_id": "nobody", "metrics": {"cpu": 1, "memory": 1}}),
            json.dumps({**LINE, "device_id": device}),
        ]
    )
    before = reconciled(client)
    status, verdict = client.ask("POST", f"{API}/events", body.encode())
    # Accepted are events: three samples of one line, and a heartbeat. Refused are lines, whatever they would have held.
    assert (status, verdict["accepted"], [refused["line"] for refused in verdict["refused"]]) == (
        200,
        4,
        [2, 3, 4, 5, 6, 7],
    )
    after = reconciled(client)
    assert (
        after["events_received"] - before["events_received"],
        after["events_accepted"] - before["events_accepted"],
    ) == (10, 4)
    assert after["events_refused"] - before["events_refused"] == 6
    report = {"sent_at": LINE["sent_at"], "metrics": {"cpu": 1, "memory": 2}}
    for first in (None, "/"):
        connection = Client(server.port)
        assert first is None or connection.ask("GET", first)[0] == 200
        before = reconciled(client)
        assert connection.ask("POST", f"{API}/devices/{device}/metrics", report)[0] == 204
        assert (
            connection.ask("POST", f"{API}/devices/{device}/metrics", {**report, "metrics": {"nope": 1, "cpu": 1}})[0]
            == 422
        )
        assert connection.ask("POST", f"{API}/devices/nobody/metrics", report)[0] == 404
        after = reconciled(client)
        assert (
            after["events_received"] - before["events_received"],
            after["events_accepted"] - before["events_accepted"],
        ) == (4, 2)
        connection.close()
    client.ask("GET", f"{API}/devices/{device}/stats")  # a question applies what is pending
    audit = client.ask("GET", f"{API}/devices/{device}/audit")[1]
    assert audit == {"accepted": 8, "applied": 8, "pending": 0, "heartbeats": 1, "samples": 7}


def reconciled(client: Client) -> dict[str, float]:
    """Our own counters, those with reasons summed up. Fails where they do not add up."""
    totals: dict[str, float] = {}
    for name, value in re.findall(
        r"^fleetpulse_(\w+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+]+)$", raw(client, "/metrics")[2].decode(), re.MULTILINE
    ):
        totals[name] = totals.get(name, 0) + float(value)
    totals.setdefault("events_refused", 0)
    assert (
        totals["events_received"] == totals["events_accepted"] + totals["events_refused"] + totals["events_waiting"]
    ), totals
    assert totals["events_accepted"] == totals["events_applied"] + totals["events_pending"], totals
    return totals


def test_with_auto_define_unknown_metrics_are_taken_on_all_three_ways(serve: Callable[..., Server]) -> None:
    server = serve("--auto-define", "--metrics-max", "6")
    client = Client(server.port)
    report = {"sent_at": ago(minutes=1), "metrics": {"a": 1, "b": 2}}
    assert client.ask("POST", f"{DEVICE}/metrics", report) == (204, None)
    client.close()
    client = Client(server.port)
    assert client.ask("GET", "/")[0] == 200
    assert client.ask("POST", f"{DEVICE}/metrics", {**report, "metrics": {"b": 3, "c": 2}}) == (204, None)
    # Who is not a device defines nothing.
    assert client.ask("POST", f"{API}/devices/nobody/metrics", {**report, "metrics": {"strange": 1}})[0] == 422
    lines = [{**LINE, "metrics": metrics} for metrics in ({"no name": 1}, {"d": 4}, {"e": 5}, {"f": 6}, {"a": 7})]
    status, verdict = client.ask("POST", f"{API}/events", "\n".join(map(json.dumps, lines)).encode())
    assert (status, verdict["accepted"], [refused["line"] for refused in verdict["refused"]]) == (200, 3, [1, 4])
    names = [metric["name"] for metric in client.ask("GET", f"{API}/metrics/definitions")[1]["metrics"]]
    assert names == ["a", "b", "c", "d", "e", "upload_time"]
    status, problem = client.ask("POST", f"{DEVICE}/metrics", {**report, "metrics": {"one_more": 1}})
    assert (status, "metrics_max" in problem["msg"]) == (422, True)
    reconciled(client)
    client.close()


# metrics.json


@pytest.mark.parametrize("wrap", [lambda metrics: metrics, lambda metrics: {"metrics": metrics}])
def test_a_metrics_file_is_taken_as_a_list_or_under_a_key(
    serve: Callable[..., Server], tmp_path: Path, wrap: Callable
) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(wrap(METRICS)))
    client = Client(serve("--metrics", str(path)).port)
    definitions = {metric["name"]: metric for metric in client.ask("GET", f"{API}/metrics/definitions")[1]["metrics"]}
    assert set(definitions) == {"cpu", "memory", "boots", "upload_time"}
    assert (
        definitions["memory"]["aggregation"],
        definitions["memory"]["retention_days"],
        definitions["boots"]["bounds"],
    ) == ("max", 7, [0, None])
    client.close()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('[{"name": "cpu", "aggregation": "median"}]', ["aggregation of cpu", "avg, sum"]),
        ('[{"name": "cpu", "retention_days": 0}]', ["retention_days of cpu", "1 to 36500"]),
        ('[{"name": "cpu", "retention_days": "30"}]', ["retention_days", "int"]),
        ('[{"name": "cpu", "retension_days": 30}]', ["retension_days"]),
        ('[{"name": "c p u"}]', ["c p u", "a letter or _"]),
        ('[{"name": "cpu"}, {"name": "cpu"}]', ["defined twice: cpu"]),
        ('[{"aggregation": "avg"}]', ["name"]),
        ("nonsense", ["malformed"]),
        ("", ["truncated"]),
        (None, ["does not exist", "--metrics"]),
    ],
)
def test_a_metrics_file_that_is_wrong_is_refused_with_file_and_field(
    tmp_path: Path, content: str | None, texts: list[str]
) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MetricsFileError) as refusal:
        read_metrics(path)
    assert [text for text in [str(path), *texts] if text not in str(refusal.value)] == [], refusal.value


@pytest.mark.parametrize("content", ['[{"name": "cpu", "aggregation": "median"}]', None])
def test_a_metrics_file_that_is_wrong_ends_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    command = [
        sys.executable,
        "-m",
        "fleetpulse",
        "serve",
        "--port",
        "0",
        "--data",
        str(tmp_path / "data"),
        "--metrics",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert str(path) in done.stderr


# What people manage


def test_definitions_are_made_changed_taken_back_and_made_again(client: Client) -> None:
    path = f"{API}/metrics/definitions"
    status, answer = client.ask("POST", path, {"name": "temperature", "unit": "°C", "bounds": [-40, 125]})
    assert (status, answer["kind"], answer["bounds"], answer["retention_days"]) == (201, "float", [-40, 125], 365)
    assert client.ask("POST", path, {"name": "temperature"})[0] == 409
    report = {"sent_at": ago(minutes=1), "metrics": {"temperature": 126}}
    status, problem = client.ask("POST", f"{DEVICE}/metrics", report)
    assert (status, "temperature must be -40 to 125 °C" in problem["msg"]) == (422, True)
    assert client.ask("PATCH", f"{path}/temperature", {"bounds": [None, 200], "raw_days": 5})[1]["bounds"] == [
        None,
        200,
    ]
    assert client.ask("POST", f"{DEVICE}/metrics", report) == (204, None)
    assert client.ask("GET", f"{path}/temperature")[1]["raw_days"] == 5
    assert client.ask("PATCH", f"{path}/temperature", {"kind": "integer"})[0] == 400
    status, answer = client.ask("DELETE", f"{path}/temperature")
    assert (status, "samples stay" in answer["msg"]) == (200, True)
    assert client.ask("POST", f"{DEVICE}/metrics", report)[0] == 422
    assert client.ask("GET", f"{DEVICE}/metrics?types=temperature")[1]["metrics"]["temperature"]["count"] == 1
    assert client.ask("GET", f"{path}/temperature")[0] == 404
    status, problem = client.ask("POST", path, {"name": "temperature", "kind": "integer"})
    assert (status, "of kind float" in problem["msg"]) == (422, True)
    assert client.ask("POST", path, {"name": "temperature"})[0] == 201
    assert client.ask("DELETE", f"{path}/upload_time")[0] == 422
    assert client.ask("DELETE", f"{path}/temperature?dry_run=true")[0] == 400


def test_a_device_is_declared_changed_paused_deleted_and_taken_up_again(client: Client) -> None:
    body = {
        "id": "a-1",
        "labels": {"site": "paris", "rack": "7"},
        "interval": "5m",
        "grace": "10m",
        "note": "by the door",
    }
    status, answer = client.ask("POST", f"{API}/devices", body)
    assert (status, answer["status"], answer["last_seen"], answer["has_own_grace"]) == (201, "new", None, True)
    assert {name: answer[name] for name in body} == body
    assert client.ask("POST", f"{API}/devices", body)[0] == 409
    answer = client.ask(
        "PATCH", f"{API}/devices/a-1", {"labels": {"rack": None, "row": "2"}, "interval": None, "note": ""}
    )[1]
    assert (answer["labels"], answer["interval"], answer["has_own_interval"], answer["note"]) == (
        {"row": "2", "site": "paris"},
        "1m",
        False,
        "",
    )
    for minutes in range(5, 15):
        assert client.ask("POST", f"{API}/devices/a-1/heartbeat", {"sent_at": ago(minutes=minutes)}) == (204, None)
    answer = client.ask("GET", f"{API}/devices/a-1")[1]
    assert (answer["status"], answer["last_seen"] is None, answer["since"] is None) == ("up", False, False)
    answer = client.ask("POST", f"{API}/devices/a-1/pause", {"duration": "1h"})[1]
    assert (answer["status"], answer["paused_until"] > answer["since"]) == ("paused", True)
    assert client.ask("POST", f"{API}/devices/a-1/pause")[1]["paused_until"] is None
    assert client.ask("POST", f"{API}/devices/a-1/resume")[1]["status"] == "up"
    assert client.ask("POST", f"{API}/devices/a-1/resume")[0] == 409
    before = client.ask("GET", f"{API}/devices/a-1/stats")[1]
    assert before["uptime"] == 100.0
    assert client.ask("DELETE", f"{API}/devices/a-1?dry_run=true")[0] == 400
    status, answer = client.ask("DELETE", f"{API}/devices/a-1")
    assert (status, "history stays" in answer["msg"]) == (200, True)
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/stats"),
        ("GET", "/uptime"),
        ("POST", "/pause"),
        ("POST", "/heartbeat"),
    ]:
        answered = client.ask(
            method, f"{API}/devices/a-1{path}", {"sent_at": LINE["sent_at"]} if path == "/heartbeat" else None
        )
        assert (answered[0], answered[1]["msg"]) == (404, "Device not found"), path
    assert "a-1" not in json.dumps(client.ask("GET", f"{API}/devices?limit=1000")[1])
    assert client.ask("POST", f"{API}/devices", {"id": "a-1"})[1]["labels"] == {}
    assert client.ask("GET", f"{API}/devices/a-1/stats")[1] == before
    # It is not down, or late, before its first beat since then is due.
    assert client.ask("GET", f"{API}/devices/a-1")[1]["status"] == "unknown"


def test_changes_at_one_time_are_all_made_and_what_is_deleted_stays_so(client: Client, server: Server) -> None:
    client.ask("POST", f"{API}/devices", {"id": "c-1"})

    def label(name: str) -> None:
        connection = Client(server.port)
        for i in range(15):
            assert connection.ask("PATCH", f"{API}/devices/c-1", {"labels": {f"{name}{i}": "1"}})[0] == 200
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(label, "abc"))
    assert len(client.ask("GET", f"{API}/devices/c-1")[1]["labels"]) == 45

    def note(device: str) -> None:
        connection = Client(server.port)
        while connection.ask("PATCH", f"{API}/devices/{device}", {"note": "still here"})[0] == 200:
            pass
        connection.close()

    for i in range(10):
        client.ask("POST", f"{API}/devices", {"id": f"c-2-{i}"})
        with ThreadPoolExecutor(2) as pool:
            noting = pool.submit(note, f"c-2-{i}")
            assert client.ask("DELETE", f"{API}/devices/c-2-{i}")[0] == 200
            noting.result(20)


def test_an_import_says_what_it_would_do_does_it_and_comes_out_again_as_it_went_in(client: Client) -> None:
    text = 'device_id,site,interval,note\ni-1,=cmd(),5m,\'quoted\'\ni 2,x,,\ni-3,-7,1x,\ni-4,@a,,"two\nlines, ""so"""\n'
    status, imported = import_csv(client, text, "?dry_run=true")
    assert (status, imported["new"], imported["known"], [refused["line"] for refused in imported["refused"]]) == (
        200,
        2,
        0,
        [3, 4],
    )
    assert client.ask("GET", f"{API}/devices/i-1")[0] == 404
    assert (import_csv(client, text)[1]["new"], import_csv(client, text)[1]["changed"]) == (2, 0)
    imported = import_csv(client, "device_id,site,interval,note\ni-1,lyon,,\n")[1]
    assert (imported["new"], imported["known"], imported["changed"]) == (0, 1, 1)
    device = client.ask("GET", f"{API}/devices/i-1")[1]
    assert (device["labels"], device["has_own_interval"], device["note"]) == ({"site": "lyon"}, False, "")
    import_csv(client, text)
    before = client.ask("GET", f"{API}/devices?text=i-")[1]["devices"]
    status, kind, exported = raw(client, f"{API}/devices.csv?text=i-")
    assert (status, kind) == (200, "text/csv; charset=utf-8")
    cells = [cell for cell in exported.decode().replace("\n", ",").split(",") if cell]
    assert [cell for cell in cells if cell.strip('"')[0] in "=+-@"] == []
    assert b"'=cmd()" in exported
    for device in before:
        client.ask("DELETE", f"{API}/devices/{device['id']}")
    assert import_csv(client, exported.decode())[1]["refused_total"] == 0
    kept = ("id", "labels", "interval", "has_own_interval", "note")
    after = client.ask("GET", f"{API}/devices?text=i-")[1]["devices"]
    assert [[device[name] for name in kept] for device in after] == [
        [device[name] for name in kept] for device in before
    ]
    refused = import_csv(client, 'device_id\n"x')[1]["refused"]
    assert [line["line"] for line in refused] == [2]
    for wrong in ("", "name\nx\n", "device_id,a,a\n", "device_id;a;a\n"):
        assert import_csv(client, wrong)[0] == 400, wrong
    assert client.ask("POST", f"{API}/devices.csv", b"device_id\nx\n", Content_Type="application/json")[0] == 415
    assert (
        client.ask("POST", f"{API}/devices.csv", b"device_id\nx\n", Content_Type="text/csv", Content_Encoding="gzip")[0]
        == 415
    )


def test_lists_are_filtered_sorted_and_paged_without_a_gap(client: Client) -> None:
    import_csv(
        client,
        "device_id,group,shelf\n" + "".join(f"l-{i:03},lists,{'north' if i % 2 else 'south'}\n" for i in range(50)),
    )
    for i in range(0, 50, 5):
        for minutes in range(1 + i):
            client.ask("POST", f"{API}/devices/l-{i:03}/heartbeat", {"sent_at": ago(minutes=minutes)})
    for sort in ("id", "-id", "status", "-status", "last_seen", "-last_seen", "uptime", "-uptime"):
        seen: list[str] = []
        cursor = ""
        while True:
            status, page = client.ask("GET", f"{API}/devices?label=group:lists&sort={sort}&limit=7{cursor}")
            assert (status, page["total"]) == (200, 50)
            seen += [device["id"] for device in page["devices"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={quote(page['next'])}"
        assert (len(seen), len(set(seen))) == (50, 50), sort
        assert sort not in ("id", "-id") or seen == sorted(seen, reverse=sort == "-id")
    for query, count in [
        ("label=shelf:north", 25),
        ("label=shelf:north&label=group:other", 0),
        ("status=new", 40),
        ("status=up,late", 10),
        ("text=L-04", 10),
        ("text=NORTH", 25),
        (f"seen_after={quote(ago(hours=1))}", 10),
        (f"seen_before={quote(ago(hours=1))}", 0),
        ("uptime_below=100&uptime_window=1h", 0),
    ]:
        status, page = client.ask("GET", f"{API}/devices?label=group:lists&{query}")
        assert (status, page["total"]) == (200, count), (query, page["total"])
    moved = f"{API}/devices?label=group:lists&label=shelf:south"
    answer = client.ask("PATCH", f"{moved}&dry_run=true", {"labels": {"shelf": "east"}})[1]
    assert (answer["matched"], answer["changed"], answer["dry_run"], answer["notes"]) == (25, 25, True, [])
    assert client.ask("PATCH", moved, {"labels": {"shelf": "east", "group": None}})[1]["changed"] == 25
    assert client.ask("GET", f"{API}/devices?label=shelf:east")[1]["total"] == 25
    assert client.ask("GET", f"{API}/devices?label=group:lists")[1]["total"] == 25


@pytest.mark.parametrize("query", ["", "?uptime_window=1h", "?text=", "?status=", "?all=false", "?dry_run=true"])
def test_no_filter_never_means_every_device_by_itself(client: Client, query: str) -> None:
    status, problem = client.ask("PATCH", f"{API}/devices{query}", {"labels": {"oops": "1"}})
    assert (status, "all=true" in problem["msg"]) == (422, True)
    assert client.ask("GET", f"{API}/devices?label=oops:1")[1]["total"] == 0


def test_maintenance_is_declared_and_shows_in_status_uptime_and_transitions(client: Client) -> None:
    client.ask("POST", f"{API}/devices", {"id": "m-1", "labels": {"site": "rome"}})
    for minutes in (30, 2):
        client.ask("POST", f"{API}/devices/m-1/heartbeat", {"sent_at": ago(minutes=minutes)})
    before = client.ask("GET", f"{API}/devices/m-1/uptime?window=1h")[1]
    body = {"title": "move", "labels": {"site": "rome"}, "start": ago(minutes=20), "end": ago(minutes=-20)}
    status, window = client.ask("POST", f"{API}/maintenance", body)
    assert (status, window["is_on"], window["recurrence"], window["labels"]) == (201, True, None, {"site": "rome"})
    assert client.ask("GET", f"{API}/devices/m-1")[1]["status"] == "maintenance"
    after = client.ask("GET", f"{API}/devices/m-1/uptime?window=1h&explain=true")[1]
    assert (after["expected"] < before["expected"], after["left_out"]["maintenance"] in (20, 21)) == (True, True)
    assert "maintenance" in {interval["reason"] for interval in after["intervals"]}
    changes = client.ask("GET", f"{API}/devices/m-1/transitions?window=1h")[1]["transitions"]
    assert "maintenance" in {change["to"] for change in changes}
    weekly = {"at": "02:30", "duration": "1h", "timezone": "Europe/Paris", "weekdays": ["friday", "Monday"]}
    window = client.ask("POST", f"{API}/maintenance", {"devices": ["m-1"], "recurrence": weekly})[1]
    assert (window["recurrence"]["weekdays"], window["next"] is None, window["end"]) == (
        ["monday", "friday"],
        False,
        None,
    )
    for window in client.ask("GET", f"{API}/maintenance")[1]["windows"]:
        assert client.ask("DELETE", f"{API}/maintenance/{window['id']}")[0] == 200
    assert client.ask("DELETE", f"{API}/maintenance/{window['id']}")[0] == 404
    assert client.ask("GET", f"{API}/devices/m-1")[1]["status"] == "up"


def test_a_fleet_has_its_figures_by_label(client: Client) -> None:
    import_csv(client, "device_id,city\nf-1,oslo\nf-2,oslo\nf-3,bern\n")
    for device, value in (("f-1", 1), ("f-2", 3), ("f-3", 10)):
        for minutes in range(20):
            client.ask("POST", f"{API}/devices/{device}/heartbeat", {"sent_at": ago(minutes=minutes)})
        client.ask("POST", f"{API}/devices/{device}/metrics", {"sent_at": ago(minutes=1), "metrics": {"cpu": value}})
        client.ask("POST", f"{API}/devices/{device}/stats", {"sent_at": ago(minutes=1), "upload_time": value * 10**9})
    answer = client.ask("GET", f"{API}/fleet/uptime?group_by=city&window=1h&step=30m")[1]
    groups = {group["group"]: group for group in answer["groups"]}
    assert {"", "bern", "oslo"} <= set(groups)
    assert (groups["oslo"]["devices"], groups["oslo"]["uptime"], len(groups["oslo"]["series"])) == (2, 100.0, 3)
    assert answer["fleet"]["devices"] == sum(group["devices"] for group in answer["groups"])
    answer = client.ask("GET", f"{API}/fleet/metrics?types=cpu&group_by=city&aggregation=max")[1]
    values = {group["group"]: group["metrics"]["cpu"]["value"] for group in answer["groups"]}
    assert (values["oslo"], values["bern"]) == (3, 10)
    answer = client.ask("GET", f"{API}/fleet/stats?label=city:oslo&window=1h")[1]
    assert (answer["devices"]["total"], answer["devices"]["by_status"]["up"], len(answer["worst"])) == (2, 2, 2)
    assert (answer["upload_time"]["avg"], answer["upload_time"]["avg_text"], answer["upload_time"]["count"]) == (
        2e9,
        "2s",
        2,
    )
    status, kind, body = raw(client, f"{API}/export?types=cpu&label=city:bern&window=1h")
    assert (status, kind, body.count(b"\n"), b'"f-3","cpu",' in body.replace(b"f-3,cpu,", b'"f-3","cpu",')) == (
        200,
        "text/csv; charset=utf-8",
        2,
        True,
    )
    status, kind, body = raw(client, f"{API}/export?what=presence&device=f-1&format=parquet&window=1h")
    assert (status, kind, body[:4], body[-4:]) == (200, "application/vnd.apache.parquet", b"PAR1", b"PAR1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_everything_that_was_declared_and_reported_survives(serve: Callable[..., Server], number: int) -> None:
    server = serve()
    client = Client(server.port)
    paths = [
        f"{API}/metrics/definitions",
        f"{API}/devices/kept",
        f"{API}/devices/paused",
        f"{API}/devices?label=site:paris&sort=-id",
        f"{API}/devices/kept/audit",
        f"{API}/devices/kept/stats",
        f"{API}/devices/kept/metrics?types=cpu,gone&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
        f"{API}/fleet/metrics?types=cpu&group_by=site&aggregation=p95&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
    ]
    for metric in (
        {"name": "cpu", "unit": "%", "raw_days": 9, "retention_days": 3650},
        {"name": "gone", "retention_days": 3650},
    ):
        assert client.ask("POST", f"{API}/metrics/definitions", metric)[0] == 201
    assert (
        import_csv(client, "device_id,site,interval,note\nkept,paris,5m,a note\npaused,paris,,\ndeleted,paris,,\n")[1][
            "new"
        ]
        == 3
    )
    for hour in range(10):
        report = {"sent_at": f"2026-01-01T0{hour}:00:00Z", "metrics": {"cpu": hour, "gone": 1}}
        assert client.ask("POST", f"{API}/devices/kept/metrics", report)[0] == 204
        assert client.ask("POST", f"{API}/devices/kept/heartbeat", {"sent_at": report["sent_at"]})[0] == 204
    assert client.ask("DELETE", f"{API}/metrics/definitions/gone")[0] == 200
    assert client.ask("DELETE", f"{API}/devices/deleted")[0] == 200
    assert client.ask("POST", f"{API}/devices/paused/pause", {"duration": "2h"})[0] == 200
    window = client.ask(
        "POST", f"{API}/maintenance", {"labels": {"site": "rome"}, "recurrence": {"at": "02:30", "duration": "1h"}}
    )[1]
    before = [client.ask("GET", path) for path in paths]
    assert {status for status, _ in before} == {200}
    client.close()
    assert server.stop(number) == (0 if number == signal.SIGTERM else -number)
    client = Client(serve().port)
    for path, expected in zip(paths, before, strict=True):
        answer = client.ask("GET", path)
        assert without_tiers(answer) == without_tiers(expected), path
    assert client.ask("GET", f"{API}/devices/deleted")[0] == 404
    assert [found["id"] for found in client.ask("GET", f"{API}/maintenance")[1]["windows"]] == [window["id"]]
    client.close()


def without_tiers(answer: object) -> str:
    """An answer without what depends on where the samples were."""
    return re.sub(r'"tiers": \[[^]]*\]', "", json.dumps(answer))


# Bad questions

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
    takes_steps = not any(word in place for word in ("transitions", "stats", "export"))
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
        ("POST", "/devices", {"id": "x", "interval": "0s"}, 422, "1s to 86400s"),
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
        ("POST", "/metrics/definitions", b'{"name": "n", "bounds": [1e999, null]}', 400, "out of range"),
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
