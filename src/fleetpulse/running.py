"""A service in this process: it holds the data folder and the address, and runs until it is told to stop."""

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from fleetpulse.api.app import build_api
from fleetpulse.app import build, build_parts
from fleetpulse.certificates import Certificates, certificates_of, watching
from fleetpulse.clock import Clock
from fleetpulse.data_folder import Synchronous, hold_folder
from fleetpulse.errors import Unfinished
from fleetpulse.heap import bound_heap
from fleetpulse.ingest.arrival import Before
from fleetpulse.memory_room import check_room
from fleetpulse.pipeline.service import Service
from fleetpulse.server import build_server, listen, raise_file_limit, share_files, url_of
from fleetpulse.settings import Settings
from fleetpulse.stop_signals import StopSignals
from fleetpulse.systemd import Systemd, inherited_listener

log = structlog.get_logger("serve")
GARBAGE_THRESHOLD = 20_000
"""New containers before the garbage collector runs; connections and requests leave no cycles for it to find."""
SWITCH_INTERVAL_S = 0.0005
"""How long a checkpoint's thread may keep the interpreter while a commit waits for it; Python's own 5 ms add up."""


async def serve(settings: Settings, *, clock: Clock | None = None, synchronous: Synchronous = "FULL") -> None:
    """Run until SIGTERM or SIGINT. Tests hand in a `clock`, and `synchronous` for the control of the power-cut test.

    Raises: OperatorError: it could not start, or had to end.
    """
    connections, waiting = share_files(
        raise_file_limit(), files_reserved=settings.files_reserved, connections_max=settings.connections_max
    )
    settings = replace(settings, connections_max=connections)
    bound_heap()
    certificates = certificates_of(settings)
    signals, systemd = StopSignals(settings.shutdown_s), Systemd(os.environ)
    handed_over = inherited_listener(os.environ)
    if handed_over is not None:
        # Where it listens decides who needs a key, whatever the settings say.
        settings = replace(settings, host=handed_over.getsockname()[0], port=handed_over.getsockname()[1])
    listening = handed_over or listen(settings.host, settings.port)
    with signals.listening(), hold_folder(Path(settings.data)), listening as listener:
        service = build(settings, clock=clock, synchronous=synchronous)
        check_room(service.catalog.device_count())
        server = build_server(
            build_api(build_parts(settings, service)),
            service.door,
            before=Before(
                tls=None if certificates is None else partial(getattr, certificates, "context"),
                proxy_header=settings.proxy_protocol,
            ),
            hsts_s=settings.hsts_s,
            idle_s=settings.idle_s,
            shutdown_s=settings.shutdown_s,
            waiting=waiting,
            stop_work=partial(_stop_work, service),
        )
        url = url_of(listener, is_tls=certificates is not None)
        log.info("listening", url=url, data=settings.data, devices=settings.devices or None)
        if service.gate.warning:
            log.warning(service.gate.warning, todo="use it in networks only whose every member you trust")
        telling = asyncio.get_running_loop().create_task(systemd.watch(service.readiness))
        try:
            wait_s = settings.ready_wait_s
            async with watching(certificates, settings.tls_check_s):
                await _run(service, server, listener, signals, systemd, certificates=certificates, wait_s=wait_s)
        finally:
            signals.begin()
            systemd.stop()
            signals.stage = "last checkpoint"
            await service.node.stop(within_s=signals.left_s)
            signals.is_closed = True
            telling.cancel()
            log.info("stopped", position=service.history.manifest.position)


async def _run(
    service: Service,
    server: uvicorn.Server,
    listener: socket.socket,
    signals: StopSignals,
    systemd: Systemd,
    *,
    certificates: Certificates | None,
    wait_s: float,
) -> None:
    """Start the service, and answer until a signal ends it. Raises: what the start raises.

    Args: wait_s: how long to wait for the start until connections are taken.
    """
    loop = asyncio.get_running_loop()
    starting = loop.create_task(_start(service, server))
    reloads: set[asyncio.Task[Any]] = set()

    def stop() -> None:
        server.should_exit = True
        signals.stage = "open requests"
        systemd.stop()
        if not starting.done():
            signals.stage = f"start ({service.readiness.stage})"
            service.housekeeping.leave()

    def reload() -> None:
        reload_files(service.declared_files.reload())
        if certificates is not None:
            reload_files(asyncio.to_thread(certificates.reload, is_forced=True))

    def reload_files(work: Coroutine[Any, Any, Any]) -> None:
        task = loop.create_task(work)
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    signals.handle(
        on_stop=partial(loop.call_soon_threadsafe, stop), on_reload=partial(loop.call_soon_threadsafe, reload)
    )
    if wait_s:
        await asyncio.wait([starting], timeout=wait_s)
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
    service.live_feed.stop()
    service.backups.stop()


async def _start(service: Service, server: uvicorn.Server) -> None:
    try:
        await service.node.start()
    except BaseException:
        server.should_exit = True
        raise
    if service.gate.state == "open":
        log.info("nobody needs a key until the first one is made", todo="put no proxy before it without a key")
    # What exists now lives as long as the process: the collector need not look at a million devices again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
