"""Another program that locks the databases: a wait, then 503 with Retry-After, and afterwards all goes on by itself."""

import contextlib
import http.client
import json
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from conftest import PUBLISHED, Server

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
HEARTBEAT = f"{DEVICE}/heartbeat"
WAIT_S = 0.3
LOCKS = ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"]
BEAT = {"sent_at": "2026-01-01T00:00:00Z"}


@contextlib.contextmanager
def locked(path: Path, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """A second connection that holds a lock; with `BEGIN` one that reads, as a backup does."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute(begin)
        other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


def ask(
    port: int, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} if raw is not None else {}
    connection.request(method, path, raw, given | headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text else None, response.headers


def check_refused(answer: tuple[int, Any, http.client.HTTPMessage]) -> None:
    status, problem, headers = answer
    assert (status, problem["type"]) == (503, "urn:fleetpulse:problem:database_busy"), problem
    assert int(headers["Retry-After"]) > 0


def accepted(port: int) -> int:
    return int(ask(port, "GET", f"{DEVICE}/audit")[1]["accepted"])


REPORTS: list[tuple[str, str, Any, dict[str, str]]] = [
    ("POST", HEARTBEAT, BEAT, {}),
    ("POST", f"{HEARTBEAT}?handed=over", BEAT, {}),
    ("POST", f"{DEVICE}/stats", {**BEAT, "upload_time": 5}, {}),
    ("POST", f"{DEVICE}/metrics", {**BEAT, "metrics": {"cpu": 5}}, {}),
    ("POST", "/api/v1/events", json.dumps({**BEAT, "device_id": PUBLISHED[0]}).encode(), {}),
]
CHANGES: list[tuple[str, str, Any, dict[str, str]]] = [
    ("POST", "/api/v1/devices/of-its-own/heartbeat", BEAT, {}),
    ("POST", "/api/v1/events", json.dumps({**BEAT, "device_id": "of-bulk"}).encode(), {}),
    ("POST", f"{DEVICE}/metrics", {**BEAT, "metrics": {"undefined": 5}}, {}),
    ("POST", "/api/v1/events", json.dumps({**BEAT, "device_id": PUBLISHED[0], "metrics": {"other": 5}}).encode(), {}),
    ("POST", "/api/v1/devices", {"id": "declared"}, {}),
    ("PATCH", DEVICE, {"note": "changed"}, {}),
    ("PATCH", "/api/v1/devices?all=true", {"labels": {"site": "paris"}}, {}),
    ("DELETE", f"/api/v1/devices/{PUBLISHED[1]}", None, {}),
    ("POST", f"{DEVICE}/pause", {"duration": "1h"}, {}),
    ("POST", "/api/v1/devices.csv", b"device_id\nimported\n", {"Content-Type": "text/csv"}),
    ("POST", "/api/v1/metrics/definitions", {"name": "defined"}, {}),
    ("PATCH", "/api/v1/metrics/definitions/cpu", {"unit": "%"}, {}),
    ("POST", "/api/v1/maintenance", {"all": True, "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}, {}),
]


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    started = serve("--database-wait-s", str(WAIT_S), "--auto-register", "--auto-define", "--checkpoint-s", "0.5")
    assert ask(started.port, "POST", f"{DEVICE}/metrics", {**BEAT, "metrics": {"cpu": 1}})[0] == 204
    return started


@pytest.mark.parametrize("begin", LOCKS)
def test_a_locked_journal_refuses_and_goes_on_by_itself(server: Server, begin: str) -> None:
    with locked(server.folder / "journal.sqlite", begin), ThreadPoolExecutor(len(REPORTS)) as senders:
        started_s = time.monotonic()
        answers = list(senders.map(lambda report: ask(server.port, *report[:3], **report[3]), REPORTS))
        assert time.monotonic() - started_s < 10 * WAIT_S
        for answer in answers:
            check_refused(answer)
        assert ask(server.port, "GET", "/readyz")[0] == 200
        assert ask(server.port, "GET", f"{DEVICE}/stats")[0] == 200  # questions go on
    before = accepted(server.port)
    for method, path, body, headers in REPORTS:
        assert ask(server.port, method, path, body, **headers)[0] in (200, 204)
    assert accepted(server.port) == before + len(
        REPORTS
    )  # what was refused was not written, and nothing was written twice
    page = http.client.HTTPConnection("127.0.0.1", server.port)
    page.request("GET", "/metrics")
    assert b"fleetpulse_commits_failed_total 0.0" in page.getresponse().read()
    page.close()


@pytest.mark.parametrize("name", ["journal.sqlite", "catalog.sqlite"])
@pytest.mark.parametrize("begin", LOCKS)
def test_a_shorter_lock_is_waited_for(server: Server, name: str, begin: str) -> None:
    with locked(server.folder / name, begin) as other:
        timer = threading.Timer(WAIT_S / 3, lambda: other.execute("ROLLBACK"))
        timer.start()
        for number, (method, path, body, headers) in enumerate([*REPORTS, *CHANGES][:: 1 if "cat" in name else 6]):
            assert ask(server.port, method, path, body, **headers)[0] < 300, (number, path)
        timer.join()


@pytest.mark.parametrize("begin", LOCKS)
def test_a_locked_catalog_refuses_changes_and_goes_on_by_itself(server: Server, begin: str) -> None:
    with locked(server.folder / "catalog.sqlite", begin):
        for method, path, body, headers in CHANGES:
            check_refused(ask(server.port, method, path, body, **headers))
        for method, path, body, headers in REPORTS:
            assert ask(server.port, method, path, body, **headers)[0] in (200, 204)  # they need no catalog
        server.wait_for_log("checkpoint failed")
    server.wait_for_log('"event": "checkpoint"')
    for method, path, body, headers in CHANGES:
        status, answer, _ = ask(server.port, method, path, body, **headers)
        assert status < 300, (path, answer)


def test_who_only_reads_hinders_nobody(server: Server) -> None:
    with locked(server.folder / "journal.sqlite", "BEGIN"), locked(server.folder / "catalog.sqlite", "BEGIN"):
        for method, path, body, headers in [*REPORTS, *CHANGES]:
            assert ask(server.port, method, path, body, **headers)[0] < 300, path
        server.wait_for_log('"event": "checkpoint"')


def test_a_stop_while_both_are_locked_loses_nothing(server: Server, serve: Callable[..., Server]) -> None:
    assert ask(server.port, "POST", f"{DEVICE}/stats", {**BEAT, "upload_time": 5})[0] == 204
    expected = accepted(server.port)
    with locked(server.folder / "journal.sqlite"), locked(server.folder / "catalog.sqlite"):
        assert server.stop(signal.SIGTERM) == 0
    assert accepted(serve().port) == expected


@pytest.mark.parametrize("name", ["journal.sqlite", "catalog.sqlite"])
@pytest.mark.parametrize("begin", [*LOCKS, "PRAGMA locking_mode=EXCLUSIVE"])
@pytest.mark.parametrize("command", ["serve", "verify"])
def test_a_start_with_a_lock_waits_then_says_what_locks_it(server: Server, name: str, begin: str, command: str) -> None:
    server.stop()
    flags = ["--port", "0"] if command == "serve" else []
    arguments = [command, "--data", str(server.folder), *flags]
    with locked(server.folder / name, begin) as other:
        if begin.startswith("PRAGMA"):
            other.execute("CREATE TABLE other (value)")  # the mode takes its lock with the first write
        ended = run_command(*arguments, "--database-wait-s", "0.2")
    assert ended.returncode == 1
    assert f"{name} for longer than 0.2 s (database_wait_s)" in ended.stderr
    assert "Traceback" not in ended.stderr
