"""Sends what was planned, over HTTP, and asks for the figures that the server made of it.

Each lane is one connection that speaks for some of the devices. What is not answered is sent again until it is:
heartbeats may repeat freely; a sample that broke off half-way may count once or twice, and both are right.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from fleetpulse.errors import OperatorError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.simulation.connection import Answer, Connection, Unanswered
from fleetpulse.simulation.plan import HEARTBEAT, DevicePlan
from fleetpulse.simulation.verdict import Verdict, judge

RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Which server, over how many connections, how fast, and how long to wait for a server that is away."""

    url: str
    connections: int = 32
    is_realtime: bool = False
    bulk_lines: int = 0
    """Lines of a bulk request; 0 sends every event as a request of its own."""
    patience_s: float = 60.0
    key: str = ""
    """Sent with each request; empty: none."""
    announce: Callable[[str], None] = lambda _text: None
    """Called with what is waited for when the server does not accept; once until it accepts again."""


@dataclass(slots=True)
class Tally:
    """What happened on the way."""

    sent: int = 0
    repeated: int = 0
    """Requests sent again because they were not answered, or put off by 429 or 503."""
    is_waiting: bool = False
    """Whether it was announced that the server does not accept at the moment."""


class ServerGone(OperatorError):
    """The server could not be reached for longer than the patience."""


class Rejected(OperatorError):
    """The server refused what it must accept."""


async def send_all(plans: Sequence[DevicePlan], options: RunOptions, advanced: Callable[[Tally], None]) -> Tally:
    """Send all events. `advanced` is called now and then. Raises: ServerGone; Rejected."""
    tally = Tally()
    lanes = [plans[lane :: options.connections] for lane in range(min(options.connections, len(plans)))]
    async with asyncio.TaskGroup() as group:
        for lane in lanes:
            group.create_task(_send_lane(lane, options, tally, advanced))
    return tally


async def _send_lane(
    plans: Sequence[DevicePlan], options: RunOptions, tally: Tally, advanced: Callable[[Tally], None]
) -> None:
    device = np.repeat(np.arange(len(plans)), [len(plan.send_at_ns) for plan in plans])
    send_at = np.concatenate([plan.send_at_ns for plan in plans])
    order = np.argsort(send_at, kind="stable")
    sent_at = np.concatenate([plan.sent_at_ns for plan in plans])[order]
    values = np.concatenate([plan.upload_time_ns for plan in plans])[order]
    device, send_at = device[order], send_at[order]
    step = max(1, options.bulk_lines)
    async with Connection(options.url, key=options.key) as connection:
        for start in range(0, len(order), step):
            if options.is_realtime:
                await asyncio.sleep((int(send_at[min(start + step, len(order)) - 1]) - time.time_ns()) / NS_PER_S)
            places = range(start, min(start + step, len(order)))
            events = [(plans[device[i]].device_id, int(sent_at[i]), int(values[i])) for i in places]
            await _send_events(connection, events, options, tally)
            tally.sent += len(events)
            advanced(tally)


async def _send_events(
    connection: Connection, events: list[tuple[str, int, int]], options: RunOptions, tally: Tally
) -> None:
    if options.bulk_lines:
        body = b"\n".join(_body(sent_at, value, device_id) for device_id, sent_at, value in events)
        answer = await until_answered(lambda: connection.ask("POST", "/api/v1/events", body), options, tally)
        if answer.status != 200 or _json(answer).get("accepted") != len(events):
            raise _rejected("POST /api/v1/events", answer)
        return
    for device_id, sent_at, value in events:
        path = f"/api/v1/devices/{device_id}/{'heartbeat' if value == HEARTBEAT else 'stats'}"
        body = _body(sent_at, value)

        def ask(path: str = path, body: bytes = body) -> Awaitable[Answer]:
            return connection.ask("POST", path, body)

        answer = await until_answered(ask, options, tally)
        if answer.status != 204:
            raise _rejected(f"POST {path}", answer)


