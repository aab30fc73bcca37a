"""Keys by the real command over real HTTP: the first one, and what follows from it on both paths."""

import csv
import http.client
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from conftest import PUBLISHED, ROOT, Server


def test_a_first_key_protects_the_node_at_once_and_a_revoked_one_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "data", devices=None)
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{server.port}")

    def run(*words: str) -> Any:
        done = run_command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run("devices", "add", "press-07")
    beats, pings = (http.client.HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(2))
    body = b'{"sent_at": "2026-11-24T08:30:00Z"}'

    def report(key: str = "") -> tuple[int, int]:
        """The statuses of a heartbeat at the front door, and of a ping, which the ASGI path answers."""
        statuses = []
        for connection, route, sent in ((beats, "heartbeat", body), (pings, "ping", b"")):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            connection.request("POST", f"/api/v1/devices/press-07/{route}", sent, headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        return statuses[0], statuses[1]

    assert report() == (204, 204)
    assert "--yes" in run_command("keys", "add", "--role", "device", "--device", "press-07").stderr
    assert report() == (204, 204)
    key = run("keys", "add", "--role", "device", "--device", "press-07", "--yes")["key"]
    assert report() == (401, 401)
    assert report(key) == (204, 204)
    assert "FLEETPULSE_KEY" in run_command("keys", "list").stderr
    admin = tmp_path / "data" / "admin.key"
    monkeypatch.setenv("FLEETPULSE_KEY_FILE", str(admin))
    assert run("whoami")["role"] == "admin"
    assert [one["number"] for one in run("keys", "list")["keys"]] == [1, 2]
    run("keys", "revoke", "2")
    assert report(key) == (401, 401)
    beats.close()
    pings.close()
    server.stop()
    log = server.log.read_text()
    assert str(admin) in log
    assert admin.read_text().strip() not in log


def test_a_lost_admin_key_has_a_way_back_for_who_owns_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    server = Server(folder, "--auth", "required", devices=None)
    lost = (folder / "admin.key").read_text()
    assert "in use" in run_command("keys", "recover", "--data", str(folder)).stderr
    assert (folder / "admin.key").read_text() == lost
    server.stop()
    (folder / "admin.key").unlink()
    assert run_command("keys", "recover", "--data", str(folder)).returncode == 0
    assert stat.S_IMODE((folder / "admin.key").stat().st_mode) == 0o600
    assert "no data folder" in run_command("keys", "recover", "--data", str(tmp_path / "none")).stderr
    server = Server(folder, "--auth", "required", devices=None)
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("FLEETPULSE_KEY_FILE", str(folder / "admin.key"))
    assert run_command("keys", "revoke", "1").returncode == 0
    monkeypatch.setenv("FLEETPULSE_KEY", lost)
    refused = run_command("whoami")
    assert "wrong, or was revoked" in refused.stderr
    server.stop()


def test_a_file_of_ids_becomes_a_file_of_keys_that_only_its_owner_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "data", "--auth", "required")
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("FLEETPULSE_KEY_FILE", str(tmp_path / "data" / "admin.key"))
    keys = tmp_path / "keys.csv"
    made = run_command("keys", "bulk", str(ROOT / "devices.csv"), "-o", str(keys))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    rows = list(csv.DictReader(keys.read_text().splitlines()))
    assert [row["device_id"] for row in rows] == PUBLISHED
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = b'{"sent_at": "2026-11-24T08:30:00Z"}'
    for row in rows:
        path = f"/api/v1/devices/{row['device_id']}/heartbeat"
        connection.request("POST", path, body, {"Authorization": f"Bearer {row['key']}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204
    connection.close()
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("device_id\nnobody\n")
    assert "no key was made" in run_command("keys", "bulk", str(wrong)).stderr
    single = tmp_path / "single.key"
    assert run_command("keys", "rotate", "2", "--overlap", "1h", "-o", str(single)).returncode == 0
    monkeypatch.setenv("FLEETPULSE_KEY_FILE", str(single))
    assert PUBLISHED[0] in run_command("whoami").stdout
    server.stop()


def test_a_network_address_without_keys_is_warned_of_everywhere(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", "--insecure", "--trusted-proxies", "10.0.0.1", devices=None)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for path, accept in (("/readyz", "application/json"), ("/", "text/html")):
        connection.request("GET", path, headers={"Accept": accept})
        assert b"nobody needs a key" in connection.getresponse().read()
    connection.close()
    server.stop()
    assert "nobody needs a key" in server.log.read_text()
    assert not (tmp_path / "data" / "admin.key").exists()
