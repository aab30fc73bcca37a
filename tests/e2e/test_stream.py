"""The live feed over real connections: through proxies, at the end of the service, and with a client that is deaf."""

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import PUBLISHED, Server
from fleetpulse.access.gate import Shown
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.ingest.arrival import Before
from fleetpulse.model.access import EVERYBODY
from fleetpulse.server import build_server, listen
from fleetpulse.settings import Settings
from front_proxy import PROXIES, Proxy, command_of, free_port, gateway_key
from memory_service import World

STREAM = "/api/v1/stream"


def admin_key(server: Server) -> str:
    return (server.folder / "admin.key").read_text().strip()


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, object]]]:
    """Kind and data of each event, as it comes."""
    kind = ""
    for line in answer:
        name, _, value = line.decode().rstrip().partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


@pytest.mark.parametrize("kind", PROXIES)
def test_each_event_comes_through_a_proxy_at_once(kind: str, tmp_path: Path) -> None:
    command = command_of(tmp_path / "data", free_port())
    server = Server.run(command, log=tmp_path / "serve.log", folder=tmp_path / "data")
    try:
        proxy, key = Proxy(kind, tmp_path, backend=server.port), gateway_key(server)
        with contextlib.closing(proxy.connection()) as watching, contextlib.closing(proxy.connection()) as device:
            watching.request("GET", STREAM, headers={"X-API-Key": admin_key(server), "Accept-Encoding": "gzip"})
            answer = watching.getresponse()
            assert (answer.status, answer.headers["content-encoding"]) == (200, None)
            feed = events(answer)
            assert next(feed)[0] == "counts"
            path = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat"
            body = b'{"sent_at": "%s"}' % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()
            device.request("POST", path, body, {"Content-Type": "application/json", "X-API-Key": key})
            assert device.getresponse().read() == b""
            began_s = time.monotonic()
            name, transition = next(feed)
            assert (name, transition["device_id"], transition["to"]) == ("transition", PUBLISHED[0], "up")
            assert time.monotonic() - began_s < 5, "it was kept until there was more"
        proxy.process.terminate()
        proxy.process.wait(20)
    finally:
        assert server.stop() == 0


def test_a_service_that_stops_ends_the_streams_and_does_not_wait_for_their_clients(
    serve: Callable[..., Server],
) -> None:
    server = serve("--shutdown-s", "60")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", STREAM)
        feed = events(connection.getresponse())
        assert next(feed)[0] == "counts"
        began_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert list(feed)[-1] == ("end", {"reason": "stopping"})
        assert server.process.wait(30) == 0
        assert time.monotonic() - began_s < 20


def test_a_client_that_does_not_read_is_cut_off_and_nobody_else_waits_for_it(tmp_path: Path) -> None:
    async def test() -> None:
        given = {"write_s": 0.4, "stream_events_kept": 16}
        settings, service = Settings(**given), await World(tmp_path).started(**given)
        with listen("127.0.0.1", 0) as listener:
            server = build_server(
                build_api(build_parts(settings, service)), service.door, before=Before(tls=None, proxy_header=False),
                hsts_s=0, idle_s=60, shutdown_s=1, waiting=100, stop_work=service.live_feed.stop,
            )  # fmt: skip
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                deaf.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(deaf, listener.getsockname())
                await loop.sock_sendall(deaf, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % STREAM.encode())
                while not service.live_feed.watchers:
                    await asyncio.sleep(0.01)
                reader = service.live_feed.open(EVERYBODY, Shown())
                refused = service.counters.requests_refused
                while not refused["write_timeout"]:
                    reader.channel.publish([("counts", b'"%s"' % (b"x" * 65_536))])
                    service.live_feed._wake_clients(reader.channel)
                    await asyncio.sleep(0.01)
                    assert reader.take()
                    assert b"missed" not in reader.take()
                while len(service.live_feed.watchers) > 1:
                    await asyncio.sleep(0.01)
                assert service.counters.stream_events_missed > 0
            server.should_exit = True
            await serving
        await service.node.stop()

    asyncio.run(asyncio.wait_for(test(), 60))