async def until_answered(ask: Callable[[], Awaitable[Answer]], options: RunOptions, tally: Tally) -> Answer:
    """Send a request until the answer is neither 429 nor 503.

    Args: ask: sends the request once. Raises: ServerGone: there was no such answer within the patience.
    """
    gone_since_s: float | None = None
    while True:
        try:
            answer = await ask()
        except Unanswered as error:
            wait_s, what = RETRY_S, str(error)
        else:
            if answer.status not in (429, 503):
                tally.is_waiting = False
                return answer
            wait_s, what = min(answer.retry_after_s, 5.0), f"{answer.status} {answer.body.decode(errors='replace')}"
        if not tally.is_waiting:
            tally.is_waiting = True
            options.announce(f"waiting up to {options.patience_s:g} s for {options.url} ({what})")
        now_s = time.monotonic()
        gone_since_s = now_s if gone_since_s is None else gone_since_s
        if now_s - gone_since_s > options.patience_s:
            text = f"{options.url} accepted nothing for {options.patience_s:g} s ({what})"
            raise ServerGone(f"{text}. Is it running, and is --url right? --patience waits longer.")
        tally.repeated += 1
        await asyncio.sleep(wait_s)


def _json(answer: Answer) -> dict[str, object]:
    try:
        value = json.loads(answer.body)
    except ValueError as error:
        raise Rejected(f"the answer is not JSON: {answer.body[:200]!r}. Does --url lead to the service?") from error
    if not isinstance(value, dict):
        raise Rejected(f"the answer is not an object: {answer.body[:200]!r}. Does --url lead to the service?")
    return value


def _rejected(what: str, answer: Answer) -> Rejected:
    text = answer.body.decode(errors="replace")[:500]
    hint = (
        " Start the server with --auto-register, or play devices that it knows: --ids FILE, or --published."
        if answer.status == 404
        else ""
    )
    return Rejected(f"{what} was answered {answer.status}: {text}.{hint}")


def _body(sent_at_ns: int, value: int, device_id: str | None = None) -> bytes:
    second, fraction = divmod(sent_at_ns, NS_PER_S)
    moment = datetime.fromtimestamp(second, UTC)
    who = f'"device_id":"{device_id}",' if device_id else ""
    upload = "" if value == HEARTBEAT else f',"upload_time":{value}'
    return f'{{{who}"sent_at":"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"{upload}}}'.encode()


async def count_known(plans: Sequence[DevicePlan], options: RunOptions) -> int:
    """How many of the devices have data on the server already. Raises: ServerGone; Rejected."""
    known = 0

    def note(_index: int, answer: Answer) -> None:
        nonlocal known
        known += answer.status == 200 and _json(answer) != {"uptime": 0, "avg_upload_time": "0s"}

    await _ask_each(plans, options, Tally(), note, also=404)
    return known


async def ask_all(
    plans: Sequence[DevicePlan], options: RunOptions, tally: Tally, advanced: Callable[[int], None]
) -> list[Verdict]:
    """Ask for the figures of every device and compare them with the plan. Raises: ServerGone; Rejected."""
    verdicts: dict[int, Verdict] = {}

    def note(index: int, answer: Answer) -> None:
        plan = plans[index]
        verdicts[index] = judge(plan, _json(answer))
        advanced(1)

    await _ask_each(plans, options, tally, note)
    return [verdicts[index] for index in range(len(plans))]


async def _ask_each(
    plans: Sequence[DevicePlan],
    options: RunOptions,
    tally: Tally,
    note: Callable[[int, Answer], None],
    *,
    also: int = 200,
) -> None:
    async def lane(start: int) -> None:
        async with Connection(options.url, key=options.key) as connection:
            for index in range(start, len(plans), options.connections):
                path = f"/api/v1/devices/{plans[index].device_id}/stats"

                def ask(path: str = path) -> Awaitable[Answer]:
                    return connection.ask("GET", path)

                answer = await until_answered(ask, options, tally)
                if answer.status not in (200, also):
                    raise _rejected(f"GET {path}", answer)
                note(index, answer)

    async with asyncio.TaskGroup() as group:
        for start in range(min(options.connections, len(plans))):
            group.create_task(lane(start))
