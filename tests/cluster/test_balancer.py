"""HAProxy before three nodes, by deploy/haproxy.scale.cfg: who gets what, and what becomes of requests when nodes go.

The nodes here share nothing, so that it can be seen which of them took a report.
"""

import http.client
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer import Balancer

from command import COMMAND
from conftest import Server
from handed_socket import Beats
from http_client import Client
from quiet_ports import quiet_port

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy (Debian: haproxy)")
DEVICES = [f"device-{number}" for number in range(24)]
ALL_UP = ("UP", "UP", "UP")


class Three:
    """Three single nodes behind a balancer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [quiet_port() for _ in range(3)]
        (folder / "devices.csv").write_text("device_id\n" + "\n".join(DEVICES) + "\n")
        self.servers = [self.start(number) for number in range(3)]
        self.balancer = Balancer(folder, self.ports, **{"timeout server 15s": "timeout server 6s"})
        self.balancer.await_states(*ALL_UP)

    def start(self, number: int) -> Server:
        words = [*COMMAND, "serve", "--port", str(self.ports[number]), "--data", str(self.folder / f"data{number}")]
        words += ["--devices", str(self.folder / "devices.csv"), "--trusted-proxies", "127.0.0.1", "--auth", "off"]
        words += ["--device-per-s", "0", "--log-format", "json"]
        log = self.folder / f"node{number}-{time.monotonic_ns()}.log"
        return Server.run(words, log=log, folder=self.folder / f"data{number}")

    def begin_again(self) -> None:
        for number, server in enumerate(self.servers):
            if server.process.poll() is not None:
                self.servers[number] = self.start(number)
        self.balancer.await_states(*ALL_UP)

    def beat(self) -> None:
        """One heartbeat of each device, through the balancer."""
        client = Client(self.balancer.port)
        for device in DEVICES:
            assert (
                client.ask("POST", f"/api/v1/devices/{device}/heartbeat", {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
            )
        client.close()

    def accepted(self) -> list[list[int]]:
        """By node and device, how many events that node has accepted."""
        found = []
        for port in self.ports:
            client = Client(port)
            found.append([client.ask("GET", f"/api/v1/devices/{device}/account")[1]["accepted"] for device in DEVICES])
            client.close()
        return found

    def homes(self) -> list[int]:
        """By device, the node that takes its reports now."""
        before = self.accepted()
        self.beat()
        after = self.accepted()
        taken = [[one - other for one, other in zip(a, b, strict=True)] for a, b in zip(after, before, strict=True)]
        assert [sum(column) for column in zip(*taken, strict=True)] == [1] * len(DEVICES)
        return [column.index(1) for column in zip(*taken, strict=True)]

    def stop(self) -> None:
        self.balancer.stop()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
            server.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    three = Three(tmp_path_factory.mktemp("three"))
    yield three
    three.stop()


@pytest.fixture
def three(nodes: Three) -> Three:
    nodes.begin_again()
    return nodes


def test_what_concerns_a_device_goes_to_one_node_and_all_nodes_have_devices(three: Three) -> None:
    homes = three.homes()
    assert three.homes() == homes
    assert set(homes) == {0, 1, 2}
    client = Client(three.balancer.port)
    expected = [three.accepted()[home][place] for place, home in enumerate(homes)]
    assert [client.ask("GET", f"/api/v1/devices/{device}/account")[1]["accepted"] for device in DEVICES] == expected
    assert client.ask("GET", f"/api/v1/devices/{DEVICES[0]}/ping")[0] == 204
    client.close()
    assert three.accepted()[homes[0]][0] == expected[0] + 1
    # An id may be spelled in several ways.
    client = Client(three.balancer.port)
    path = f"/api/v1/devices/{DEVICES[0].replace('-', '%2D')}/heartbeat"
    assert client.ask("POST", path, {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    client.close()
    assert three.accepted()[homes[0]][0] == expected[0] + 2


def test_a_node_that_is_taken_out_gives_its_share_to_the_others_and_theirs_stay(three: Three) -> None:
    homes = three.homes()
    three.balancer.control("set server reports/node2 state drain")
    without = three.homes()
    assert set(without) == {0, 2}
    assert [home for home in homes if home != 1] == [new for new, home in zip(without, homes, strict=True) if home != 1]
    three.balancer.control("set server reports/node2 state ready")
    assert three.homes() == homes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_no_beat_is_refused_when_a_node_goes_and_comes(three: Three, number: signal.Signals) -> None:
    with Beats(three.balancer.port, DEVICES[:12], is_kept=True, pause_s=0.02) as beats:
        time.sleep(0.5)
        server = three.servers[1]
        server.process.send_signal(number)
        three.balancer.await_states("UP", "DOWN", "UP")
        if number == signal.SIGSTOP:
            time.sleep(6.5)  # those who wait for it are sent to another node
            server.process.send_signal(signal.SIGCONT)
        else:
            server.process.wait(20)
            three.servers[1] = three.start(1)
        three.balancer.await_states(*ALL_UP)
        time.sleep(0.5)
    # A process that is killed resets connections, so that HAProxy cannot know whether a request is safe to repeat.
    broken = len(beats.failures) + beats.repeated
    assert broken <= (12 if number == signal.SIGKILL else 0), beats.failures
    # A busy machine delays some; one that waited for the end of a limit of HAProxy's would take 15 s.
    assert max(beats.delays_s) < 9
    assert len(beats.delays_s) > 200


def test_without_a_node_the_balancer_answers_as_the_service_would(three: Three) -> None:
    for server in three.servers:
        server.stop(signal.SIGKILL)
    three.balancer.await_states("DOWN", "DOWN", "DOWN")
    connection = http.client.HTTPConnection("127.0.0.1", three.balancer.port)
    for method, path in (("POST", f"/api/v1/devices/{DEVICES[0]}/heartbeat"), ("GET", "/api/v1/devices")):
        connection.request(method, path)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert answer.headers["Content-Type"] == "application/json"
        assert problem.keys() == {"msg", "type", "title", "status", "detail"}
        assert (problem["status"], problem["type"]) == (503, "urn:fleetpulse:problem:no_node")
    connection.close()
