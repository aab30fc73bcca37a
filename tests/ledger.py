"""Load that keeps a ledger: what was acknowledged, what broke off, and what the server must say after a crash.

Each lane is one connection with devices of its own, and one request under way at a time; so after a crash exactly one
request a lane is undecided, and it must have been taken whole or not at all.
"""

import asyncio
import json
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleetpulse.simulation.connection import Connection, Unanswered
from fleetpulse.simulation.verdict import parse_duration
from http_client import Client

DAYS = 4
BULK_LINES = 40


@dataclass
class Account:
    """What one device is known to have said."""

    minutes: set[int] = field(default_factory=set)
    heartbeats: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Minute and value."""
    mistake: int = 0
    """What a control adds to the total."""

    def add(self, minute: int, value: int | None) -> None:
        if value is None:
            self.minutes.add(minute)
            self.heartbeats += 1
        else:
            self.samples.append((minute, value))

    def copy(self) -> "Account":
        return Account(set(self.minutes), self.heartbeats, list(self.samples), self.mistake)

    def matches(self, stats: dict[str, object], audit: dict[str, int], until: int, metric: dict[str, object]) -> bool:
        past = [value for minute, value in self.samples if minute < until]
        total = sum(value for _, value in self.samples) + self.mistake
        span = max(1, max(self.minutes) - min(self.minutes)) if self.minutes else 1
        uptime = min(100.0, 100.0 * len(self.minutes) / span)
        average = total // len(self.samples) if self.samples else 0
        return (
            (audit["heartbeats"], audit["samples"]) == (self.heartbeats, len(self.samples))
            and (metric["count"], metric["value"]) == (len(past), sum(past) if past else None)
            and abs(float(str(stats["uptime"])) - uptime) < 1e-9
            and parse_duration(str(stats["avg_upload_time"])) == average
        )


Event = tuple[str, int, int | None]
"""Device, minute, upload time or None."""


class Ledger:
    """All lanes' devices, and the events that are undecided."""

    def __init__(self, *, lanes: int, devices_a_lane: int, seed: int, may_refuse: bool = False) -> None:
        """`may_refuse`: a lane that is answered 503 ends, and what it sent then is undecided."""
        self._may_refuse = may_refuse
        self.lanes = [[f"lane{lane}-{number}" for number in range(devices_a_lane)] for lane in range(lanes)]
        self.accounts = {device: Account() for lane in self.lanes for device in lane}
        self.undecided: list[list[Event]] = [[] for _ in self.lanes]
        self.acknowledged = 0
        self._chance = random.Random(seed)
        self._today = int(datetime.now(UTC).timestamp()) // 86_400

    def devices_csv(self) -> str:
        return "device_id\n" + "\n".join(self.accounts) + "\n"

    def _event(self, lane: int) -> Event:
        chance = self._chance
        minute = (self._today - chance.randrange(DAYS)) * 1440 + chance.randrange(1440)
        return chance.choice(self.lanes[lane]), minute, None if chance.random() < 0.6 else chance.randrange(2**62)

    async def _lane(self, lane: int, url: str) -> None:
        async with Connection(url) as connection:
            while True:
                is_bulk = self._chance.random() < 0.1
                events = [self._event(lane) for _ in range(BULK_LINES if is_bulk else 1)]
                self.undecided[lane] = events
                try:
                    if is_bulk:
                        lines = b"\n".join(_body(event, has_device=True) for event in events)
                        answer = await connection.ask("POST", "/api/v1/events", lines)
                        if self._may_refuse and answer.status == 503:
                            return
                        assert (answer.status, json.loads(answer.body)["accepted"]) == (200, len(events)), answer.body
                    else:
                        device, _, value = events[0]
                        path = f"/api/v1/devices/{device}/{'heartbeat' if value is None else 'stats'}"
                        answer = await connection.ask("POST", path, _body(events[0]))
                        if self._may_refuse and answer.status == 503:
                            return
                        assert answer.status == 204, (answer.status, answer.body)
                except Unanswered:
                    return
                for device, minute, value in events:
                    self.accounts[device].add(minute, value)
                self.acknowledged += len(events)
                self.undecided[lane] = []

    def load(self, port: int) -> threading.Thread:
        """Say more and more, in a thread of its own, until the server is gone."""

        async def all_lanes() -> None:
            async with asyncio.TaskGroup() as group:
                for lane in range(len(self.lanes)):
                    group.create_task(self._lane(lane, f"http://127.0.0.1:{port}"))

        thread = threading.Thread(target=lambda: asyncio.run(all_lanes()))
        thread.start()
        return thread

    def settle(self, port: int) -> list[str]:
        """Ask for everything. What was undecided becomes decided; returns the devices whose figures are wrong."""
        client = Client(port)
        wrong: list[str] = []
        for lane, events in enumerate(self.undecided):
            answers = {device: _figures(client, device) for device in self.lanes[lane]}
            without = {device: self.accounts[device] for device in answers}
            together = {device: account.copy() for device, account in without.items()}
            for device, minute, value in events:
                together[device].add(minute, value)
            if all(together[device].matches(*answers[device]) for device in answers):
                self.accounts.update(together)
            else:
                wrong += [device for device in answers if not without[device].matches(*answers[device])]
            self.undecided[lane] = []
        client.close()
        return wrong


def _figures(client: Client, device: str) -> tuple[dict[str, object], dict[str, int], int, dict[str, object]]:
    stats, audit = (client.ask("GET", f"/api/v1/devices/{device}/{what}") for what in ("stats", "audit"))
    assert (stats[0], audit[0]) == (200, 200), (stats, audit)
    assert audit[1]["accepted"] == audit[1]["applied"] + audit[1]["pending"]
    # The same samples as blocks and live columns hold them, up to the minute that is now.
    until = int(datetime.now(UTC).timestamp()) // 60
    window = "&".join(
        f"{name}={_moment(minute).strftime('%Y-%m-%dT%H:%M:%SZ')}"
        for name, minute in (("from", until - 1440 * (DAYS + 1)), ("to", until))
    )
    status, found = client.ask("GET", f"/api/v1/devices/{device}/metrics?types=upload_time&aggregation=sum&{window}")
    assert (status, found["missing"]) == (200, []), found
    return stats[1], audit[1], until, found["metrics"]["upload_time"]


def _moment(minute: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def _body(event: Event, *, has_device: bool = False) -> bytes:
    device, minute, value = event
    moment = _moment(minute)
    body: dict[str, object] = {"device_id": device} if has_device else {}
    body |= {"sent_at": moment.isoformat()} | ({} if value is None else {"upload_time": value})
    return json.dumps(body).encode()
