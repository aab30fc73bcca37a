"""A disk that fails: nobody is acknowledged, the node says why it is read-only, and a restart has everything."""

import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

HEARTBEAT, STATS = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", f"/api/v1/devices/{PUBLISHED[0]}/stats"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")
def test_a_failed_sync_is_never_acknowledged(serve: Callable[..., Server]) -> None:
    server = serve()
    client = Client(server.port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    command = ["strace", "-f", "-p", str(server.process.pid), "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"]
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
