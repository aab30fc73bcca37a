"""A process that may open few files, or take little memory: it says so, and what it has acknowledged stays safe."""

import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from command import COMMAND
from conftest import Server
from http_client import Client

HEARTBEAT, STATS = "/api/v1/devices/d/heartbeat", "/api/v1/devices/d/stats"


def limited(folder: Path, *limits: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The command of a server with limits of its own."""
    serve = [*COMMAND, "serve", "--port", "0", "--data", str(folder), "--log-format", "json"]
    return ["prlimit", *limits, *serve, "--auto-register", *flags]


def refused(server: Server) -> float:
    client = Client(server.port)
    client.connection.request("GET", "/metrics")
    lines = client.connection.getresponse().read().decode().splitlines()
    client.close()
    name = 'fleetpulse_connections_refused_total{reason="connections"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def test_connections_never_take_the_files_of_journal_and_blocks(tmp_path: Path) -> None:
    command = limited(tmp_path / "data", "--nofile=256:256", flags=("--files-reserved", "100", "--checkpoint-s", "0.2"))
    server = Server.run(command, log=tmp_path / "log", folder=tmp_path / "data")
    try:
        client = Client(server.port)
        with ExitStack() as ends:
            for minute in range(10):
                for _ in range(60):
                    connection = ends.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                    connection.sendall(b"GET ")
                body = {"sent_at": f"2026-01-01T00:0{minute}:00Z"}
                assert client.ask("POST", HEARTBEAT, body)[0] == 204
                assert client.ask("GET", STATS)[0] == 200
        assert client.ask("GET", "/readyz")[1]["status"] == "ready"
        client.close()
        assert refused(server) > 400
        text = server.log.read_text()
        assert "fewer connections than connections_max" in text
        assert "failed" not in text
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("--nofile=64:64", "may open only 64 files"),
        ("--as=50000000", "fleetpulse: "),
        ("--as=250000000", "the limit of the address space leaves"),
        ("--as=520000000", ""),
    ],
)
def test_a_start_with_too_little_ends_in_a_sentence(tmp_path: Path, limit: str, words: str) -> None:
    done = subprocess.Popen(limited(tmp_path / "data", limit), stderr=subprocess.PIPE, text=True)
    try:
        _, text = done.communicate(timeout=3 if not words else 30)
    except subprocess.TimeoutExpired:  # it fitted
        done.terminate()
        _, text = done.communicate(timeout=30)
    assert "Traceback" not in text
    assert words in text
    if words:
        assert (done.returncode, len(text.strip().splitlines())) == (1, 1)
