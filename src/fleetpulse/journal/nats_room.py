"""How full the NATS servers that hold the stream are: each says so on its monitoring port, JetStream of the account.

A server that cannot be asked counts as full as it was when it was asked last.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.request
from typing import Any

import msgspec
import structlog

from fleetpulse.journal.nats_link import NatsLink
from fleetpulse.journal.nats_members import ASK_S, NOT_ANSWERED, holders

log = structlog.get_logger("journal")
CHECK_S = 3.0


class RoomCheck:
    """Asks again and again, in the thread of the link."""

    def __init__(self, link: NatsLink, stream: str, monitors: tuple[str, ...], *, tls: ssl.SSLContext | None) -> None:
        self._link, self._stream, self._monitors, self._tls = link, stream, monitors, tls
        self._by_server: dict[str, float] = {}
        self.filled = 0.0
        """The share of the room that is taken, on the fullest of the servers, or of the account; 0: it is not known."""

    async def watch(self) -> None:
        """See the class."""
        while True:
            try:
                await self._look()
            except (OSError, KeyError, ValueError) as error:
                log.debug("NATS does not say how full it is", because=str(error))
            await asyncio.sleep(CHECK_S)

    async def _look(self) -> None:
        questions = [asyncio.to_thread(_ask, f"{url}/varz", self._tls) for url in self._monitors]
        for status in await asyncio.gather(*questions):
            if status is not None:
                self._by_server[str(status.get("server_name", ""))] = filled_share(status)
        end_s = time.monotonic() + ASK_S
        info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)
        account = await self._link.api("INFO", end_s=end_s)
        _, names = holders(info, str(self._link.server.get("server_name", "")))
        self.filled = max([account_share(account), *(self._by_server.get(name, 0.0) for name in names)])


def _ask(url: str, tls: ssl.SSLContext | None) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=ASK_S, context=tls) as answer:  # noqa: S310  # a setting, http or https
            return dict(msgspec.json.decode(answer.read(1 << 20)))
    except NOT_ANSWERED:
        return None


def filled_share(status: dict[str, Any]) -> float:
    """What share of what a server may store is taken, by all of its streams, as its /varz says; 0: it does not say."""
    jetstream = status.get("jetstream") or {}
    most = (jetstream.get("config") or {}).get("max_storage", 0)
    return float((jetstream.get("stats") or {}).get("storage", 0) / most) if most > 0 else 0.0


def account_share(account: dict[str, Any]) -> float:
    """The same of the limit of an account, as JetStream says; 0 where it has none."""
    most = (account.get("limits") or {}).get("max_storage", -1)
    return float(account.get("storage", 0) / most) if most > 0 else 0.0
