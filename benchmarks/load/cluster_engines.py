"""A cluster on this machine for benchmarks: three NATS servers, PostgreSQL, an S3 API (moto), and nodes.

Links are direct: neither a balancer nor the proxies of tests/cluster stand between.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import TICK_US

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "cluster"))
from members import Node, S3Process

from nats_server import NatsCluster
from postgres_server import PostgresServer
from s3_server import REGION

READY_S = 600.0
"""Registering a million devices takes a minute or two, and longer on a busy machine."""
FLAGS = [
    *("--auth", "off", "--device-per-s", "0", "--log-format", "json", "--connections-per-address-max", "16384"),
    *("--blind-notice-s", "3600"),
]


class Engines:
    """The engines, started; nodes are added one by one."""

    def __init__(self, folder: Path, *flags: str) -> None:
        """`flags`: of each node."""
        self.folder, self._flags = folder, flags
        self.nats = NatsCluster(folder / "nats")
        self.postgres = PostgresServer(folder / "postgres", settings={"shared_buffers": "128MB"})
        self.s3 = S3Process(folder / "s3", outlives_kills=False)
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self.postgres.start()
            self.nats.start()
            self.s3.start()
            self.postgres.wait_ready()
            self.s3.wait_ready()
            self.catalog = self.postgres.database()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.kill()
        self.nats.stop()
        self.postgres.stop()
        self.s3.kill()

    def add_node(self, *flags: str) -> float:
        """Start one more node on an empty folder. Returns: the seconds until /readyz is 200."""
        name = f"node{len(self.nodes) + 1}"
        words = [
            *("--node-name", name, "--journal", self.nats.url(), "--nats-monitors", self.nats.monitors),
            *("--journal-replicas", "3", "--catalog", self.catalog, "--blocks", "s3://cluster/blocks"),
            *("--s3-region", REGION, "--s3-endpoint", f"http://127.0.0.1:{self.s3.port}"),
        ]
        self.nodes.append(Node(self.folder, name, [*words, *FLAGS, *self._flags, *flags]))
        self.nodes[-1].start()
        return await_ready(self.nodes[-1])

    @property
    def ports(self) -> list[int]:
        """Of the nodes."""
        return [node.port for node in self.nodes]

    def holder(self) -> str:
        """The name of the node that holds the lease, by the catalog; empty where the lease has run out."""
        database = self.catalog.rpartition("/")[2]
        rows = self.postgres.execute("SELECT holder FROM lease", database=database)
        return str(rows[0][0]).rpartition("-")[0] if rows else ""

    def node(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)


KINDS = {"nodes": b"fleetpulse\0serve", "NATS": b"nats-server", "PostgreSQL": b"postgres", "S3": b"moto.server"}
"""Kinds of processes, by a part of their command."""


def cpu_us() -> dict[str, float]:
    """CPU time that the processes of a cluster have used so far, µs, by kind; those that have ended left out."""
    found = dict.fromkeys(KINDS, 0.0)
    for process in _descendants(os.getpid()):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            for kind, part in KINDS.items():
                if part in command:
                    found[kind] += (int(fields[11]) + int(fields[12])) * TICK_US
                    break
    return found


def _descendants(process: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from _descendants(child)


def await_ready(node: Node) -> float:
    """Wait until a node serves. Returns: seconds."""
    began_s = time.monotonic()
    while not node.is_ready:
        if node.has_ended or time.monotonic() - began_s > READY_S:
            sys.exit(f"{node.name} does not serve:\n{node.log_text[-3000:]}")
        time.sleep(0.05)
    return time.monotonic() - began_s


def load_average() -> list[Any]:
    """How busy the machine was in the last minutes."""
    return [float(word) for word in Path("/proc/loadavg").read_text().split()[:3]]
