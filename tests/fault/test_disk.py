"""A disk that fails: nobody is acknowledged, the node says why it is read-only, and a restart has everything."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

HEARTBEAT, STATS = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", f"/api/v1/devices/{PUBLISHED[0]}/stats"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
def test_a_failed_sync_is_never_acknowledged(serve: Callable[..., Server]) -> None:
    server = serve()
    client = Client(server.port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    command = [
        "strace",
        "-f",
        "-p",
        str(server.process.pid),
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        "inject=fdatasync,fsync:error=EIO",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            tracer.kill()
            pytest.skip(f"strace may not attach here: {line.strip()}")
        for _ in range(2):
            status, problem = client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})
            assert (status, "read-only" in problem["msg"]) == (503, True)
        tracer.send_signal(signal.SIGINT)
    status, ready = client.ask("GET", "/readyz")
    assert (status, ready["status"]) == (503, "read_only")
    assert client.ask("GET", STATS)[1]["uptime"] == 100.0
    client.close()
    server.stop(signal.SIGKILL)
    client = Client(serve().port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})[0] == 204
    assert client.ask("GET", STATS)[1]["uptime"] == 20.0
    client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_refuses_loses_nothing_and_recovers_with_space(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr}")
    servers = []
    try:
        servers.append(Server(disk / "data"))
        acknowledged = fill(servers[0])
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
        subprocess.run(["umount", str(disk)], check=True)


AUDIT = f"/api/v1/devices/{PUBLISHED[0]}/audit"


def fill(server: Server) -> int:
    """Say heartbeats until the disk is full, and look at what the server makes of it; how many were acknowledged."""
    client = Client(server.port)
    body = "\n".join([json.dumps({"device_id": PUBLISHED[0], "sent_at": "2026-01-01T00:00:00Z"})] * 5_000).encode()
    acknowledged = 0
    for _ in range(1_000):
        status, answer = client.ask("POST", "/api/v1/events", body)
        if status == 503:
            break
        assert (status, answer["accepted"]) == (200, 5_000)
        acknowledged += 5_000
    assert (status, "read-only" in answer["msg"], "disk is full" in answer["msg"]) == (503, True, True), answer
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:10:00Z"})[0] == 503
    status, ready = client.ask("GET", "/readyz")
    assert (status, ready["status"]) == (503, "read_only")
    assert client.ask("GET", AUDIT)[1]["accepted"] == acknowledged
    client.close()
    # It cannot take its last checkpoint either; the journal still holds everything.
    assert server.stop(signal.SIGTERM) == 0
    return acknowledged
