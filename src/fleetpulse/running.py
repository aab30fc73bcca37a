"""A service in this process: it holds the data folder and the address, and runs until it is told to stop."""

import asyncio
import contextlib
import gc
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from fleetpulse.api.app import build_api
from fleetpulse.app import build, build_parts
from fleetpulse.clock import Clock
from fleetpulse.data_folder import Synchronous, hold_folder
from fleetpulse.errors import Unfinished
from fleetpulse.heap import bound_heap
from fleetpulse.memory_room import check_room
from fleetpulse.pipeline.service import Service
from fleetpulse.server import build_server, check_address, listen, raise_file_limit, share_files, url_of
from fleetpulse.settings import Settings
from fleetpulse.stop_signals import StopSignals

log = structlog.get_logger("serve")
GARBAGE_THRESHOLD = 20_000
"""New containers before the garbage collector runs; connections and requests leave no cycles for it to find."""
SWITCH_INTERVAL_S = 0.0005
"""How long a checkpoint's thread may keep the interpreter while a commit waits for it; Python's own 5 ms add up."""


async def serve(settings: Settings, *, clock: Clock | None = None, synchronous: Synchronous = "FULL") -> None:
    """Run until SIGTERM or SIGINT. Tests hand in a `clock`, and `synchronous` for the control of the power-cut test.

    Raises: OperatorError: it could not start, or had to end.
    """
    check_address(settings.host, is_network_trusted=settings.insecure)
    connections, waiting = share_files(
        raise_file_limit(), files_reserved=settings.files_reserved, connections_max=settings.connections_max
    )
    settings = replace(settings, connections_max=connections)
    bound_heap()
    signals = StopSignals(settings.shutdown_s)
    with signals.listening(), hold_folder(Path(settings.data)), listen(settings.host, settings.port) as listener:
        service = build(settings, clock=clock, synchronous=synchronous)
        check_room(service.catalog.device_count())
        server = build_server(
            build_api(build_parts(settings, service)),
            service.door,
            idle_s=settings.idle_s,
            shutdown_s=settings.shutdown_s,
            waiting=waiting,
            stop_work=partial(_stop_work, service),
        )
        log.info("listening", url=url_of(listener), data=settings.data, devices=settings.devices or None)
        try:
            await _run(service, server, listener, signals)
        finally:
            signals.begin()
            signals.stage = "last checkpoint"
            await service.node.stop(within_s=signals.left_s)
            signals.is_closed = True
            log.info("stopped", position=service.history.manifest.position)


async def _run(service: Service, server: uvicorn.Server, listener: socket.socket, signals: StopSignals) -> None:
    """Start the service, and answer until a signal ends it. Raises: what the start raises."""
    loop = asyncio.get_running_loop()
    starting = loop.create_task(_start(service, server))
    reloads: set[asyncio.Task[None]] = set()

    def stop() -> None:
        server.should_exit = True
        signals.stage = "open requests"
        if not starting.done():
            signals.stage = f"start ({service.readiness.stage})"
            service.housekeeping.leave()

    def reload() -> None:
        task = loop.create_task(service.declared_files.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    signals.handle(
        on_stop=partial(loop.call_soon_threadsafe, stop), on_reload=partial(loop.call_soon_threadsafe, reload)
    )
    try:
        await server.serve(sockets=[listener])
    finally:
        server.should_exit = True
        await asyncio.wait([starting])
    with contextlib.suppress(Unfinished):
        starting.result()


def _stop_work(service: Service) -> None:
    service.questions.lanes.stop()
    service.exports.stop()


async def _start(service: Service, server: uvicorn.Server) -> None:
    try:
        await service.node.start()
    except BaseException:
        server.should_exit = True
        raise
    # What exists now lives as long as the process: the collector need not look at a million devices again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
