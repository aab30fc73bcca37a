"""A disk that fails, hangs or is full: nobody is acknowledged, every 503 tells the truth, and nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import PUBLISHED, Server
from http_client import Client
from strace import injected

HEARTBEAT, STATS = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", f"/api/v1/devices/{PUBLISHED[0]}/stats"


def reason_of(problem: dict[str, str]) -> str:
    """The reason of a refusal."""
    return problem["type"].rpartition(":")[2]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
def test_a_failed_sync_is_never_acknowledged(serve: Callable[..., Server]) -> None:
    server = serve()
    client = Client(server.port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    with injected(server, "fdatasync,fsync", "error=EIO"):
        status, problem = client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})
        assert (status, reason_of(problem)) == (503, "outcome_unknown")
        assert "send it again" in problem["msg"]
        status, problem = client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})
        assert (status, reason_of(problem)) == (503, "read_only")
        assert "nothing more is accepted" in problem["msg"]
    for path in ("/readyz", "/healthz"):  # only a restart helps, so a supervisor must see it
        status, answer = client.ask("GET", path)
        assert (status, answer["status"]) == (503, "read_only")
    assert client.ask("GET", STATS)[1]["uptime"] == 100.0
    client.close()
    server.stop(signal.SIGKILL)
    client = Client(serve().port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})[0] == 204
    assert client.ask("GET", STATS)[1]["uptime"] == 20.0
    client.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
def test_a_disk_that_hangs_is_told_in_time_and_what_it_stored_counts(serve: Callable[..., Server]) -> None:
    server = serve("--commit-timeout-s", "0.5")
    client = Client(server.port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    line = json.dumps({"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:11:00Z"}).encode()
    with injected(server, "fdatasync", "delay_enter=3s:when=1"):
        answers = at_once(
            server,
            lambda client: client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"}),
            lambda client: client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/ping"),
            lambda client: client.ask("POST", "/api/v1/events", line),
        )
        reasons = {reason_of(problem) for _, problem in answers}
        assert {status for status, _ in answers} == {503}
        assert "outcome_unknown" in reasons <= {"outcome_unknown", "disk"}
        status, ready = client.ask("GET", "/readyz")
        assert (status, ready["status"]) == (503, "disk")
        assert client.ask("GET", "/healthz")[0] == 200  # it is no use to restart it
        status, problem = client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:12:00Z"})
        assert (status, reason_of(problem), "nothing is accepted" in problem["msg"]) == (503, "disk", True)
        totals = counters(server)
        assert totals["fleetpulse_events_unknown"] >= 1
        check_that_they_add_up(totals)
        wait_until(lambda: client.ask("GET", "/readyz")[0] == 200)
    totals = counters(server)
    assert totals["fleetpulse_events_unknown"] == 0
    check_that_they_add_up(totals)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:13:00Z"})[0] == 204
    client.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
def test_declarations_on_a_disk_that_hangs_are_told_in_time(serve: Callable[..., Server]) -> None:
    server = serve("--commit-timeout-s", "0.5", "--auto-register")
    client = Client(server.port)
    device = f"/api/v1/devices/{PUBLISHED[1]}"
    with injected(server, "fdatasync,fsync", "delay_enter=4s:when=1"):
        answers = at_once(
            server,
            lambda client: client.ask("POST", f"{device}/pause", {}),
            lambda client: client.ask("PATCH", f"/api/v1/devices/{PUBLISHED[2]}", {"note": "x"}),
            lambda client: client.ask("POST", "/api/v1/devices/new-device/ping"),
        )
        assert {status for status, _ in answers} == {503}, answers
        reasons = [reason_of(problem) for _, problem in answers]
        assert set(reasons) <= {"outcome_unknown", "disk"}
        # Exactly one of them had its turn: the others have changed nothing.
        assert reasons.count("outcome_unknown") <= 1
        assert reasons[2] == "disk"
        wait_until(lambda: client.ask("POST", f"/api/v1/devices/{PUBLISHED[3]}/pause", {})[0] == 200)
    assert client.ask("POST", "/api/v1/devices/new-device/ping")[0] == 204
    # What was written in the end is in effect, as after a restart.
    before = client.ask("GET", "/api/v1/devices")[1]["devices"]
    client.close()
    server.stop(signal.SIGKILL)
    client = Client(serve("--auto-register").port)
    after = client.ask("GET", "/api/v1/devices")[1]["devices"]
    assert [device["id"] for device in after] == [device["id"] for device in before]
    assert [device["status"] == "paused" for device in after] == [device["status"] == "paused" for device in before]
    client.close()


Answer = tuple[int, Any]


def at_once(server: Server, *requests: Callable[[Client], Answer]) -> list[Answer]:
    """The answers to requests that are sent by as many clients at the same time."""

    def send(request: Callable[[Client], Answer]) -> Answer:
        client = Client(server.port)
        try:
            return request(client)
        finally:
            client.close()

    with ThreadPoolExecutor(len(requests)) as executor:
        return list(executor.map(send, requests))


def wait_until(is_true: Callable[[], bool], seconds: float = 30) -> None:
    end_s = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def counters(server: Server) -> dict[str, float]:
    """The totals and gauges of /metrics; those with labels are summed up."""
    totals: dict[str, float] = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        page = answer.read().decode()
    for line in page.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            totals[name] = totals.get(name, 0) + float(value)
    return totals


def check_that_they_add_up(totals: dict[str, float]) -> None:
    """Every event that was received has its place."""
    parts = ("accepted_total", "refused_total", "unknown", "waiting")
    assert totals["fleetpulse_events_received_total"] == sum(totals[f"fleetpulse_events_{part}"] for part in parts)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_refuses_loses_nothing_and_goes_on_by_itself_with_space(disk: Path) -> None:
    server = Server(disk / "data", *WITHOUT_THRESHOLDS)
    try:
        acknowledged = fill(server)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        client = Client(server.port)
        wait_until(lambda: client.ask("GET", "/readyz")[0] == 200)
        assert client.ask("GET", AUDIT)[1]["heartbeats"] == acknowledged > 0
        assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})[0] == 204
        check_that_they_add_up(counters(server))
        client.close()
        assert server.stop(signal.SIGTERM) == 0
    finally:
        server.stop(signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_after_a_full_disk_a_restart_has_everything(disk: Path) -> None:
    servers = [Server(disk / "data", *WITHOUT_THRESHOLDS)]
    try:
        acknowledged = fill(servers[0])
        # It cannot take its last checkpoint either; the journal still holds everything.
        assert servers[0].stop(signal.SIGTERM) == 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        servers.append(Server(disk / "data"))
        client = Client(servers[1].port)
        assert client.ask("GET", AUDIT)[1]["heartbeats"] == acknowledged > 0
        assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})[0] == 204
        client.close()
        assert servers[1].stop(signal.SIGTERM) == 0
    finally:
        for server in servers:
            server.stop(signal.SIGKILL)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_backlogs_are_refused_before_the_disk_is_full_and_heartbeats_last(disk: Path) -> None:
    server = Server(disk / "data", *NO_ROUNDS)
    try:
        client = Client(server.port)
        filler = disk / "filler"
        fill_up_to(filler, 400_000)  # below a tenth of 6 MB, not below a fiftieth
        line = json.dumps({"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:00:00Z"}).encode()

        def bulk() -> Answer:
            return client.ask("POST", "/api/v1/events", line)

        wait_until(lambda: bulk()[0] == 503)
        for status, problem in (bulk(), client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})):
            assert (status, reason_of(problem)) == (503, "disk_low")
        assert client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/ping")[0] == 204
        status, ready = client.ask("GET", "/readyz")
        assert (status, ready["status"], "disk_free_low_bytes" in ready["msg"]) == (200, "degraded", True)
        fill_up_to(filler, 60_000)
        wait_until(lambda: client.ask("GET", "/readyz")[0] == 503)
        assert reason_of(client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/ping")[1]) == "disk_low"
        filler.unlink()
        wait_until(lambda: bulk()[0] == 200)
        wait_until(lambda: client.ask("GET", "/readyz")[1]["status"] == "ready")
        check_that_they_add_up(counters(server))
        client.close()
        assert server.stop(signal.SIGTERM) == 0
    finally:
        server.stop(signal.SIGKILL)


def fill_up_to(filler: Path, free_bytes: int) -> None:
    """Make a file longer, until only so much is free on its disk."""
    space = os.statvfs(filler.parent)
    with filler.open("ab") as file:
        file.write(b"x" * max(0, space.f_bavail * space.f_frsize - free_bytes))


NO_ROUNDS = ("--alert-interval-s", "3600")
"""What rounds of alerts store about a disk that is nearly full takes a good part of what these small ones have left."""
WITHOUT_THRESHOLDS = ("--disk-free-low-bytes", "0", "--disk-free-least-bytes", "0", *NO_ROUNDS)
AUDIT = f"/api/v1/devices/{PUBLISHED[0]}/audit"


def fill(server: Server) -> int:
    """Report heartbeats until the disk is full, and look at what the server makes of it; how many were acknowledged."""
    client = Client(server.port)
    body = "\n".join([json.dumps({"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:00:00Z"})] * 5_000).encode()
    acknowledged = 0
    for _ in range(1_000):
        status, answer = client.ask("POST", "/api/v1/events", body)
        if status == 503:
            break
        assert (status, answer["accepted"]) == (200, 5_000)
        acknowledged += 5_000
    assert (status, "disk is full" in answer["msg"]) == (503, True), answer
    # The mark of each minute is an append too: where that is what fails, the body is refused before it is tried.
    assert reason_of(answer) in {"outcome_unknown", "disk_full"}
    status, problem = client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})
    assert (status, reason_of(problem)) == (503, "disk_full")
    assert "nothing is accepted" in problem["msg"]
    status, ready = client.ask("GET", "/readyz")
    assert (status, ready["status"]) == (503, "disk_full")
    assert client.ask("GET", "/healthz")[0] == 200
    assert client.ask("GET", AUDIT)[1]["accepted"] == acknowledged
    client.close()
    return acknowledged
