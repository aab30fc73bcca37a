"""Enrolment and the audit log by the real command over real sockets: a race, a crash, and what people see of it."""

import http.client
import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from conftest import Server
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.audit import AuditFilter

RACERS = 100


def enrol(port: int, key: str, device_id: str, secret: str) -> tuple[int, dict[str, Any]]:
    """The status and the answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"device_id": device_id, "enroll_secret": secret})
    connection.request("POST", "/api/v1/enroll", body, {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def beat(port: int, key: str, device_id: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = b'{"sent_at": "2026-11-24T08:30:00Z"}'
    connection.request("POST", f"/api/v1/devices/{device_id}/heartbeat", body, {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_of_a_hundred_that_enrol_as_one_device_one_gets_a_key_and_a_crash_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    server = Server(folder, "--auth", "required", devices=None)
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("FLEETPULSE_KEY_FILE", str(folder / "admin.key"))

    def run(*words: str) -> Any:
        done = run_command(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    key = run("enrolment", "add", "--uses", "3", "--id-pattern", "pump-*", "--label", "site:paris")["key"]
    answers: list[tuple[int, dict[str, Any]]] = []
    start = threading.Barrier(RACERS)

    def race(number: int) -> None:
        start.wait()
        answers.append(enrol(server.port, key, "pump-7", f"{number:03}b5d1c7f6a2e84d039f1c6a7e5b3d2f"))

    racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    won = [answer["key"] for status, answer in answers if status == 201]
    assert len(won) == 1, [status for status, _ in answers]
    assert {status for status, _ in answers} <= {201, 409, 429}
    assert beat(server.port, won[0], "pump-7") == 204

    secret = "c5e1c7f6a2e84d039f1c6a7e5b3d2f10"  # noqa: S105  # what a device makes for itself
    status, lost = enrol(server.port, key, "pump-8", secret)
    assert status == 201
    server.stop(signal.SIGKILL)
    server = Server(folder, "--auth", "required", devices=None)
    monkeypatch.setenv("FLEETPULSE_URL", f"http://127.0.0.1:{server.port}")
    status, again = enrol(server.port, key, "pump-8", secret)
    assert (status, again["is_repeated"]) == (201, True)
    assert [beat(server.port, one["key"], "pump-8") for one in (lost, again)] == [401, 204]
    assert enrol(server.port, key, "pump-8", secret)[0] == 409
    assert run("enrolment", "list")["keys"][0]["uses"] == 2
    assert "1 key revoked" in run("enrolment", "allow", "pump-8")["msg"]

    *acts, first = run("audit", "list", "--kind", "act")["entries"]
    assert (first["who"], first["action"], first["subject"]) == ("the service", "makeKey", "key 1")
    assert [entry["action"] for entry in acts] == ["allowEnrolment", *["enrol"] * 3, "makeEnrolmentKey"]
    assert {entry["address"] for entry in acts} == {"127.0.0.1"}
    done = run_command("audit", "export", "-o", str(tmp_path / "audit.ndjson"))
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "audit.ndjson").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert secret not in "".join(lines)
    assert "allowEnrolment" in run_command("audit", "list", "--csv").stdout
    server.stop()
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    refused = {entry.facts[3:] for entry in catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=1_000)}
    catalog.close()
    # A heartbeat with the key that was revoked, which the front door refused, and an enrolment once too often.
    shown = f"heartbeat, key {lost['number']}, which was shown"
    assert {one[:2] for one in refused} >= {("wrong_key", shown), ("enrolled", "enrol, key 2, which was shown")}
    assert {one[4] for one in refused if one[0] == "wrong_key"} == {"127.0.0.1"}
    done = run_command("verify", "--data", str(folder))
    assert (done.returncode, "audit log" in done.stdout) == (0, True), done.stdout
