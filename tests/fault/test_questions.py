"""Dear questions of impatient clients: with raw sockets, to the real command, over a generated history."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import run_command
from conftest import Server

DEAR = "/api/v1/fleet/metrics?types=cpu&window=2d&step=5m&aggregation=p99"
SMALL = "/api/v1/devices/device-0000001/uptime?window=1d"
LIST = "/api/v1/devices?limit=3"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dear") / "data"
    made = ["generate", "--data", str(folder), "--days", "2", "--devices", "400", "--metrics", "1"]
    run_command(*made).check_returncode()
    return folder


def served(folder: Path, *flags: str) -> Iterator[Server]:
    server = Server(folder, *flags, devices=None)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(history: Path) -> Iterator[Server]:
    yield from served(history, "--questions-big-waiting-max", "200", "--small-question-ms", "30")


@pytest.fixture
def limited(history: Path, server: Server) -> Iterator[Server]:
    """With little patience and little room; the other server is stopped, since both have one folder."""
    server.stop()
    yield from served(
        history, *("--questions-big-waiting-max", "2", "--question-timeout-s", "0.5", "--small-question-ms", "0.5")
    )


def ask(server: Server, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def seconds(server: Server, path: str) -> float:
    """How long an answer takes."""
    begin_s = time.monotonic()
    assert ask(server, path)[0] == 200
    return time.monotonic() - begin_s


def send(server: Server, path: str, version: str = "1.1") -> socket.socket:
    """A connection on which a question was put."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(f"GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def gauge(server: Server, name: str) -> float:
    """A figure of /metrics."""
    lines = ask(server, "/metrics")[2].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"fleetpulse_{name}"))


def await_gauge(server: Server, name: str, value: float) -> None:
    end_s = time.monotonic() + 20
    while gauge(server, name) != value:
        assert time.monotonic() < end_s, (name, gauge(server, name), value)
        time.sleep(0.01)


def test_a_hundred_clients_who_ask_and_hang_up_delay_nobody(server: Server) -> None:
    alone_s, small_s = seconds(server, DEAR), seconds(server, SMALL)
    crowd = [send(server, DEAR) for _ in range(100)]
    await_gauge(server, 'questions_waiting{lane="big"}', 99)
    beside_s = max(seconds(server, SMALL), seconds(server, LIST))
    assert beside_s < small_s + alone_s, "small questions wait for none of the big ones"
    for connection in crowd:
        connection.close()
    # All but the one that runs leave at once, long before a hundred answers could be made.
    await_gauge(server, 'questions_waiting{lane="big"}', 0)
    assert seconds(server, DEAR) < 10 * alone_s
    assert gauge(server, 'questions_stopped_total{reason="question_abandoned"}') >= 90


def test_a_client_with_many_connections_delays_another_by_its_turn_only(server: Server) -> None:
    alone_s = seconds(server, DEAR)
    crowd = [send(server, DEAR) for _ in range(60)]
    await_gauge(server, 'questions_waiting{lane="big"}', 59)
    begin_s = time.monotonic()
    other = socket.create_connection(("127.0.0.1", server.port), 60, source_address=("127.0.0.2", 0))
    other.sendall(f"GET {DEAR} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert read_all(other).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - begin_s < 15 * alone_s
    assert gauge(server, 'questions_waiting{lane="big"}') > 20, "most of the others wait still"
    for connection in crowd:
        connection.close()
    await_gauge(server, 'questions_waiting{lane="big"}', 0)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_client_that_only_closes_its_sending_side_still_gets_its_answer(server: Server, version: str) -> None:
    crowd = [send(server, DEAR) for _ in range(4)]
    patient = send(server, DEAR, version)
    patient.shutdown(socket.SHUT_WR)
    answer = read_all(patient)
    interim, found, rest = answer.partition(b"HTTP/1.1 200 OK\r\n")
    assert found, answer[:200]
    assert interim.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"") == b""
    assert bool(interim) == (version == "1.1")
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["groups"]
    for connection in crowd:
        connection.close()


def test_what_has_no_room_and_what_takes_too_long_is_refused_with_retry_after(limited: Server) -> None:
    crowd = [send(limited, DEAR) for _ in range(10)]
    begin_s = time.monotonic()
    statuses = []
    for connection in crowd:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
        statuses.append(answer.status)
        if answer.status != 200:
            assert answer.status == 503
            assert body["type"].rpartition(":")[2] in ("questions_busy", "question_timeout")
            assert int(answer.headers["retry-after"]) >= 1
        connection.close()
    assert time.monotonic() - begin_s < 5
    assert statuses.count(503) >= 7
    assert gauge(limited, 'questions_refused_total{reason="questions_busy"}') >= 7
