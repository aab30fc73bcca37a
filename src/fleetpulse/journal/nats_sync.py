"""Asks the NATS servers, as long as the journal is open, whether an ack of theirs can be believed.

They are asked with each new connection, before anything is appended by it, and every second. What is found is in
effect at once: a server that counts as one that does not sync ends the acks, until it is found to sync, or is seen no
more. `nats_members.py` says how that is judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import Any

import structlog

from fleetpulse.errors import StorageFailed
from fleetpulse.journal.nats_link import NatsLink, NotAsked
from fleetpulse.journal.nats_members import (
    ASK_S,
    NOT_ANSWERED,
    TODO,
    Member,
    Sight,
    holders,
    is_new_enough,
    look,
    outdated_text,
    processes,
    unsynced_text,
)

log = structlog.get_logger("journal")
CHECK_S = 1.0
"""How often the servers are asked, beside each reconnect."""
FRESH_S = 8.0
"""Without an end of a check for so long, as in a process that stood still, the next append waits for one."""
STREAM_S = 2.0
"""The longest that JetStream may take to say who holds the stream; else those count that held it before."""
PROCESSES_MAX = 1_000
"""What is known of processes that are gone is forgotten beyond so many."""


class SyncCheck:
    """What is known of the servers. Its coroutines run in the thread of the link."""

    def __init__(
        self,
        link: NatsLink,
        stream: str,
        monitors: tuple[str, ...],
        *,
        tls: ssl.SSLContext | None,
        is_risk_accepted: bool,
    ) -> None:
        self._link, self._stream, self._monitors, self._tls = link, stream, monitors, tls
        self._is_risk_accepted = is_risk_accepted
        self.refusal = "whether NATS syncs was not asked yet"
        """Why nothing may be appended now; empty where it may."""
        self.accepted = ""
        """That NATS was not found to sync, which was accepted."""
        self.versions: dict[str, str] = {}
        """Of the servers that hold the stream, by name."""
        self._known: dict[str, Member] = {}
        self._names: frozenset[str] = frozenset()
        self._asking: dict[str, asyncio.Task[tuple[Sight, Member]]] = {}
        """By URL. One that hangs longer than its timeout, as in a question for a name, is not asked again meanwhile."""
        self._is_checked, self._is_new = asyncio.Event(), asyncio.Event()
        self._checked_at_s = 0.0

    def begin_connection(self) -> None:
        """The connection is a new one, perhaps to other servers, so they must be asked before it is used."""
        self._is_checked.clear()
        self._is_new.set()

    async def settled(self, end_s: float) -> None:
        """Return once acks can be believed. Raises: NotAsked: they cannot, or `end_s` comes before it is known."""
        if time.monotonic() - self._checked_at_s > FRESH_S:
            self.begin_connection()
        if not self._is_checked.is_set():
            await self._link.connected(end_s)
            try:
                await asyncio.wait_for(self._is_checked.wait(), max(0.0, end_s - time.monotonic()))
            except TimeoutError as error:
                raise NotAsked("NATS does not say whether its servers sync") from error
        if self.refusal:
            raise NotAsked(f"{self.refusal}. {TODO}")

    async def watch(self) -> None:
        """Check the servers again and again."""
        while True:
            self._is_new.clear()
            before = self.refusal
            try:
                await self.check(await self._info())
            except (OSError, StorageFailed, KeyError, ValueError) as error:
                log.debug("NATS was not checked", because=str(error))
            if self.refusal and self.refusal != before:
                log.error("no events are accepted", reason=self.refusal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_new.wait(), CHECK_S)

    async def _info(self) -> dict[str, Any] | None:
        """JetStream's answer about the stream; None without one. A server that leads nothing now is asked no more."""
        try:
            return await self._link.api(f"STREAM.INFO.{self._stream}", end_s=time.monotonic() + STREAM_S)
        except OSError:
            return None

    async def check(self, info: dict[str, Any] | None) -> None:
        """Find out whether an ack of the stream can be believed. `info`: JetStream's answer about it, if there is one.

        Raises: StorageFailed: a server is too old.
        """
        server = self._link.server
        connected = str(server.get("server_name", "")), str(server.get("server_id", ""))
        leader = ""
        if info is not None:
            leader, self._names = holders(info, connected[0])
        if not (self._names and server):
            return  # nothing can be appended: there is no connection, or no stream was found yet
        sights, silent = await self._ask(self._monitors)
        seen = processes(sights, connected)
        if silent and any(i not in self._known for name in self._names for i in seen.get(name, ())):
            # It was perhaps asked a moment before it began to listen, and has come meanwhile.
            more, silent = await self._ask(tuple(silent))
            sights += more
            seen = processes(sights, connected)
        found = {name: [self._known[i] for i in seen.get(name, ()) if i in self._known] for name in self._names}
        self.versions = {connected[0]: str(server.get("version", ""))}
        self.versions |= {name: _oldest(members) for name, members in found.items() if members}
        outdated = outdated_text(self.versions)
        answered = {sight.name for sight in sights}
        trouble = outdated or unsynced_text(
            self._names, seen, self._known, answered=answered, leader=leader, silent=silent
        )
        self.accepted = trouble if self._is_risk_accepted and not outdated else ""
        self._conclude("" if self.accepted else trouble)
        if len(self._known) > PROCESSES_MAX:
            present = {server_id for ids in seen.values() for server_id in ids}
            self._known = {i: member for i, member in self._known.items() if i in present}
        if outdated:
            raise StorageFailed(outdated)

    def _conclude(self, refusal: str) -> None:
        if self.refusal and not refusal:
            log.info("NATS can be believed", servers=sorted(self._names))
        self.refusal = refusal
        self._checked_at_s = time.monotonic()
        self._is_checked.set()

    async def _ask(self, urls: tuple[str, ...]) -> tuple[list[Sight], dict[str, str]]:
        """What the servers behind these monitoring URLs see; and by URL why one could not be asked."""
        for url in urls:
            if url not in self._asking:
                self._asking[url] = asyncio.create_task(asyncio.to_thread(look, url, dict(self._known), self._tls))
        if urls:
            await asyncio.wait([self._asking[url] for url in urls], timeout=ASK_S * 2)
        sights: list[Sight] = []
        silent: dict[str, str] = {}
        for url in urls:
            if not self._asking[url].done():
                silent[url] = f"{url}: no answer"
                continue
            try:
                sight, member = self._asking.pop(url).result()
            except NOT_ANSWERED as error:
                silent[url] = f"{url}: {error}"
                continue
            sights.append(sight)
            self._known[member.server_id] = member
        return sights, silent


def _oldest(members: list[Member]) -> str:
    """The version of processes of one name, of which an old one may still be seen: one that is too old, if any is."""
    return next((member.version for member in members if not is_new_enough(member.version)), members[0].version)
