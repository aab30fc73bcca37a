"""Devices come from devices.csv, at start and on SIGHUP, or register themselves."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command import refusal
from conftest import Server
from http_client import Client

Serve = Callable[..., Server]
BODY = {"sent_at": "2026-01-01T00:00:00Z"}


def status(client: Client, device: str) -> int:
    return client.ask("POST", f"/api/v1/devices/{device}/heartbeat", BODY)[0]


def test_a_file_is_tolerated_in_all_its_dialects_and_read_again_on_sighup(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(b'\xef\xbb\xbf device_id , site\r\n\r\n  a-1 , paris \r\n"b:2",\r\na-1,lyon\r\n')
    server = serve(devices=path)
    client = Client(server.port)
    assert [status(client, device) for device in ("a-1", "b:2", "c")] == [204, 204, 404]
    path.write_text("device_id\nc\nb:2\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log('"added_ids": \\["c"\\].*"event": "devices.csv read"')
    assert [status(client, device) for device in ("a-1", "b:2", "c")] == [204, 204, 204]
    path.write_text("device_id\nd\nnot an id\n")
    server.process.send_signal(signal.SIGHUP)
    assert "line 3" in server.wait_for_log('"error": "([^"]*)"')[1]
    assert [status(client, device) for device in ("c", "d")] == [204, 404]
    client.close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "line 1 must be the header"),
        ("name\nx\n", "line 1: the header's first column must be `device_id`"),
        ("device_id,a,a\n", "named twice"),
        ("device_id\nok\na b\n", "line 3: `a b` is no device id"),
        ("device_id\nok,1\n", "line 2: 2 cells"),
        ("device_id\n" + "".join(f"d{i}\n" for i in range(9)), "--devices-max"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_is_wrong_ends_the_start_with_the_line_and_what_to_do(
    tmp_path: Path, content: str | None, text: str
) -> None:
    path = tmp_path / "fleet.csv"
    if content is not None:
        path.write_text(content)
    serve = ("serve", "--port", "0", "--data", str(tmp_path / "data"))
    assert text in refusal(*serve, "--devices", str(path), "--devices-max", "8")


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_unknown_devices_register_themselves_where_they_may(serve: Serve, is_handed_over: bool) -> None:
    server = serve("--auto-register", "--devices-max", "8")
    client = Client(server.port)
    if is_handed_over:
        assert client.ask("GET", "/")[0] == 200
    assert client.ask("GET", "/api/v1/devices/new/stats")[0] == 404
    assert status(client, "new") == 204
    assert client.ask("GET", "/api/v1/devices/new/stats") == (200, {"uptime": 100.0, "avg_upload_time": "0s"})
    lines = (
        b'{"device_id": "by-bulk", "sent_at": "2026-01-01T00:00:00Z"}\n'
        b'{"device_id": "no id", "sent_at": "2026-01-01T00:00:00Z"}'
    )
    verdict = client.ask("POST", "/api/v1/events", lines)[1]
    (refused,) = verdict["refused"]
    assert (verdict["accepted"], refused["line"], refused["msg"]) == (1, 2, "Device not found")
    assert "`no id` is no device id" in refused["detail"]
    client.close()
    client = Client(server.port)
    assert (status(client, "eighth"), status(client, "ninth")) == (
        204,
        422,
    )  # five of devices.csv, new, by-bulk, eighth
    client.close()
    server.stop(signal.SIGKILL)
    client = Client(serve(devices=None).port)
    assert client.ask("GET", "/api/v1/devices/eighth/stats")[1]["uptime"] == 100.0
    client.close()


def test_files_do_not_undo_what_people_declared(serve: Serve, tmp_path: Path) -> None:
    devices, metrics = tmp_path / "fleet.csv", tmp_path / "metrics.json"
    devices.write_text("device_id,site\na,paris\nb,lyon\n")
    metrics.write_text('[{"name": "cpu", "retention_days": 30}]')
    server = serve("--metrics", str(metrics), devices=devices)
    client = Client(server.port)
    own = {"labels": {"site": "rome", "hall": "2"}, "interval": "5m", "note": "by the door"}
    assert client.ask("PATCH", "/api/v1/devices/a", own)[0] == 200
    assert client.ask("DELETE", "/api/v1/devices/b")[0] == 200
    assert client.ask("PATCH", "/api/v1/metrics/definitions/cpu", {"retention_days": 365})[0] == 200
    client.close()
    server.stop()

    server = serve("--metrics", str(metrics), devices=devices)
    assert "a: site is rome, in the file paris" in server.wait_for_log(r'"conflicts": \[([^\]]*)')[1]
    client = Client(server.port)
    device = client.ask("GET", "/api/v1/devices/a")[1]
    assert {name: device[name] for name in own} == own
    assert client.ask("GET", "/api/v1/devices/b")[0] == 404
    devices.write_text("device_id,site\na,nice\nb,lille\n")
    metrics.write_text('[{"name": "cpu", "retention_days": 7}]')
    preview = client.ask("GET", "/api/v1/files")[1]["files"]
    assert [(file["added"], file["changed"], file["in_conflict"]) for file in preview] == [(1, 1, 0), (0, 1, 0)]
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log('"todo": "[^"]*samples and roll-ups of cpu')
    device = client.ask("GET", "/api/v1/devices/a")[1]
    assert {name: device[name] for name in own} == {**own, "labels": {"site": "nice", "hall": "2"}}
    assert client.ask("GET", "/api/v1/devices/b")[1]["labels"] == {"site": "lille"}
    (deletion,) = client.ask("GET", "/api/v1/metrics/definitions/cpu")[1]["coming_deletions"]
    assert (deletion["days_before"], deletion["days_after"]) == (365, 7)
    back = client.ask("PATCH", "/api/v1/metrics/definitions/cpu", {"retention_days": 365})[1]
    assert back["coming_deletions"] == []
    client.close()
