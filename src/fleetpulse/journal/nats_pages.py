"""Reading a piece of a stream that is known to be there, without a consumer: by JetStream's direct get of many."""

from __future__ import annotations

import asyncio
import time

import msgspec
from nats.aio.msg import Msg

from fleetpulse.journal.nats_link import RETRY_S, NatsLink, Unanswered
from fleetpulse.model.events import Position

PAGE_ENTRIES, PAGE_BYTES_MAX = 256, 8 << 20
QUIET_S = 2.0
_END, _NONE = "204", "404"


async def read_page(
    link: NatsLink, stream: str, *, after: Position, count: int, end_s: float
) -> list[tuple[Position, bytes]]:
    """The entries behind `after`, at least one and at most `count`, in their order.

    Any server may answer, also one that does not have the entry yet; then it is asked again.
    Raises: Unanswered: no entry came until `end_s`.
    """
    while True:
        entries = await _ask(link, stream, after, count, end_s)
        if entries:
            return entries
        if time.monotonic() + RETRY_S >= end_s:
            raise Unanswered(f"NATS has not given the entry after {after}")
        await asyncio.sleep(RETRY_S)


async def _ask(link: NatsLink, stream: str, after: Position, count: int, end_s: float) -> list[tuple[Position, bytes]]:
    client = await link.connected(end_s)
    messages: asyncio.Queue[Msg] = asyncio.Queue()

    async def received(message: Msg) -> None:
        messages.put_nowait(message)

    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=received, pending_bytes_limit=-1)
    entries: list[tuple[Position, bytes]] = []
    try:
        request = msgspec.json.encode({"seq": after + 1, "batch": count, "max_bytes": PAGE_BYTES_MAX})
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", request, reply=inbox)
        while True:
            message = await asyncio.wait_for(messages.get(), QUIET_S)
            headers = message.headers or {}
            if "Nats-Sequence" not in headers:
                return entries  # the end, or why there is nothing
            entries.append((int(headers["Nats-Sequence"]), message.data))
    except TimeoutError:
        return entries
    finally:
        await subscription.unsubscribe()
