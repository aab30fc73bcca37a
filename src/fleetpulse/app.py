"""The composition root: settings to a running node, in one straight line; closed in reverse order."""

import asyncio
import contextlib
import fcntl
import functools
import gc
import ipaddress
import os
import resource
import signal
import socket
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Literal

import structlog
import uvicorn

from fleetpulse.api.app import build_api
from fleetpulse.blocks.history import History
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.blocks.store import BlockStore, FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import Clock, SystemClock
from fleetpulse.errors import DataFolderInUse, SettingsError
from fleetpulse.heap import bound_heap
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.front_door import Door, FrontDoor
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.declared import Declared
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.node import CheckpointTriggers, Node
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.write import Writer
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("serve")
GARBAGE_CHECKED_AT = 20_000
"""New containers before the collector looks; connections and requests leave no cycles behind."""
SWITCH_S = 0.0005
"""How long a checkpoint's thread may hold the interpreter while a commit waits for it; Python's own 5 ms add up."""
JOURNAL, CATALOG, BLOCKS, CACHE, LOCK = "journal.sqlite", "catalog.sqlite", "blocks", "cache", "lock"


def build(settings: Settings, *, clock: Clock | None = None, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> Node:
    """A node on the data folder of `settings`, not started. Raises: OperatorError: what is on disk cannot be used."""
    folder = Path(settings.data)
    clock = clock or SystemClock()
    counters = Counters()
    journal = SqliteJournal(folder / JOURNAL, synchronous=synchronous)
    catalog = SqliteCatalog(folder / CATALOG)
    history = History(open_store(settings), catalog.manifest(), kept_bytes_max=settings.memory_cache_bytes_max)
    fleet = Fleet(policy=HeartbeatPolicy(settings.interval_s, settings.grace_s))
    catalog_thread = ThreadPoolExecutor(1, "catalog")
    follower = Follower(fleet, counters)
    registry = Registry(
        catalog=catalog,
        clock=clock,
        fleet=fleet,
        settle=follower.catch_up,
        executor=catalog_thread,
        counters=counters,
        devices_max=settings.devices_max,
        label_names_max=settings.label_names_max,
        auto_register=settings.auto_register,
    )
    known = KnownMetrics(report_metrics_max=settings.report_metrics_max)
    declared = Declared(
        catalog=catalog,
        clock=clock,
        executor=catalog_thread,
        known=known,
        metrics_max=settings.metrics_max,
        windows_max=settings.windows_max,
    )
    writer = Writer(journal=journal, clock=clock, counters=counters, committed=follower.follow)
    intake = Intake(
        numbers=registry.numbers, metrics=known, events_waiting_max=settings.events_waiting_max, wake=writer.wake
    )
    return Node(
        clock=clock,
        journal=journal,
        catalog=catalog,
        history=history,
        fleet=fleet,
        follower=follower,
        registry=registry,
        declared=declared,
        writer=writer,
        intake=intake,
        connections=Connections(settings, counters),
        counters=counters,
        catalog_thread=catalog_thread,
        files_thread=ThreadPoolExecutor(1, "files"),
        export_thread=ThreadPoolExecutor(1, "export"),
        unfold_thread=ThreadPoolExecutor(1, "unfold"),
        devices_path=Path(settings.devices) if settings.devices else None,
        metrics_path=Path(settings.metrics) if settings.metrics else None,
        auto_define=settings.auto_define,
        checkpoint_when=CheckpointTriggers(
            interval_s=settings.checkpoint_s,
            journal_entries=settings.checkpoint_journal_entries,
            late_rows=settings.checkpoint_late_rows,
            samples=settings.checkpoint_samples,
            gaps=settings.checkpoint_reception_gaps,
        ),
        ask_limits=settings,
        future_s=settings.future_s,
    )


def open_store(settings: Settings) -> BlockStore:
    """The block store of `settings`. Raises: SettingsError: it cannot be one."""
    folder = Path(settings.data)
    if not settings.blocks:
        return FolderBlockStore(folder / BLOCKS)
    return S3BlockStore(
        settings.blocks,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        cache_folder=folder / CACHE,
        cache_bytes_max=settings.cache_bytes_max,
        timeout_s=settings.s3_timeout_s,
    )


class _Server(uvicorn.Server):
    """Uvicorn, less its handling of signals: it would end the process by the signal before the node has closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def build_server(node: Node, settings: Settings) -> uvicorn.Server:
    """The HTTP server of a node: the front door, and behind it the API."""
    door = Door(
        intake=node.intake,
        connections=node.connections,
        register=node.registry.register if settings.auto_register else None,
        defines_unknown=settings.auto_define,
    )
    config = uvicorn.Config(
        build_api(node),
        http=functools.partial(FrontDoor, door=door),  # type: ignore[arg-type]  # a class by its call
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(settings.idle_s) + 1,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_s)),
    )
    return _Server(config)


async def serve(settings: Settings, *, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
    """Run until SIGTERM or SIGINT. `synchronous` is for the control of the power-cut test alone.

    Raises: OperatorError: it could not start, or had to end.
    """
    check_address(settings)
    raise_file_limit()
    bound_heap()
    with hold_folder(Path(settings.data)), listen(settings) as listener:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: log.warning("SIGHUP while starting: the files are read anyway"))
        node = build(settings, synchronous=synchronous)
        server = build_server(node, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(node.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        host, port = listener.getsockname()[:2]
        log.info(
            "listening",
            url=f"http://{f'[{host}]' if ':' in host else host}:{port}",
            data=settings.data,
            devices=settings.devices or None,
        )
        starting = loop.create_task(_start(node, server))
        try:
            await server.serve(sockets=[listener])
            if not starting.done():
                server.should_exit = True
            await starting
        finally:
            await asyncio.wait([starting])
            await node.stop()
            log.info("stopped", position=node.history.manifest.position)


async def _start(node: Node, server: uvicorn.Server) -> None:
    try:
        await node.start()
    except BaseException:
        server.should_exit = True
        raise
    # What stands now lives as long as the process: a million devices need not be walked for garbage again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_CHECKED_AT)
    sys.setswitchinterval(SWITCH_S)


def check_address(settings: Settings) -> None:
    """Raises: SettingsError: it would listen to the network without keys, and nobody said that this is meant."""
    try:
        is_loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback and not settings.insecure:
        raise SettingsError(
            f"host {settings.host} is reachable from the network, and anybody there could report for any device: there are no "
            "keys yet. Listen on 127.0.0.1 behind a proxy that checks who asks, or say --insecure if the network is trusted."
        )


def raise_file_limit() -> None:
    """A connection is a file: take as many as the system grants without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def hold_folder(folder: Path) -> Generator[IO[str], None, None]:
    """The data folder, made and held against a second process. Raises: DataFolderInUse, SettingsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"the data folder {folder} cannot be used: {error.strerror}. Name another with --data."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise DataFolderInUse(
                f"the data folder {folder} is in use by process {holder}: stop it first, or name another with --data."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


@contextlib.contextmanager
def listen(settings: Settings) -> Generator[socket.socket, None, None]:
    """The listening socket. Raises: SettingsError: the address cannot be had."""
    try:
        info: Any = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        listener = socket.create_server(info[4][:2], family=info[0], backlog=4096)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Name another with --port."
        ) from error
    with listener:
        yield listener
