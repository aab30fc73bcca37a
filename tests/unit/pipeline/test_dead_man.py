"""Pings to an address outside."""

import asyncio
import http.server
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from fleetpulse.errors import NotAccepting, SettingsError
from fleetpulse.pipeline.dead_man import DeadMan, check_url, send_ping


class Readiness:
    refusal: Any = None


class World:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.urls: list[str] = []
        self.error: OSError | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.readiness = Readiness()
        self.dead_man = DeadMan(
            url="https://ping.example/secret-1",
            every_s=60.0,
            readiness=self.readiness,  # type: ignore[arg-type]  # a stand-in
            send=self.send,
            monotonic_s=lambda: self.now_s,
        )

    def send(self, url: str) -> None:
        self.urls.append(url)
        assert self.may_end.wait(10)
        if self.error is not None:
            raise self.error

    async def tick(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.dead_man.tick()

    async def settled(self, count: int) -> None:
        while sum(self.dead_man.pings.values()) < count:
            await asyncio.sleep(0.001)


def test_a_ping_is_sent_when_it_is_due_and_never_a_second_one_beside_it() -> None:
    async def life() -> None:
        world = World()
        world.may_end.clear()
        await world.tick()
        await world.tick(61)
        world.may_end.set()
        await world.settled(1)
        assert len(world.urls) == 1, "the first one had not ended"
        await world.tick()
        await world.settled(2)
        await world.tick(59)
        assert world.urls == ["https://ping.example/secret-1"] * 2

    asyncio.run(life())


def test_none_is_sent_while_no_events_are_accepted() -> None:
    async def life() -> None:
        world = World()
        world.readiness.refusal = NotAccepting("the disk is full", reason="disk_full")
        await world.tick(61)
        assert world.urls == []
        world.readiness.refusal = None
        await world.tick()
        await world.settled(1)
        assert len(world.urls) == 1
        world.dead_man.url = ""
        await world.tick(61)
        assert len(world.urls) == 1

    asyncio.run(life())


def test_failures_are_counted_and_logged_once_without_the_secret() -> None:
    async def life() -> None:
        world = World()
        world.error = OSError("it answered 500")
        with structlog.testing.capture_logs() as logs:
            for count in (1, 2):
                await world.tick(61)
                await world.settled(count)
            world.error = None
            for count in (3, 4):
                await world.tick(61)
                await world.settled(count)
        assert world.dead_man.pings == {"failed": 2, "sent": 2}
        assert [one["log_level"] for one in logs] == ["warning", "info"]
        assert logs[0]["host"] == "ping.example"
        assert "secret-1" not in str(logs)

    asyncio.run(life())


@contextmanager
def answering(status: int) -> Generator[SimpleNamespace, None, None]:
    """A server that answers everything with a status."""
    seen = SimpleNamespace(paths=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.paths.append(self.path)
            self.send_response(status)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_port}/ping/1?create=1"
        yield seen
        server.shutdown()
        thread.join()


def test_an_address_must_answer_with_2xx_and_redirects_are_not_followed() -> None:
    with answering(204) as seen:
        send_ping(seen.url)
        assert seen.paths == ["/ping/1?create=1"]
    for status in (302, 404, 500):
        with answering(status) as seen, pytest.raises(OSError, match=f"it answered {status}"):
            send_ping(seen.url)
        assert len(seen.paths) == 1
    with pytest.raises(ConnectionError):
        send_ping(seen.url)


@pytest.mark.parametrize(
    "url",
    ["ping.example", "ftp://ping.example/", "https://", "https://a b/", "https://u:p@h/", "https://h:0/", "http://[/"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="heartbeat_url"):
        check_url(url, name="heartbeat_url")


def test_addresses_are_taken() -> None:
    check_url("https://hc-ping.example/0b6f3b8e", name="heartbeat_url")
    check_url("http://127.0.0.1:8000/ping?x=1", name="heartbeat_url")
