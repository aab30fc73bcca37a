"""The journal that several nodes share: one stream of NATS JetStream, one message an entry.

The position of an entry is its sequence in the stream. `append` returns when the stream has acknowledged the message:
then it is on the disks of a majority of the servers that hold the stream, since each of them syncs before it says so
(`sync_interval: always`), which is checked at the start, after each reconnect, and every few seconds.

    nats_link.py      the connection, in a thread of its own, in which all coroutines of the journal run
    nats_members.py   whether the servers sync, and are new enough
    nats_stream.py    how the stream is made and checked
    nats_publish.py   how an entry is stored once, whatever answers are lost
    nats_follow.py    how entries of all nodes come back, in their order

Besides the entries that nodes append there are anchors, which the journal makes itself: entries without events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from fleetpulse.errors import DamagedData, StorageFailed
from fleetpulse.journal.entry import SHARED_VERSION, encode_entry, split_entry
from fleetpulse.journal.journal import Deliver
from fleetpulse.journal.nats_follow import Following
from fleetpulse.journal.nats_link import NatsLink, NotAsked
from fleetpulse.journal.nats_members import TODO, Member, ask_members, outdated_text, participants, unsynced_text
from fleetpulse.journal.nats_pages import PAGE_ENTRIES, read_page
from fleetpulse.journal.nats_publish import Publisher, Replaced
from fleetpulse.journal.nats_stream import IDENTITY, first_position, identity_of, open_stream
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.journal_settings import JournalSettings, monitor_urls, stream_place
from fleetpulse.model.events import EventBatch, Position
from fleetpulse.reached import Reached

log = structlog.get_logger("journal")
CHECK_S = 3.0
"""How often the servers are asked whether they sync, beside each reconnect."""
STALE_S = 15.0
"""A check that found all well counts so long, while a later one fails, as when a server has just stopped."""
MARGIN_S = 2.0
PAYLOAD_SPARE_BYTES = 4_096
"""Of the servers' max_payload, for what stands around an entry."""


