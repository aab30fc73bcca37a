"""The HTTP server: where it may listen, its socket, and uvicorn with the front door before the API."""

import asyncio
import contextlib
import functools
import ipaddress
import resource
import socket
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any, cast

import structlog
import uvicorn

from fleetpulse.errors import SettingsError
from fleetpulse.ingest.arrival import Arrival, Before
from fleetpulse.ingest.connections import Phase, TimedConnection
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.ingest.security_headers import constant_headers

log = structlog.get_logger("serve")
REQUESTS_SHARE = 0.4
"""The share of the time to stop that open requests have; the rest is for the last checkpoint, and for closing."""
NEW_CONNECTIONS_S = 0.25
"""How long the first request of a new connection may take to come when the server stops."""
LOOK_S = 0.02
FILES_HIGHEST = 1 << 30
CONNECTIONS_LEAST = 16
"""With fewer connections a service is of no use."""
WAITING_CONNECTIONS = 4096
"""Connections that the system may hold until we take them."""


class _Server(uvicorn.Server):
    """Uvicorn, less its handling of signals: it would end the process by the signal before the node has closed.

    Attributes:
        stop_work: ends what open requests wait for and nobody can wait for now: questions and exports.
        requests_s: how long open requests may take after that; then their connections are cut.
    """

    stop_work: Callable[[], None]
    requests_s: float

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no connections, let open requests end, cut off those that do not."""
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        self.stop_work()
        state, notified = self.server_state, set[Any]()
        end_s = time.monotonic() + self.requests_s
        new_end_s = min(end_s, time.monotonic() + NEW_CONNECTIONS_S)
        while True:
            for connection in state.connections - notified:  # some were accepted just before, and are seen later
                connection.shutdown()
                notified.add(connection)
            await asyncio.sleep(LOOK_S)
            if not (state.connections or state.tasks) or time.monotonic() >= end_s:
                break
            if time.monotonic() >= new_end_s:
                _end_rest(state.connections)
        if state.connections:
            log.warning("connections are cut off, since the service stops", connections=len(state.connections))
        for connection in list(state.connections):
            cast("TimedConnection", connection).cut()
        await asyncio.sleep(LOOK_S)  # most requests end by themselves once their connections are gone
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _end_rest(connections: Iterable[Any]) -> None:
    """End the connections on which nothing has come yet, and those that rest since their first request."""
    for connection in list(connections):
        if connection.phase is Phase.FIRST_BYTE:
            connection.cut()
        elif connection.phase is Phase.IDLE:
            connection.shutdown()


def build_server(
    application: Any,
    door: Door,
    *,
    before: Before,
    hsts_s: int,
    idle_s: float,
    shutdown_s: float,
    waiting: int,
    stop_work: Callable[[], None],
) -> uvicorn.Server:
    """The HTTP server: the front door, and behind it the ASGI `application`.

    Args:
        before: what comes before the first request of a connection.
        hsts_s: for how long browsers must ask by HTTPS only, where there is TLS.
        idle_s: how long a connection may rest between requests; `door` itself closes it then, uvicorn only later.
        shutdown_s: how long the service may take to stop; a part of that is for open requests.
        waiting: connections that the system may hold until we take them.
        stop_work: called when the server stops.
    """
    is_first = before.tls is None and not before.proxy_header
    protocol: Any = FrontDoor if is_first else functools.partial(Arrival, before=before)
    config = uvicorn.Config(
        application,
        http=functools.partial(protocol, door=door),  # type: ignore[arg-type]  # a class by its call
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=constant_headers(hsts_s=0 if before.tls is None else hsts_s),
        backlog=waiting,
        timeout_keep_alive=int(idle_s) + 1,
    )
    server = _Server(config)
    server.stop_work, server.requests_s = stop_work, shutdown_s * REQUESTS_SHARE
    return server


def is_loopback(host: str) -> bool:
    """Whether only programs at this machine reach an address. A name other than `localhost` may be any address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def raise_file_limit() -> int:
    """Allow as many open files as the system grants without special rights, since each connection is one.

    Returns: how many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return FILES_HIGHEST if hard == resource.RLIM_INFINITY else min(hard, FILES_HIGHEST)


def share_files(limit: int, *, files_reserved: int, connections_max: int) -> tuple[int, int]:
    """How many connections there may be, and how many may wait, so that files can always be opened.

    Args:
        limit: open files that the process may have, connections included.
        files_reserved: those that are left for journal, catalog and blocks.
        connections_max: connections that are wanted.
    Raises: SettingsError: hardly any are left for connections.
    """
    # Connections that wait are all taken in one go, before those that are too many are closed.
    room = limit - files_reserved
    waiting = max(1, min(WAITING_CONNECTIONS, room // 4))
    if waiting // 4 <= room - connections_max < waiting:
        waiting = room - connections_max  # fewer wait, and there are as many connections as are wanted
    connections = min(connections_max, room - waiting)
    if connections < min(CONNECTIONS_LEAST, connections_max):
        raise SettingsError(
            f"the process may open only {limit} files, of which files_reserved keeps {files_reserved} for journal and "
            f"blocks, so that {max(0, connections)} connections are left: allow more (LimitNOFILE of systemd, "
            "`ulimit -n` of a shell), or lower files_reserved."
        )
    if connections < connections_max:
        log.warning(
            "fewer connections than connections_max, since each is an open file",
            connections=connections,
            connections_max=connections_max,
            files=limit,
            files_reserved=files_reserved,
            todo="allow more open files (LimitNOFILE of systemd, `ulimit -n` of a shell)",
        )
    return connections, waiting


@contextlib.contextmanager
def listen(host: str, port: int) -> Generator[socket.socket, None, None]:
    """The listening socket. Raises: SettingsError: the address is unknown or in use."""
    try:
        addresses: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = addresses[0]
        listener = socket.create_server(address[:2], family=family, backlog=WAITING_CONNECTIONS)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}. Name another with --port."
        ) from error
    with listener:
        yield listener


def url_of(listener: socket.socket, *, is_tls: bool = False) -> str:
    """Where the server answers."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
