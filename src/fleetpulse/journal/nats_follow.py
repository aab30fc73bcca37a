"""Following a stream: its entries in order, each once, across reconnects and crashes of servers.

A consumer of the server's is used as long as it delivers without a gap, and made anew, from the entry after the last
one that was delivered, whenever anything is not as expected: a gap, no word, an error, a lost connection. Which entries
were delivered is known here only, so nothing depends on what a server remembers of a consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleetpulse.journal.journal import Deliver
from fleetpulse.journal.nats_link import BROKEN, RETRY_S, NatsLink
from fleetpulse.journal.nats_stream import first_position
from fleetpulse.model.events import Position

log = structlog.get_logger("journal")
BATCH, BATCH_BYTES_MAX = 500, 16 << 20
"""Of entries that are asked for at once; as many may wait to be delivered."""
EXPIRES_S, IDLE_S, QUIET_S = 30.0, 1.0, 2.5
"""How long the server keeps a request, how often it says that it has nothing, and when it is quiet too long."""
IDLE_STATUS, ENDED_STATUSES = "100", {"404", "408"}
"""What the server says in between: that it has nothing now, and that a request is over, so that the next is due."""
_ACK_FIELDS = 9
"""Of the reply subject of a message, in its old form; the new one has domain and account hash behind `ACK`."""


class Following:
    """One who follows. Entries are delivered by a thread of its own; what comes in meanwhile waits."""

    def __init__(
        self, link: NatsLink, stream: str, *, after: Position, deliver: Deliver, missed: Callable[[Position], None]
    ) -> None:
        self._link, self._stream = link, stream
        self._deliver, self._missed = deliver, missed
        self.reached = after
        """Position of the last entry that has come in."""
        self._created = ""
        """When the stream was made that is followed: one that was made anew has other entries at these positions."""
        self._waiting: deque[list[tuple[Position, bytes]]] = deque()
        self._changed = threading.Condition()
        self._has_ended, self._first_left = False, 0
        self._room = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._hand_over, name="journal-follow", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._stop_reading = self._link.spawn(self._read)

    def end(self) -> None:
        """Begin no further call. From any thread."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        self._stop_reading()

    def _hand_over(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_ended or self._waiting or self._first_left)
                if self._has_ended:
                    return
                entries = [entry for part in self._waiting for entry in part]
                self._waiting.clear()
                first_left = self._first_left
                if not entries:
                    self._has_ended = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._room.set)
            if not entries:
                self._missed(first_left)
                return
            self._deliver(entries)

    def _put(self, entries: list[tuple[Position, bytes]]) -> None:
        with self._changed:
            self._waiting.append(entries)
            self._changed.notify_all()

    async def _read(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not (self._has_ended or self._first_left):
            try:
                await self._consume()
            except (*BROKEN, KeyError, ValueError) as error:
                log.debug("following begins anew", after=self.reached, because=str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _consume(self) -> None:
        """Follow by one consumer, until it does not deliver as expected any more; then return, or raise.

        Where an entry comes that is not the next one, messages were lost on their way, and the next consumer has them;
        or the stream was cut, which the next look at its state tells.
        """
        end_s = time.monotonic() + 10
        client = await self._link.connected(time.monotonic() + 3_600)
        info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)
        self._created = self._created or str(info["created"])
        if info["created"] != self._created:
            raise ValueError(f"stream {self._stream} was made anew: its entries are not those that were followed")
        first, last = first_position(info["state"]), int(info["state"]["last_seq"])
        if first > self.reached + 1 and last > self.reached:
            self._miss(first)
            return
        name = f"follow-{secrets.token_hex(8)}"
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.reached + 1,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": int(60e9),
        }
        subject = f"CONSUMER.CREATE.{self._stream}.{name}"
        await self._link.api(subject, {"stream_name": self._stream, "config": config}, end_s=end_s)
        messages: asyncio.Queue[Msg] = asyncio.Queue()

        async def received(message: Msg) -> None:
            messages.put_nowait(message)

        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=received, pending_msgs_limit=-1, pending_bytes_limit=-1)
        try:
            await self._receive(client, name, inbox, messages)
        finally:
            with contextlib.suppress(*BROKEN):
                await subscription.unsubscribe()
                await client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}", b"", reply=client.new_inbox())

    async def _receive(self, client: Client, name: str, inbox: str, messages: asyncio.Queue[Msg]) -> None:
        request = (
            f'{{"batch":{BATCH},"expires":{int(EXPIRES_S * 1e9)},"idle_heartbeat":{int(IDLE_S * 1e9)},'
            f'"max_bytes":{BATCH_BYTES_MAX}}}'
        ).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        count, is_asking, left = 0, False, 0
        while True:
            if not is_asking:
                await self._wait_for_room()
                await client.publish(subject, request, reply=inbox)
                is_asking, left = True, BATCH
            async with asyncio.timeout(QUIET_S):
                gathered = [await messages.get()]
            while not messages.empty():
                gathered.append(messages.get_nowait())
            entries: list[tuple[Position, bytes]] = []
            for message in gathered:
                status = (message.headers or {}).get("Status") if not message.data else None
                if status is None:
                    position, number = _place(message.reply)
                    count, left = count + 1, left - 1
                    if number != count or position != self.reached + 1:
                        self._put_some(entries)
                        return
                    self.reached = position
                    entries.append((position, message.data))
                elif status != IDLE_STATUS:
                    is_asking = is_asking and (message.headers or {}).get("Nats-Pending-Messages") == "0"
                    if status not in ENDED_STATUSES and "Batch Completed" not in str(message.headers):
                        self._put_some(entries)
                        raise ValueError(str(message.headers))
            self._put_some(entries)
            is_asking = is_asking and left > 0

    def _put_some(self, entries: list[tuple[Position, bytes]]) -> None:
        if entries:
            self._put(entries)

    def _miss(self, first: Position) -> None:
        with self._changed:
            self._first_left = first
            self._changed.notify_all()

    async def _wait_for_room(self) -> None:
        """Ask for nothing more while what has come in was not taken."""
        while True:
            self._room.clear()
            with self._changed:
                if not self._waiting:
                    return
            await self._room.wait()


def _place(reply: str) -> tuple[Position, int]:
    """The position of a message in the stream, and its number among those of its consumer, from its reply subject."""
    tokens: list[Any] = reply.split(".")
    skipped = 0 if len(tokens) <= _ACK_FIELDS else 2
    return int(tokens[5 + skipped]), int(tokens[6 + skipped])