class JetStreamJournal:
    """See Journal. Calls may come from several threads, but appends from one."""

    is_shared = True

    def __init__(self, settings: JournalSettings) -> None:
        """Connect, and find or make the stream; waits for NATS as long as `journal_wait_s` says.

        Raises: SettingsError; StorageFailed: NATS does not answer, is too old, does not sync, or has another stream.
        """
        self._settings = settings
        self._place = stream_place(settings.journal)
        self._stream, self._timeout_s = self._place.stream, settings.journal_timeout_s
        self._monitors = monitor_urls(settings.nats_monitors)
        self._link = NatsLink(self._place, settings)
        self._publisher = Publisher(self._link, self._stream)
        self._followings: list[Following] = []
        self._highest: Position = 0
        """The highest position that was acknowledged to this node."""
        self._refusal = "whether NATS syncs was not asked yet"
        """Why nothing may be appended now; empty where it may."""
        self._well_at_s = -STALE_S
        self._is_checked = asyncio.Event()
        self._members: dict[str, Member] = {}
        self.mark_trouble = ""
        """See Journal. Here it says that NATS was not found to sync, which was accepted."""
        self._is_new = asyncio.Event()
        """The connection is one that was not checked yet."""
        self._link.has_changed = self._begin_connection
        self._failure: Replaced | None = None
        with contextlib.ExitStack() as closing:
            closing.callback(self._link.close)
            self._link.start()
            self._open()
            self._stop_watching = self._link.spawn(self._watch())
            closing.pop_all()

    def _open(self) -> None:
        end_s = time.monotonic() + self._settings.journal_wait_s + MARGIN_S
        try:
            info = self._link.call(lambda: self._find_stream(end_s), within_s=end_s - time.monotonic() + MARGIN_S)
        except OSError as error:
            raise StorageFailed(
                f"the journal {self._settings.journal} cannot be used: {error}. See that the servers run, can be "
                "reached, and have JetStream switched on"
            ) from error
        self._publisher.created = info["created"]
        if self.mark_trouble:
            log.warning("THE JOURNAL MAY LOSE ACKNOWLEDGED EVENTS", because=self.mark_trouble)
        servers = {name: member.version for name, member in self._members.items()}
        log.info("journal", stream=self._stream, servers=servers, last=info["state"]["last_seq"])

    def _begin_connection(self) -> None:
        self._is_checked.clear()
        self._is_new.set()

    async def _find_stream(self, end_s: float) -> dict[str, Any]:
        info = await open_stream(self._link, self._stream, replicas=self._settings.journal_replicas, end_s=end_s)
        while True:
            await self._check_members(info)
            if not self._refusal:
                return info
            # As after a restart of all servers, where the monitoring port of one is not open yet.
            if time.monotonic() + 1 >= end_s:
                raise StorageFailed(f"{self._refusal}. {TODO}")
            log.warning("waiting for NATS", because=self._refusal)
            await asyncio.sleep(1)
            info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)

    async def _check_members(self, info: dict[str, Any]) -> None:
        """Find out whether an ack of the stream can be believed.

        Raises: StorageFailed: a server is too old.
        """
        server = self._link.server
        name = str(server.get("server_name", ""))
        members, silent = await ask_members(self._monitors)
        if name in members and members[name].server_id != server.get("server_id"):
            silent |= {name: f"the monitoring URL leads to another server of the name {name}"}
            del members[name]
        parts = participants(info, name)
        versions = {name: str(server.get("version", ""))} if name else {}
        versions |= {member.name: member.version for member in members.values() if member.name in parts}
        outdated = outdated_text(versions)
        if outdated:
            self._refusal = outdated
            self._is_checked.set()
            raise StorageFailed(outdated)
        trouble = unsynced_text(parts, members, silent)
        if trouble and self._settings.allow_unsynced_journal:
            self.mark_trouble, trouble = trouble, ""
        elif not trouble:
            self.mark_trouble = ""
        self._members = members
        now_s = time.monotonic()
        if not trouble:
            self._well_at_s = now_s
            if self._refusal:
                log.info("NATS can be believed", servers=sorted(parts))
        # A server that stands still answers nobody, but the leader takes a moment to see that; one that was found not
        # to sync is refused at once.
        is_known_bad = any(part in members and not members[part].is_synced for part in parts)
        self._refusal = trouble if is_known_bad or now_s - self._well_at_s > STALE_S else ""
        self._is_checked.set()

    async def _watch(self) -> None:
        """Check the servers again and again."""
        while True:
            self._is_new.clear()
            try:
                info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=time.monotonic() + CHECK_S * 2)
                before = self._refusal
                await self._check_members(info)
                if self._refusal and self._refusal != before:
                    log.error("no events are accepted", reason=self._refusal)
            except (OSError, StorageFailed, KeyError, ValueError) as error:
                log.debug("NATS was not checked", because=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_new.wait(), CHECK_S)

    def append(self, body: bytes) -> Position:
        """See Journal."""
        if self._failure is not None:
            raise self._failure
        end_s = time.monotonic() + self._timeout_s
        before = max([self._highest, *(following.reached for following in self._followings)])
        try:
            position = self._link.call(lambda: self._publish(body, end_s), within_s=self._timeout_s + MARGIN_S)
            if position <= before:
                raise Replaced(
                    f"stream {self._stream} of NATS gave an entry the position {position}, though it had reached "
                    f"{before}: acknowledged events may be lost. Stop the service; see docs/howto/operations.md"
                )
        except Replaced as error:
            self._failure = error
            raise
        self._highest = position
        return position

    async def _publish(self, body: bytes, end_s: float) -> Position:
        if not self._is_checked.is_set():
            await self._link.connected(end_s)
            try:
                await asyncio.wait_for(self._is_checked.wait(), max(0.0, end_s - time.monotonic()))
            except TimeoutError as error:
                raise NotAsked("NATS does not say whether its servers sync") from error
        if self._refusal:
            raise NotAsked(f"{self._refusal}. {TODO}")
        bytes_max = int(self._link.server.get("max_payload", 1 << 20)) - PAYLOAD_SPARE_BYTES
        position = 0
        for piece in split_entry(body, bytes_max):
            position = await self._publisher.publish(piece, partial(_anchor_of, body), end_s=end_s)
        return position

    def bring(self, body: bytes, *, position: Position) -> None:
        """See Journal. Raises also: StorageFailed: the servers take no message as large as the entry."""
        bytes_max = int(self._link.server.get("max_payload", 1 << 20)) - PAYLOAD_SPARE_BYTES
        if len(body) > bytes_max:
            raise StorageFailed(
                f"entry {position} has {len(body)} bytes, and NATS takes {bytes_max}: start the service where it is, "
                "and stop it again, so that a checkpoint covers the entry; or raise max_payload of the servers"
            )
        end_s = time.monotonic() + self._timeout_s
        self._link.call(lambda: self._bring(body, position, end_s), within_s=self._timeout_s + MARGIN_S)

    async def _bring(self, body: bytes, position: Position, end_s: float) -> None:
        await self._link.connected(end_s)
        if self._refusal:
            raise NotAsked(f"{self._refusal}. {TODO}")
        await self._publisher.bring(body, position, end_s=end_s)

    def check(self) -> None:
        """See Journal."""
        if self._failure is not None:
            raise self._failure

    def follow(self, *, after: Position, deliver: Deliver, missed: Callable[[Position], None]) -> Callable[[], None]:
        """See Journal."""
        following = Following(self._link, self._stream, after=after, deliver=deliver, missed=missed)
        self._followings.append(following)
        following.start()
        return following.end

    def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
        """See Journal."""
        state = self._state()
        first, last = first_position(state), int(state["last_seq"])
        if after < first - 1:
            raise DamagedData(
                f"stream {self._stream} holds entries from {first} on, but the catalog's last checkpoint ends at "
                f"{after}. Journal and catalog do not belong together"
            )
        reached = after
        while reached < last:
            page = self._page(reached)
            for position, body in page:
                if position != reached + 1:
                    raise DamagedData(f"stream {self._stream}: entry {reached + 1} is missing, the next is {position}.")
                reached = position
                yield position, body

    def _page(self, after: Position) -> list[tuple[Position, bytes]]:
        end_s = time.monotonic() + self._timeout_s
        return self._link.call(
            lambda: read_page(self._link, self._stream, after=after, count=PAGE_ENTRIES, end_s=end_s),
            within_s=self._timeout_s + MARGIN_S,
        )

    def _state(self) -> dict[str, Any]:
        return dict(self._ask(f"STREAM.INFO.{self._stream}")["state"])

    def _ask(self, subject: str, body: object = None) -> dict[str, Any]:
        end_s = time.monotonic() + self._timeout_s
        return self._link.call(
            lambda: self._link.api(subject, body, end_s=end_s, answer_s=self._timeout_s),
            within_s=self._timeout_s + MARGIN_S,
        )

    def last_position(self) -> Position:
        """See Journal. Raises: OSError: NATS does not answer."""
        return int(self._state()["last_seq"])

    def first_position(self) -> Position:
        """See Journal. Raises: OSError: NATS does not answer."""
        return first_position(self._state())

    def drop(self, *, through: Position, entries_max: int) -> bool:
        """See Journal. Where it raises, entries up to `through` may have been deleted."""
        state = self._state()
        end = min(through, int(state["last_seq"]), first_position(state) + entries_max - 1)
        if end >= first_position(state):
            self._ask(f"STREAM.PURGE.{self._stream}", {"seq": end + 1})
        return end < min(through, int(state["last_seq"]))

    def identity(self) -> str | None:
        """See Journal. Raises: OSError: NATS does not answer."""
        return identity_of(self._ask(f"STREAM.INFO.{self._stream}"))

    def identify(self, identity: str) -> None:
        """See Journal."""
        config = self._ask(f"STREAM.INFO.{self._stream}")["config"]
        if IDENTITY not in config["metadata"]:
            config["metadata"][IDENTITY] = identity
            self._ask(f"STREAM.UPDATE.{self._stream}", config)

    def reached(self) -> Reached | None:
        """See Journal. Nothing is recorded outside of the stream but the position of the last checkpoint."""
        return None

    def make_mark(self) -> bool:
        """See Journal. There is no file beside a stream."""
        return False

    def accept_loss(self, *, through: Position) -> None:
        """See Journal."""
        if int(self._state()["last_seq"]) < through:
            self._ask(f"STREAM.PURGE.{self._stream}", {"seq": through + 1})

    waits_for_lock = False

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Journal. It holds what was there when it began."""
        with contextlib.closing(SqliteJournal(target)) as journal:
            first = self.first_position()
            journal.accept_loss(through=first - 1)
            for position, body in self.read(after=first - 1):
                journal.append(body)
                if position % PAGE_ENTRIES == 0:
                    rest(0.0)

    def close(self) -> None:
        """See Journal."""
        self._stop_watching()
        for following in self._followings:
            following.end()
        self._link.close()


def _anchor_of(body: bytes) -> bytes:
    """An entry without events, of the time and the kind of another entry, so that no quiet time ends unnoticed."""
    is_shared = int.from_bytes(body[4:6], "little") == SHARED_VERSION
    received_at_ns = int.from_bytes(body[8:16], "little", signed=True)
    return encode_entry(EventBatch(received_at_ns=received_at_ns, is_shared=is_shared))
