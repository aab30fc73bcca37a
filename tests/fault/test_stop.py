"""The service stops in `shutdown_s`, whatever runs or hangs, and what was acknowledged is there afterwards."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from command import COMMAND, run_command
from conftest import PUBLISHED, Server
from fleetpulse.stop_signals import OUT_OF_TIME_STATUS
from http_client import Client
from strace import injected

HEARTBEAT, STATS = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", f"/api/v1/devices/{PUBLISHED[0]}/stats"
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")


def status_of_ended(server: Server, tracer: subprocess.Popen[str], *, within_s: float) -> int:
    """The exit status of a server that ends while its calls hang. Fails where it does not end, or leaves a trace.

    It has ended when only its entry in the table of processes is left, which its tracer keeps.
    """
    end_s = time.monotonic() + within_s
    while ") Z " not in Path(f"/proc/{server.process.pid}/stat").read_text():
        assert time.monotonic() < end_s, server.log.read_text()
        time.sleep(0.02)
    tracer.kill()
    status = server.process.wait(10)
    assert "Traceback" not in server.log.read_text()
    return status


def stop_within(server: Server, seconds: float) -> int:
    """Stop a server by SIGTERM; its exit status. Fails where it takes longer, or leaves a trace."""
    started_s = time.monotonic()
    status = server.stop()
    assert time.monotonic() - started_s < seconds
    assert "Traceback" not in server.log.read_text()
    return status


def beat(server: Server, at: str) -> None:
    client = Client(server.port)
    assert client.ask("POST", HEARTBEAT, {"sent_at": at})[0] == 204
    client.close()


def connected(server: Server, request: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(request.encode())
    return connection


HALF_BODY = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


ENDLESS = [
    "",
    "GET",
    f"POST {HEARTBEAT} HTTP/1.1\r\nHost: localhost\r\n{HALF_BODY}",
    f"POST /api/v1/devices HTTP/1.1\r\nHost: localhost\r\n{HALF_BODY}",
    f"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{HALF_BODY.replace('json', 'x-ndjson')}",
]


def test_requests_that_never_end_are_cut_off(serve: Callable[..., Server]) -> None:
    server = serve("--shutdown-s", "4")
    beat(server, "2026-01-01T00:00:00Z")
    with contextlib.ExitStack() as ends:
        connections = [ends.enter_context(connected(server, text)) for text in ENDLESS]
        time.sleep(0.05)
        assert stop_within(server, 8.0) == 0
        for connection in connections:
            with contextlib.suppress(ConnectionResetError):
                assert b"Traceback" not in connection.recv(65_536)
    assert '"event": "stopped"' in server.log.read_text()


def test_slow_readers_and_questions_do_not_keep_it(serve: Callable[..., Server], tmp_path: Path) -> None:
    flags = ["--devices", "400", "--days", "4", "--metrics", "1", "--end", "2026-05-20T00:00:00Z"]
    run_command("generate", "--data", str(tmp_path / "data"), *flags).check_returncode()
    server = serve("--shutdown-s", "4", devices=None)
    window = "from=2026-05-16T00:00:00Z&to=2026-05-20T00:00:00Z"
    paths = [f"/api/v1/export?what=presence&{window}"] * 3
    paths += [f"/api/v1/fleet/metrics?types=cpu&aggregation=p99&step=1m&{window}&cells={number}" for number in range(3)]
    paths += [f"/api/v1/fleet/uptime?step=1h&{window}"] * 3
    with contextlib.ExitStack() as ends:
        for path in paths:
            ends.enter_context(connected(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        time.sleep(0.5)
        assert stop_within(server, 7.0) == 0
    assert "ended early" not in server.log.read_text()


@needs_strace
@pytest.mark.parametrize("calls", ["fdatasync", "fsync"])
def test_a_disk_that_does_not_answer_does_not_keep_it_and_nothing_is_lost(
    serve: Callable[..., Server], calls: str
) -> None:
    server = serve("--shutdown-s", "1.5")
    beat(server, "2026-01-01T00:00:00Z")
    with injected(server, calls, "delay_enter=60s") as tracer:
        head = f"POST {HEARTBEAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: 35\r\n\r\n"
        with connected(server, request + '{"sent_at": "2026-01-01T00:10:00Z"}'):
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            assert status_of_ended(server, tracer, within_s=10) == OUT_OF_TIME_STATUS
    text = server.log.read_text()
    assert "what did not finish is left as after a crash" in text
    assert '"running": ["stage: ' in text
    client = Client(serve().port)
    assert client.ask("GET", STATS)[0] == 200
    assert client.ask("GET", STATS)[1]["uptime"] is not None
    client.close()


@needs_strace
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(serve: Callable[..., Server], number: signal.Signals) -> None:
    server = serve("--shutdown-s", "60")
    beat(server, "2026-01-01T00:00:00Z")
    with injected(server, "fdatasync,fsync", "delay_enter=60s") as tracer:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.process.poll() is None
        server.process.send_signal(number)
        assert status_of_ended(server, tracer, within_s=10) == 128 + number


def test_a_start_that_hangs_is_ended(serve: Callable[..., Server], tmp_path: Path) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "PATH": "/usr/bin:/bin"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "new")]
        command += ["--blocks", "s3://bucket/prefix", "--s3-timeout-s", "60", "--shutdown-s", "1"]
        command += ["--s3-endpoint", f"http://127.0.0.1:{silent.getsockname()[1]}"]
        log = tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file, env=environment)
        silent.settimeout(30)
        connection, _ = silent.accept()  # it waits for the store now
        with connection:
            started_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            status = process.wait(30)
            assert time.monotonic() - started_s < 6
    assert status in (0, OUT_OF_TIME_STATUS)
    assert "Traceback" not in log.read_text()
