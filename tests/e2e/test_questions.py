"""Reports and questions over the real command and real HTTP: what was sent is what is answered, also after an end."""

import json
import re
import signal
from collections.abc import Callable
from urllib.parse import quote

import pytest

from conftest import PUBLISHED, Server
from http_client import Client
from questions_server import (
    API,
    DEEP,
    DEVICE,
    LINE,
    ago,
    client_fixture,  # noqa: F401  # a fixture
    import_csv,
    raw,
    server_fixture,  # noqa: F401  # a fixture
)


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
        ('{"cpu": 1e999}', 422, "out of range"),
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
    audit = client.ask("GET", f"{API}/devices/{device}/account")[1]
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
        f"{API}/devices/kept/account",
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
