"""How full the servers of a stream are, also where they cannot be asked."""

import asyncio
import threading
from typing import Any

import pytest

from fleetpulse.journal import nats_link, nats_room
from fleetpulse.journal.nats_link import NatsLink
from fleetpulse.journal.nats_room import Answer, RoomCheck, account_share, filled_share
from fleetpulse.journal_settings import JournalSettings, stream_place

NAMES = ("n1", "n2", "n3")


class Servers:
    """Three servers of a stream, and a link to them. A share of None: it does not answer."""

    server = {"server_name": "n1"}  # noqa: RUF012  # nobody changes it

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shares: dict[str, float | None] = dict.fromkeys(NAMES, 0.92)
        self.stream_bytes = 90
        self.questions: list[str] = []
        monkeypatch.setattr(nats_room, "ask", self.ask)
        monitors = tuple(f"http://{name}" for name in NAMES)
        self.room = RoomCheck(self, "s", monitors, tls=None)  # type: ignore[arg-type]  # all that it uses

    def ask(self, url: str, _tls: object) -> tuple[str, Answer]:
        name = url.split("/")[2]
        self.questions.append(name)
        share = self.shares[name]
        if share is None:
            raise ConnectionRefusedError(url)
        return name, Answer(share, room_bytes=100)

    async def api(self, subject: str, **_more: object) -> dict[str, Any]:
        if subject == "INFO":
            return {"limits": {"max_storage": -1}}
        return {
            "state": {"bytes": self.stream_bytes},
            "cluster": {"leader": "n1", "replicas": [{"name": "n2"}, {"name": "n3"}]},
        }

    async def filled(self, *shares: float | None, stream_bytes: int) -> float:
        self.shares, self.stream_bytes = dict(zip(NAMES, shares, strict=True)), stream_bytes
        await self.room.check()
        return round(self.room.filled, 6)


def test_a_silent_server_does_not_count_while_a_majority_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        servers = Servers(monkeypatch)
        assert await servers.filled(0.92, 0.92, 0.92, stream_bytes=90) == 0.92
        assert await servers.filled(0.91, 0.93, None, stream_bytes=90) == 0.93, "the others are full"
        assert await servers.filled(0.02, 0.03, None, stream_bytes=1) == 0.03, "a checkpoint has emptied them"
        assert await servers.filled(0.02, 0.03, 0.92, stream_bytes=1) == 0.92, "it is back"

    asyncio.run(test())


def test_silent_servers_count_as_full_as_they_were_less_what_the_stream_has_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        servers = Servers(monkeypatch)
        assert await servers.filled(None, None, None, stream_bytes=90) == 0, "it is not known"
        assert await servers.filled(0.92, 0.92, 0.94, stream_bytes=90) == 0.94
        assert await servers.filled(0.92, None, None, stream_bytes=90) == 0.94
        assert await servers.filled(None, None, None, stream_bytes=95) == 0.94
        assert await servers.filled(None, None, None, stream_bytes=40) == 0.44
        assert await servers.filled(0.02, None, None, stream_bytes=0) == 0.04

    asyncio.run(test())


def test_a_question_that_hangs_delays_no_other_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        servers = Servers(monkeypatch)
        ask, hanging = servers.ask, threading.Event()

        def hang(url: str, tls: object) -> tuple[str, Answer]:
            name, answer = ask(url, tls)
            if name == "n3":
                hanging.wait(20)
            return name, answer

        monkeypatch.setattr(nats_room, "ask", hang)
        monkeypatch.setattr(nats_room, "ASK_S", 0.05)
        try:
            assert await servers.filled(0.5, 0.6, 0.9, stream_bytes=50) == 0.6
            assert await servers.filled(0.5, 0.7, 0.9, stream_bytes=50) == 0.7
            assert servers.questions.count("n3") == 1
        finally:
            hanging.set()

    asyncio.run(test())


def test_a_watch_that_fails_by_a_defect_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_link, "AGAIN_S", 0)
    settings = JournalSettings(journal="nats://127.0.0.1:1/s")
    link = NatsLink(stream_place(settings.journal), settings)
    begun, has_begun_anew = [0], threading.Event()

    async def watch() -> None:
        begun[0] += 1
        if begun[0] == 1:
            raise ZeroDivisionError
        has_begun_anew.set()

    link.start()
    try:
        link.spawn(watch)
        assert has_begun_anew.wait(10)
    finally:
        link.close()


def test_the_share_of_a_server_is_what_it_stores_of_what_it_may_store() -> None:
    status = {"jetstream": {"config": {"max_storage": 200}, "stats": {"storage": 50}}}
    assert filled_share(status) == 0.25
    assert filled_share({"jetstream": {"config": {"max_storage": 0}}}) == 0
    assert filled_share({}) == 0


def test_an_account_counts_only_where_it_has_a_limit() -> None:
    assert account_share({"storage": 9, "limits": {"max_storage": 10}}) == 0.9
    assert account_share({"storage": 9, "limits": {"max_storage": -1}}) == 0
    assert account_share({}) == 0
