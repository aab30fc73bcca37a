"""What people declare over HTTP: definitions, devices, labels, imports, maintenance."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from conftest import Server
from http_client import Client
from questions_server import (
    API,
    DEVICE,
    LINE,
    ago,
    client_fixture,  # noqa: F401  # a fixture
    import_csv,
    raw,
    server_fixture,  # noqa: F401  # a fixture
)


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
    assert after["accountable_s"] < before["accountable_s"]
    assert 1_199 <= after["left_out_s"]["maintenance"] <= 1_260
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
