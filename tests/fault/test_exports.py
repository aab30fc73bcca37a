"""Exports that are read slowly, left, or cut by a lost block, over the real command and sockets."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from command import COMMAND, run_command
from conftest import Server
from http_client import Client

END_OF_CHUNKS = b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of 400 devices: an export of 90 MB, of which a day does not fit into the buffers of the system."""
    folder = tmp_path_factory.mktemp("generated") / "data"
    flags = ["--devices", "400", "--days", "4", "--metrics", "0", "--end", "2026-05-20T00:00:00Z"]
    run_command("generate", "--data", str(folder), *flags).check_returncode()
    return folder


@pytest.fixture
def history(generated: Path, tmp_path: Path) -> Path:
    """The data folder that `serve` serves."""
    return shutil.copytree(generated, tmp_path / "data")


WINDOW = "from=2026-05-16T00:00:00Z&to=2026-05-20T00:00:00Z"
PATH = f"/api/v1/export?what=presence&{WINDOW}"


def reader(server: Server, *, version: str = "1.1", headers: str = "") -> socket.socket:
    """A client that asks for an export, and has read only the first bytes of its header."""
    connection = socket.socket()
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(f"GET {PATH} HTTP/{version}\r\nHost: localhost\r\n{headers}\r\n".encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    """What is left to read until the connection ends."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1_048_576):
            received += part
    return received


def totals(server: Server, name: str) -> dict[str, float]:
    """The values of a counter by its label."""
    client = Client(server.port)
    client.connection.request("GET", "/metrics")
    lines = client.connection.getresponse().read().decode().splitlines()
    client.close()
    found = [line.rsplit(" ", 1) for line in lines if line.startswith(f"fleetpulse_{name}_total{{")]
    return {label.split('"')[1]: float(value) for label, value in found}


def resident_bytes(server: Server) -> int:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4_096


def wait_for_ends(server: Server, name: str, count: int) -> None:
    end_s = time.monotonic() + 20
    while totals(server, "exports_ended").get(name, 0) < count:
        assert time.monotonic() < end_s, totals(server, "exports_ended")
        time.sleep(0.05)


def test_slow_readers_cost_little_are_limited_and_leave_room_when_they_go(
    history: Path, serve: Callable[..., Server]
) -> None:
    server = serve("--exports-max", "4", devices=None)
    before = resident_bytes(server)
    with contextlib.ExitStack() as ends:
        readers = [ends.enter_context(reader(server)) for _ in range(30)]
        heads = sorted(connection.recv(12)[9:] for connection in readers)
        assert heads == [b"200"] * 4 + [b"503"] * 26
        assert totals(server, "exports_refused") == {"exports_max": 26}
        assert resident_bytes(server) - before < 60_000_000
        client = Client(server.port)
        status, problem = client.ask("GET", PATH)
        client.close()
        assert (status, "exports_max" in problem["msg"]) == (503, True)
    wait_for_ends(server, "abandoned", 4)
    with reader(server) as connection:
        assert connection.recv(12)[9:] == b"200"


@pytest.mark.parametrize(
    ("version", "headers"),
    [*product(("1.1", "1.0"), ("", "Accept-Encoding: gzip\r\n")), ("1.1", "Connection: close\r\n")],
)
def test_an_export_that_fails_midway_does_not_look_whole(
    history: Path, serve: Callable[..., Server], version: str, headers: str
) -> None:
    server = serve(devices=None)
    with reader(server, version=version, headers=headers) as connection:
        head = connection.recv(1_024)
        assert b" 200 OK\r\n" in head
        for block in (history / "blocks").glob("presence-*"):
            block.unlink()
        rest = read_all(connection)
    assert not (head + rest).endswith(END_OF_CHUNKS)
    wait_for_ends(server, "damaged", 1)
    assert "Traceback" not in server.log.read_text()


def test_the_command_says_that_an_export_was_cut_and_keeps_no_file(
    history: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(devices=None)
    file = tmp_path / "presence.csv"
    command = [*COMMAND, "export", "presence", "--from", "2026-05-16T00:00:00Z"]
    command += ["--to", "2026-05-20T00:00:00Z", "--url", f"http://127.0.0.1:{server.port}", "-o", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "presence.csv.part"
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    for block in (history / "blocks").glob("presence-*"):
        block.unlink(missing_ok=True)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "broke off after" in text
    assert "not whole" in text
    assert not list(tmp_path.glob("presence.csv*"))


def test_a_reader_that_stands_still_is_cut(history: Path, serve: Callable[..., Server]) -> None:
    server = serve("--write-s", "0.3", devices=None)
    with reader(server) as connection:
        wait_for_ends(server, "abandoned", 1)
        received = read_all(connection)
    assert received
    assert not received.endswith(END_OF_CHUNKS)
