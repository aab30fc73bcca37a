"""How full the NATS servers that hold the stream are: each says so on its monitoring port, JetStream of the account.

A server that cannot be asked must not stop the others, which go on without it:

    a majority of the servers has answered   they alone count
    else                                     a silent one counts as full as it was, less what the stream has lost since
"""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from fleetpulse.journal.nats_link import NatsLink
from fleetpulse.journal.nats_members import ASK_S, NOT_ANSWERED, holders

log = structlog.get_logger("journal")
CHECK_S = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said of itself, and how large the stream was then."""

    share: float
    room_bytes: int
    stream_bytes: int = 0

    def share_now(self, stream_bytes: int) -> float:
        """The share less what the stream has lost since; what it has gained may not have come to a silent server."""
        lost_bytes = max(0, self.stream_bytes - stream_bytes)
        return max(0.0, self.share - lost_bytes / self.room_bytes) if self.room_bytes > 0 else 0.0


class RoomCheck:
    """Asks again and again, in the thread of the link."""

    def __init__(self, link: NatsLink, stream: str, monitors: tuple[str, ...], *, tls: ssl.SSLContext | None) -> None:
        self._link, self._stream, self._monitors, self._tls = link, stream, monitors, tls
        self._by_server: dict[str, Answer] = {}
        self._asking: dict[str, asyncio.Task[tuple[str, Answer]]] = {}
        """By URL. One that hangs longer than its timeout, as in a question for a name, is not asked again meanwhile."""
        self.filled = 0.0
        """The share of the room that is taken, on the fullest of the servers, or of the account; 0: it is not known."""

    async def watch(self) -> None:
        """See the class."""
        while True:
            try:
                await self.check()
            except (OSError, KeyError, ValueError) as error:
                log.debug("NATS does not say how full it is", because=str(error))
            await asyncio.sleep(CHECK_S)

    async def check(self) -> None:
        """Find out how full the servers are now. Raises: OSError; KeyError; ValueError: JetStream does not answer."""
        answers = await self._ask()
        end_s = time.monotonic() + ASK_S
        info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)
        account = await self._link.api("INFO", end_s=end_s)
        stream_bytes = int(info["state"]["bytes"])
        for name, answer in answers.items():
            self._by_server[name] = Answer(answer.share, answer.room_bytes, stream_bytes)
        _, names = holders(info, str(self._link.server.get("server_name", "")))
        counted = names & answers.keys()
        if len(counted) * 2 <= len(names):
            counted = names & self._by_server.keys()
        shares = [self._by_server[name].share_now(stream_bytes) for name in counted]
        self.filled = max([account_share(account), *shares])

    async def _ask(self) -> dict[str, Answer]:
        """What the servers say that answer in time, by name."""
        for url in self._monitors:
            if url not in self._asking:
                self._asking[url] = asyncio.create_task(asyncio.to_thread(ask, f"{url}/varz", self._tls))
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=ASK_S * 2)
        answers: dict[str, Answer] = {}
        for url in [url for url, asking in self._asking.items() if asking.done()]:
            try:
                name, answer = self._asking.pop(url).result()
            except NOT_ANSWERED as error:
                log.debug("a server of NATS does not say how full it is", url=url, because=str(error))
                continue
            answers[name] = answer
        return answers


def ask(url: str, tls: ssl.SSLContext | None) -> tuple[str, Answer]:
    """The name of the server behind a monitoring URL, and what it says. Raises: NOT_ANSWERED."""
    with urllib.request.urlopen(url, timeout=ASK_S, context=tls) as answer:  # noqa: S310  # a setting, http or https
        status = dict(msgspec.json.decode(answer.read(1 << 20)))
    return str(status["server_name"]), Answer(filled_share(status), room_bytes(status))


def room_bytes(status: dict[str, Any]) -> int:
    """What a server may store, as its /varz says; 0: it does not say."""
    return int(((status.get("jetstream") or {}).get("config") or {}).get("max_storage", 0))


def filled_share(status: dict[str, Any]) -> float:
    """What share of what a server may store is taken, by all of its streams, as its /varz says; 0: it does not say."""
    most = room_bytes(status)
    return float(((status.get("jetstream") or {}).get("stats") or {}).get("storage", 0) / most) if most > 0 else 0.0


def account_share(account: dict[str, Any]) -> float:
    """The same of the limit of an account, as JetStream says; 0 where it has none."""
    most = (account.get("limits") or {}).get("max_storage", -1)
    return float(account.get("storage", 0) / most) if most > 0 else 0.0
