"""Load from outside, with a ledger of what was acknowledged.

Each lane is one connection through the balancer, with devices of its own and one request under way. A request is
repeated until it is acknowledged, so in the end the minutes and samples of each device are known exactly. How often an
event was stored is known within bounds: once for each acknowledgement, and once more at most for each try that ended
without saying what became of it.
"""

import asyncio
import gzip
import itertools
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wire import Broken, Wire

DAYS = 3
MINUTES_A_DAY = 1440
PAUSE_S = 0.1
"""Between a refusal and the next try."""
UNSURE = {502, 504}
"""What the balancer answers where a node broke off."""


@dataclass
class Account:
    """What one device has said, and been answered."""

    minutes: set[int] = field(default_factory=set)
    samples: set[tuple[int, int]] = field(default_factory=set)
    """Minute and upload time."""
    acknowledged: int = 0
    """Events, repeats included."""
    unsure: int = 0
    """Events of tries of which nobody knows whether they were stored."""

    @property
    def uptime(self) -> float:
        span = max(1, max(self.minutes) - min(self.minutes)) if self.minutes else 1
        return min(100.0, 100.0 * len(self.minutes) / span)

    @property
    def average(self) -> int:
        return sum(value for _, value in self.samples) // len(self.samples) if self.samples else 0


Event = tuple[str, int, int | None]
"""Device, minute, upload time or None."""


class Load:
    """All lanes, in a thread of their own. `port`: the balancer's."""

    def __init__(
        self, *, lanes: int, devices_a_lane: int, seed: int, bulk_lines: int = 40, pause_s: float = 0.0
    ) -> None:
        self.lanes = [[f"lane{lane}-{number}" for number in range(devices_a_lane)] for lane in range(lanes)]
        self.accounts = {device: Account() for lane in self.lanes for device in lane}
        self.acknowledged_s: list[float] = []
        """When an answer came that acknowledged something, by the clock of time.monotonic."""
        self.slowest_s = 0.0
        """The longest that a single report took until it was acknowledged, repeats included."""
        self.refusals: Counter[str] = Counter()
        """By what was answered instead of an acknowledgement."""
        self.faults: list[str] = []
        self.position = 0
        """The newest position that an answer named."""
        self._chance = random.Random(seed)
        self._bulk_lines = bulk_lines
        self._pause_s = pause_s
        self.requests = 0
        """How many were acknowledged."""
        self._until = int(datetime.now(UTC).timestamp()) // 60 - 1
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def devices_csv(self) -> str:
        return "device_id\n" + "\n".join(self.accounts) + "\n"

    @property
    def events(self) -> int:
        """How many events were acknowledged, single reports and lines of bulk bodies."""
        return sum(account.acknowledged for account in self.accounts.values())

    def start(self, port: int) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all(port)), name="load")
        self._thread.start()

    def stop(self, timeout_s: float = 90.0) -> None:
        """Begin nothing new, and wait until all that was begun is acknowledged."""
        self._stopping.set()
        assert self._thread is not None
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), f"what was begun is not acknowledged: {self.refusals}"
        assert not self.faults, self.faults[:5]

    def await_events(self, count: int, *, timeout_s: float) -> None:
        """Wait until so many events are acknowledged."""
        end_s = time.monotonic() + timeout_s
        while self.events < count:
            assert time.monotonic() < end_s, f"{self.events} of {count} events are acknowledged"
            time.sleep(0.5)

    def silence_s(self, start_s: float, end_s: float) -> float:
        """The longest time between two acknowledgements within a span."""
        times = [start_s, *(at for at in self.acknowledged_s if start_s < at < end_s), end_s]
        return max(b - a for a, b in itertools.pairwise(times))

    async def _all(self, port: int) -> None:
        async with asyncio.TaskGroup() as group:
            for lane in range(len(self.lanes)):
                group.create_task(self._lane(lane, port))

    async def _lane(self, lane: int, port: int) -> None:
        wire = Wire(port)
        try:
            while not self._stopping.is_set() and not self.faults:
                count = self._bulk_lines if self._chance.random() < 0.1 else 1
                began_s = time.monotonic()
                await self._deliver(wire, [self._event(lane) for _ in range(count)])
                self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)
        finally:
            wire.close()

    def _event(self, lane: int) -> Event:
        chance = self._chance
        minute = self._until - chance.randrange(DAYS * MINUTES_A_DAY)
        return chance.choice(self.lanes[lane]), minute, None if chance.random() < 0.6 else chance.randrange(2**62)

    async def _deliver(self, wire: Wire, events: list[Event]) -> None:
        """Send until it is acknowledged."""
        if len(events) == 1:
            device, _, value = events[0]
            path = f"/api/v1/devices/{device}/{'heartbeat' if value is None else 'stats'}"
            body, expected = body_of(events[0]), 204
        else:
            path, expected = "/api/v1/events", 200
            body = b"\n".join(body_of(event, has_device=True) for event in events)
        is_packed = len(events) > 1 and self._chance.random() < 0.5
        body = gzip.compress(body, 1) if is_packed else body
        while not self.faults:
            try:
                answer = await wire.ask("POST", path, body, is_packed=is_packed)
            except Broken as broken:
                self.refusals[str(broken)[:40]] += 1
                self._count(events, is_sure=False)
            else:
                if answer.status == expected and self._has_all(answer.body, len(events)):
                    self.position = max(self.position, answer.position)
                    self._count(events, is_sure=True)
                    self.requests += 1
                    self.acknowledged_s.append(time.monotonic())
                    return
                self._refused(events, answer.status, answer.body)
            await asyncio.sleep(PAUSE_S)

    def _has_all(self, body: bytes, count: int) -> bool:
        return not body or json.loads(body)["accepted"] == count

    def _refused(self, events: list[Event], status: int, body: bytes) -> None:
        kind = f"{status} {json.loads(body).get('type', '').rpartition(':')[2]}" if body else str(status)
        self.refusals[kind] += 1
        if status in UNSURE or "outcome_unknown" in kind:
            self._count(events, is_sure=False)
        elif status not in {429, 503}:
            self.faults.append(f"{kind}: {body[:500]!r}")

    def _count(self, events: list[Event], *, is_sure: bool) -> None:
        for device, minute, value in events:
            account = self.accounts[device]
            account.acknowledged += is_sure
            account.unsure += not is_sure
            if is_sure and value is None:
                account.minutes.add(minute)
            elif is_sure and value is not None:
                account.samples.add((minute, value))


def body_of(event: Event, *, has_device: bool = False) -> bytes:
    """What the device sends."""
    device, minute, value = event
    body: dict[str, object] = {"device_id": device} if has_device else {}
    body["sent_at"] = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).isoformat()
    return json.dumps(body if value is None else body | {"upload_time": value}).encode()
