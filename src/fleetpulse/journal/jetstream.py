"""The journal that several nodes share: one stream of NATS JetStream, one message an entry.

The position of an entry is its sequence in the stream. `append` returns when the stream has acknowledged the message:
then it is on the disks of a majority of the servers that hold the stream, since each of them syncs before it says so
(`sync_interval: always`), which is checked at the start, after each reconnect, and every second.

    nats_link.py      the connection, in a thread of its own, in which all coroutines of the journal run
    nats_members.py   how it is judged whether the servers sync, and are new enough
    nats_sync.py      asks them, again and again
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
from fleetpulse.journal.nats_link import NatsLink, NotAsked, Unanswered, tls_context
from fleetpulse.journal.nats_members import TODO
from fleetpulse.journal.nats_pages import PAGE_ENTRIES, read_page
from fleetpulse.journal.nats_publish import Publisher, Replaced
from fleetpulse.journal.nats_room import RoomCheck
from fleetpulse.journal.nats_stream import IDENTITY, first_position, identity_of, open_stream
from fleetpulse.journal.nats_sync import SyncCheck
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.journal_settings import JournalSettings, monitor_urls, stream_place
from fleetpulse.model.events import EventBatch, Position
from fleetpulse.reached import Reached
from fleetpulse.storage_causes import Away

log = structlog.get_logger("journal")
MARGIN_S = 2.0
PAYLOAD_SPARE_BYTES = 4_096
"""Of the servers' max_payload, for what stands around an entry."""
COPY_TRIES = 3
"""Each checkpoint cuts the stream at most once, and a copy takes far less time than passes between two of them."""


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
        self._link = NatsLink(self._place, settings)
        self._publisher = Publisher(self._link, self._stream)
        self._followings: list[Following] = []
        self._highest: Position = 0
        """The highest position that was acknowledged to this node, or that one who has ended following had reached."""
        parts, tls = (self._link, self._stream, monitor_urls(settings.nats_monitors)), tls_context(settings)
        self._sync = SyncCheck(*parts, tls=tls, is_risk_accepted=settings.allow_unsynced_journal)
        self._room = RoomCheck(*parts, tls=tls)
        self._link.has_changed = self._sync.begin_connection
        self._failure: Replaced | None = None
        with contextlib.ExitStack() as closing:
            closing.callback(self._link.close)
            self._link.start()
            self._open()
            self._stop_watching = [self._link.spawn(self._sync.watch), self._link.spawn(self._room.watch)]
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
        log.info("journal", stream=self._stream, servers=self._sync.versions, last=info["state"]["last_seq"])

    @property
    def mark_trouble(self) -> str:
        """See Journal. Here it says that NATS was not found to sync, which was accepted."""
        return self._sync.accepted

    @property
    def filled(self) -> float:
        """See Journal. As it was found by the last look."""
        return self._room.filled

    @property
    def refusal(self) -> str:
        """Why nothing is appended now, since an ack could not be believed; empty where it can."""
        return self._sync.refusal

    async def _find_stream(self, end_s: float) -> dict[str, Any]:
        info = await open_stream(self._link, self._stream, replicas=self._settings.journal_replicas, end_s=end_s)
        while True:
            await self._sync.check(info)
            if not self._sync.refusal:
                return info
            # As after a restart of all servers, where the monitoring port of one is not open yet.
            if time.monotonic() + 1 >= end_s:
                raise StorageFailed(f"{self._sync.refusal}. {TODO}")
            log.warning("waiting for NATS", because=self._sync.refusal)
            await asyncio.sleep(1)
            info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)

    def append(self, body: bytes) -> Position:
        """See Journal."""
        if self._failure is not None:
            raise self._failure
        end_s = time.monotonic() + self._timeout_s
        before = max([self._highest, *(following.reached for following in list(self._followings))])
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
        self._highest = max(self._highest, position)
        return position

    async def _publish(self, body: bytes, end_s: float) -> Position:
        await self._sync.settled(end_s)
        bytes_max = int(self._link.server.get("max_payload", 1 << 20)) - PAYLOAD_SPARE_BYTES
        position = 0
        for piece in split_entry(body, bytes_max):
            position = await self._publisher.publish(piece, partial(_anchor_of, body), end_s=end_s)
        try:
            await self._sync.settled(end_s)  # the ack may have come by a connection that was made meanwhile
        except NotAsked as error:
            raise Unanswered(str(error)) from error
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
        await self._sync.settled(end_s)
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

        def end() -> None:
            following.end()
            with contextlib.suppress(ValueError):  # it was ended before
                self._followings.remove(following)
                self._highest = max(self._highest, following.reached)

        return end

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

    def copy_bytes(self) -> int:
        """See Journal. It is what the stream takes on each server."""
        return int(self._state()["bytes"])

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Journal. It holds what was there when it began. Raises also: Away: the stream was cut again and again.

        Another node may cut the stream meanwhile. Then the copy begins anew behind the cut: the holder has committed a
        manifest that covers what it cut, and a backup copies the catalog, which has it, after the journal.
        """
        for _ in range(COPY_TRIES):
            first = self.first_position()
            try:
                self._copy_from(first, target, rest)
                return
            except (DamagedData, Away):  # Away: all that was left is cut, and there is nothing after it yet
                if self.first_position() <= first:
                    raise
            _remove_database(target)
            log.info("the stream was cut while it was copied; the copy begins anew", first=first)
        raise Away(
            f"stream {self._stream} was cut by checkpoints {COPY_TRIES} times while it was copied. Nothing is damaged: "
            "try again when checkpoints are rarer"
        )

    def _copy_from(self, first: Position, target: Path, rest: Callable[[float], None]) -> None:
        with contextlib.closing(SqliteJournal(target)) as journal:
            journal.accept_loss(through=first - 1)
            for position, body in self.read(after=first - 1):
                journal.append(body)
                if position % PAGE_ENTRIES == 0:
                    rest(0.0)

    def close(self) -> None:
        """See Journal."""
        for stop in self._stop_watching:
            stop()
        for following in list(self._followings):
            following.end()
        self._link.close()


def _remove_database(path: Path) -> None:
    """Remove a database and the files that SQLite and the journal keep beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def _anchor_of(body: bytes) -> bytes:
    """An entry without events, of the time and the kind of another entry, so that no quiet time ends unnoticed."""
    is_shared = int.from_bytes(body[4:6], "little") == SHARED_VERSION
    received_at_ns = int.from_bytes(body[8:16], "little", signed=True)
    return encode_entry(EventBatch(received_at_ns=received_at_ns, is_shared=is_shared))
