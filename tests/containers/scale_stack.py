"""deploy/compose.scale.yaml in an engine of the tests' own, with stand-ins for the official images.

What a stand-in does not show: that the official image has what the Compose file needs of it. NATS is the real server;
PostgreSQL and HAProxy are Debian's, which are older; Garage is moto, which forgets everything when it ends.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
STANDINS = Path(__file__).parent / "standins"
PROJECT = "scale"
NODES, STREAM_SERVERS = ("node1", "node2", "node3"), ("nats1", "nats2", "nats3")
ENGINES = (*STREAM_SERVERS, "postgres", "s3")
IMAGE, NEXT_IMAGE = "fleetpulse:test", "fleetpulse:next"
HEALTHY_S = 120.0


@dataclass
class Stack:
    """The services of the Compose file."""

    environment: dict[str, str]
    deploy: Path
    """A copy of deploy/, with secrets of its own."""
    _key: list[str] = field(default_factory=list)

    def run(self, *words: str, checked: bool = True) -> str:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False, timeout=450, cwd=ROOT
        )
        assert not checked or done.returncode == 0, f"{words}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + ("" if checked else done.stderr)

    def compose(self, *words: str, checked: bool = True) -> str:
        path = str(self.deploy / "compose.scale.yaml")
        return self.run("docker-compose", "-p", PROJECT, "-f", path, *words, checked=checked)

    def up(self, *services: str) -> None:
        """Start services, without what they depend on."""
        self.compose("up", "-d", "--no-deps", *services)

    def container(self, service: str) -> str:
        """Its id; asked without Compose, which takes a second to start."""
        labels = {"project": PROJECT, "service": service}.items()
        filters = [word for name, value in labels for word in ("--filter", f"label=com.docker.compose.{name}={value}")]
        return self.run("docker", "ps", "--all", "--quiet", "--no-trunc", *filters).strip()

    def state(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("docker", "inspect", self.container(service)))[0]["State"]
        return found

    def await_healthy(self, *services: str, other_than: str = "") -> float:
        """Wait until all are healthy, and were not started at `other_than`. Returns: how long it took."""
        began_s = time.monotonic()
        for service in services:
            while True:
                state = self.state(service)
                if state["StartedAt"] != other_than and state.get("Health", {}).get("Status") == "healthy":
                    break
                if time.monotonic() > began_s + HEALTHY_S:
                    raise AssertionError(json.dumps(state)[-3000:] + self.compose("logs", "--tail", "40", service))
                time.sleep(0.5)
        return time.monotonic() - began_s

    def kill(self, service: str) -> str:
        """Kill -9, after which the engine starts it again. Returns: when the former one was started."""
        state = self.state(service)
        os.kill(state["Pid"], 9)
        return str(state["StartedAt"])

    @contextlib.contextmanager
    def paused(self, service: str) -> Iterator[None]:
        container = self.container(service)
        # The kernel may refuse to freeze a container in which a health check begins or ends at that moment.
        await_true(lambda: "unable to freeze" not in self.run("docker", "pause", container, checked=False), "a pause")
        assert self.state(service)["Paused"]
        try:
            yield
        finally:
            self.run("docker", "unpause", container)

    @contextlib.contextmanager
    def cut_off(self, service: str, network: str) -> Iterator[None]:
        """Without this network, as if a cable were drawn."""
        container, name = self.container(service), f"{PROJECT}_{network}"
        self.run("docker", "network", "disconnect", name, container)
        try:
            yield
        finally:
            self.run("docker", "network", "connect", "--alias", service, name, container)

    @property
    def key(self) -> str:
        """The key that the first start made; one of the nodes has it."""
        end_s = time.monotonic() + 30
        while not self._key:
            for node in NODES:
                text = self.run("docker", "exec", self.container(node), "cat", "/data/admin.key", checked=False)
                if text.strip().startswith("fp"):
                    self._key.append(text.strip())
                    break
            else:
                assert time.monotonic() < end_s, "no node has made the first key"
                time.sleep(0.5)
        return self._key[0]

    def beside_balancer(self, *words: str) -> str:
        """Run a container where the balancer is reached, in the background. Returns: its id."""
        network = f"{PROJECT}_front"
        return self.run("docker", "run", "--detach", "--no-healthcheck", "--network", network, *words).strip()

    def address(self, service: str, network: str = "front") -> str:
        inspected = json.loads(self.run("docker", "inspect", self.container(service)))[0]
        return str(inspected["NetworkSettings"]["Networks"][f"{PROJECT}_{network}"]["IPAddress"])

    def answer(self, service: str, path: str, *, csv_body: str = "", address: str = "") -> tuple[int, str]:
        """Status and text of what a service answers on port 6733, to GET, or to POST of a table.

        Args: address: of the service, where it is known already, since asking the engine takes longer than the answer.
        """
        headers = {"Authorization": f"Bearer {self.key}"} | ({"Content-Type": "text/csv"} if csv_body else {})
        url, body = f"http://{address or self.address(service)}:6733{path}", csv_body.encode() or None
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ask(self, service: str, path: str, *, address: str = "") -> tuple[int, dict[str, Any]]:
        """Status, and what a service answers, as JSON."""
        status, text = self.answer(service, path, address=address)
        return status, json.loads(text)


@contextlib.contextmanager
def built_stack(environment: dict[str, str], folder: Path, *, port: int, subnet: str) -> Generator[Stack, None, None]:
    """All images in an engine, and nothing started yet."""
    deploy = folder / "deploy"
    shutil.copytree(ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([deploy / "scale" / "make-secrets.sh"], check=True)
    settings = {
        "FLEETPULSE_IMAGE": IMAGE,
        "FLEETPULSE_PUBLISH_PORT": str(port),
        "FLEETPULSE_SUBNET": subnet,
        "NATS_IMAGE": "nats:standin",
        "POSTGRES_IMAGE": "postgres:standin",
        "HAPROXY_IMAGE": "haproxy:standin",
        "S3_IMAGE": "garage:standin",
    }
    stack = Stack({**environment, **settings}, deploy)
    with ThreadPoolExecutor() as both:  # each waits for the network most of the time
        ours = both.submit(stack.run, "docker", "build", "-q", "-t", IMAGE, "-f", "deploy/Dockerfile", ".")
        for target in ("nats", "postgres", "haproxy", "garage"):
            stack.run("docker", "build", "-q", "--target", target, "-t", f"{target}:standin", str(STANDINS))
        ours.result()
    try:
        yield stack
    finally:
        # A container that a failed test left beside the balancer would keep the network, and its bridge on the machine.
        if names := stack.run("docker", "ps", "--all", "--quiet", "--filter", f"network={PROJECT}_front").split():
            stack.run("docker", "rm", "--force", *names)
        stack.compose("down", "--volumes", "--timeout", "5", checked=False)


def await_true(is_true: Callable[[], object], what: str, *, within_s: float = 60.0) -> float:
    """Wait until something holds. Returns: how long it took."""
    began_s = time.monotonic()
    while not is_true():
        assert time.monotonic() < began_s + within_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.25)
    return time.monotonic() - began_s
