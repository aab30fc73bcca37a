"""A whole cluster on loopback: NATS, PostgreSQL, an S3 API, nodes and HAProxy, with a proxy on every link."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from balancer import Balancer
from links import Link, Links
from members import Member, Node, S3Process

from nats_server import NatsCluster
from postgres_server import PostgresServer
from s3_server import REGION

READY_S = 90.0
QUICK = [
    *("--auth", "off", "--device-per-s", "0", "--trusted-proxies", "127.0.0.1", "--log-format", "json"),
    *("--shutdown-s", "20", "--checkpoint-s", "6", "--alert-interval-s", "0.2", "--delivery-retry-s", "0.2"),
    *("--blind-notice-s", "3600", "--flap-within-s", "1"),
]


HOLDERS_TABLES = ("manifest", "alert_round", "alert_piece", "incident", "message")
_WATCH = """
CREATE SCHEMA watching;
CREATE TABLE watching.written (what text, who text, holder text, epoch bigint, at timestamptz);
CREATE FUNCTION watching.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watching.written SELECT TG_TABLE_NAME, session_user, holder, epoch, clock_timestamp() FROM lease;
    RETURN NULL;
END $$;
"""


class Cluster:
    """Its members by name: `node1`, `nats1`, `postgres`, `s3`. A link has the names of both its ends."""

    def __init__(
        self,
        folder: Path,
        *,
        devices: str,
        nodes: int = 3,
        servers: int = 3,
        flags: tuple[str, ...] = (),
        scripts: dict[str, Path] | None = None,
    ) -> None:
        """Args: devices: devices.csv; servers: of NATS; scripts: by node, what runs in the place of the command."""
        self.folder, self.links = folder, Links()
        self.nats = NatsCluster(folder / "nats", count=servers)
        self.postgres = PostgresServer(folder / "postgres")
        self.s3 = S3Process(folder / "s3")
        self._devices = folder / "devices.csv"
        self._devices.write_text(devices)
        self._flags, self._scripts = flags, scripts or {}
        self.nodes: list[Node] = []
        self._count = nodes
        self.balancer: Balancer | None = None

    @property
    def members(self) -> dict[str, Member]:
        servers = {f"nats{number}": server for number, server in enumerate(self.nats.servers, 1)}
        return {node.name: node for node in self.nodes} | servers | {"postgres": self.postgres, "s3": self.s3}

    @property
    def port(self) -> int:
        """Where devices and people come."""
        assert self.balancer is not None
        return self.balancer.port

    def start(self) -> None:
        """Start everything, and wait until all nodes serve."""
        if len(self.nats.servers) > 1:
            for one, server in enumerate(self.nats.servers, 1):
                server.routes = [
                    self._link(f"nats{one}", f"nats{other}", peer.route_port).port
                    for other, peer in enumerate(self.nats.servers, 1)
                    if other != one
                ]
        self.postgres.start()
        self.nats.start()
        self.s3.start()
        self.postgres.wait_ready()
        self.s3.wait_ready()
        self.database = self.postgres.database().rpartition("/")[2]
        self.nodes = [self._node(f"node{number + 1}") for number in range(self._count)]
        for node in self.nodes:
            node.start()
        ports = [self._link("balancer", node.name, node.port).port for node in self.nodes]
        self.balancer = Balancer(self.folder, [*ports, *[1] * (3 - len(ports))])
        self.await_ready()

    def _link(self, one: str, other: str, port: int) -> Link:
        return self.links.to(port, f"{one}-{other}")

    def _node(self, name: str) -> Node:
        servers = [
            self._link(name, f"nats{number}", server.port).address for number, server in enumerate(self.nats.servers, 1)
        ]
        monitors = [
            f"http://{self._link(f'{name}-monitor', f'nats{number}', server.monitor_port).address}"
            for number, server in enumerate(self.nats.servers, 1)
        ]
        # A user for each node, so that the database knows which node writes.
        self.postgres.execute(f"CREATE ROLE {name} SUPERUSER LOGIN")
        link = self._link(name, "postgres", self.postgres.port)
        catalog = self.postgres.url(self.database, port=link.port, user=name)
        flags = [
            *("--node-name", name, "--devices", str(self._devices)),
            *("--journal", f"nats://{','.join(servers)}/fleetpulse", "--nats-monitors", ",".join(monitors)),
            *("--journal-replicas", str(len(self.nats.servers)), "--catalog", catalog),
            *("--blocks", "s3://cluster/blocks", "--s3-region", REGION),
            *("--s3-endpoint", f"http://{self._link(name, 's3', self.s3.port).address}"),
        ]
        return Node(self.folder, name, [*flags, *QUICK, *self._flags], script=self._scripts.get(name))

    def await_ready(self) -> float:
        """Wait until all nodes serve and the balancer knows it; the seconds that it took.

        No member may end by itself, whatever happens to the others.
        """
        began_s = time.monotonic()

        def is_ready() -> bool:
            self.check_alive()
            return all(node.is_ready for node in self.nodes)

        until(is_ready, lambda: self.trouble, READY_S)
        assert self.balancer is not None
        self.balancer.await_states(*["UP"] * len(self.nodes), *["DOWN"] * (3 - len(self.nodes)))
        return time.monotonic() - began_s

    def check_alive(self) -> None:
        """Look that all that was started, and not killed by a test, runs."""
        ended = [name for name, member in self.members.items() if member.has_ended]
        if self.balancer is not None and self.balancer.process.poll() is not None:
            ended.append("balancer")
        logs = "\n".join(f"{node.name}: {node.log_text[-3000:]}" for node in self.nodes if node.name in ended)
        assert not ended, f"{ended} ended by themselves\n{logs}"

    @property
    def trouble(self) -> str:
        """What nodes that are not ready say, and the end of their logs."""
        return "\n".join(
            f"{node.name}: {node.get('/readyz')}\n{node.log_text[-3000:]}" for node in self.nodes if not node.is_ready
        )

    def logged(self, text: str) -> int:
        """How often nodes have logged a text."""
        return sum(node.log_text.count(text) for node in self.nodes)

    @property
    def retries(self) -> int:
        """How often the balancer has sent a request again by itself."""
        assert self.balancer is not None
        return self.balancer.retries()

    def await_dropped(self, position: int, timeout_s: float) -> None:
        """Wait until the stream begins behind the entry that follows a position."""
        found: list[int] = []

        def is_dropped() -> bool:
            state = self.nats.api("STREAM.INFO.fleetpulse").get("state", {})
            found[:] = [int(state.get("first_seq", 0))]
            return found[0] > position + 1

        until(is_dropped, lambda: f"the stream begins at {found}, and {position} was applied", timeout_s)

    # What every node knows

    def reports(self, *, is_hash_wanted: bool = False) -> list[dict[str, Any]]:
        """What each node says of itself; empty for one that does not answer."""
        path = f"/api/v1/node?hash={str(is_hash_wanted).lower()}"
        answers = [node.get(path) for node in self.nodes]
        return [answer if status == 200 else {} for status, answer in answers]

    def lease(self) -> tuple[str, int]:
        """The name of the node that holds the lease, and the epoch, as the catalog has it."""
        holder, epoch = self.postgres.execute("SELECT holder, epoch FROM lease", database=self.database)[0]
        return str(holder).rpartition("-")[0], int(epoch)  # behind the name stands what tells starts apart

    def watch_writes(self) -> None:
        """Note from now on who writes to the tables that only the holder of the lease may write to."""
        self.postgres.execute(_WATCH, database=self.database)
        for table in HOLDERS_TABLES:
            self.postgres.execute(
                f"CREATE TRIGGER watched AFTER INSERT OR UPDATE OR DELETE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION watching.note()",
                database=self.database,
            )

    def writes(self) -> tuple[int, list[tuple[str, str, str]]]:
        """How many writes were noted, and those of nodes that did not hold the lease: table, node, holder."""
        (count,) = self.postgres.execute("SELECT count(*) FROM watching.written", database=self.database)[0]
        stray = "SELECT DISTINCT what, who, holder FROM watching.written WHERE holder NOT LIKE who || '-%'"
        return count, [(str(a), str(b), str(c)) for a, b, c in self.postgres.execute(stray, database=self.database)]

    def message_keys(self) -> set[str]:
        """The keys of all messages to receivers; each is there once."""
        keys = [str(key) for (key,) in self.postgres.execute("SELECT key FROM message", database=self.database)]
        assert len(keys) == len(set(keys)), keys
        return set(keys)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def await_equal(self, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait until all nodes have applied the same position; what they say there."""
        found: list[dict[str, Any]] = []

        def is_equal() -> bool:
            found[:] = self.reports(is_hash_wanted=True)
            return all(found) and len({report["position"] for report in found}) == 1

        until(is_equal, lambda: f"nodes are not at one position: {found}\n{self.trouble}", timeout_s)
        return found

    # The end

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        if self.balancer is not None:
            self.balancer.stop()
        for node in self.nodes:
            node.kill()
        self.nats.stop()
        self.postgres.stop()
        self.s3.kill()
        self.links.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def until(is_so: Callable[[], bool], otherwise: Callable[[], str], timeout_s: float) -> None:
    """Wait until something is so that no event tells of."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, otherwise()
        time.sleep(0.1)
