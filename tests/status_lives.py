"""A service and its model, which live through the same hours: beats, pauses, maintenance, stops and crashes."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleetpulse.app import build
from fleetpulse.ingest.device_declarations import DeviceChange
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from status_model import DAY_S, SECOND, Known, Model

TERMS = [(60, 240), (60, 240), (60, 0), (10, 20), (300, 120), (420, 900), (3_600, 60), (86_400, 600), (2_678_400, 600)]
SKEWS = [0, 0, 0, 0, -90, 90, 4_000]
"""How many seconds the clocks of devices are ahead."""
STARTS = ["2026-05-11T20:00", "2024-02-28T21:00", "2026-03-28T22:30", "2026-10-24T21:00", "2025-12-31T23:50"]
"""A plain evening, the eve of a leap day, of both changes of the clocks in Paris, and of a year."""
ZONES = ["UTC", "Europe/Paris", "Asia/Kolkata"]
SITES = ["paris", "lyon"]


class FakeClock:
    def __init__(self, now_s: int) -> None:
        self.s = now_s

    def now_ns(self) -> int:
        return self.s * SECOND

    def monotonic_ns(self) -> int:
        return self.s * SECOND


class Nobody:
    def acknowledge(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        raise error


def limit_s(interval_s: int, grace_s: int, factor_thousandths: int) -> float:
    """How long a stretch may be that is no gap."""
    return min(interval_s * factor_thousandths / 1_000, interval_s + grace_s)


class Life:
    """A node and its model, which live through the same."""

    def __init__(self, folder: Path, seed: int, mistake: str) -> None:
        self.chance = random.Random(seed)
        start = int(
            datetime.fromisoformat(self.chance.choice(STARTS)).replace(tzinfo=UTC).timestamp()
        ) + self.chance.randrange(60)
        self.clock = FakeClock(start)
        self.model = Model(start, mistake)
        self.model.factor_thousandths = self.chance.choice([1_500, 1_500, 1_100, 2_500])
        self.settings = Settings(
            data=str(folder),
            checkpoint_s=1e9,
            interval_s=60,
            grace_s=240,
            gap_factor=self.model.factor_thousandths / 1_000,
        )
        self.service: Service
        self.performed: list[str] = []

    def actions(self) -> list[Callable[[], Any]]:
        often = [self.live, self.live, self.live, self.change, self.change]
        return [
            *often,
            self.checkpoint,
            self.stop,
            self.crash,
            self.suspend,
            *[self.pause] * 3,
            *[self.maintain] * 3,
            self.declare,
        ]

    async def start(self) -> None:
        self.service = build(self.settings, clock=self.clock, synchronous="NORMAL")
        await self.service.node.start()
        assert self.service.node._ticker is not None
        self.service.node._ticker.cancel()  # it ticks by the real clock, and we by ours
        self.model.begin()

    async def register(self, count: int) -> None:
        for _ in range(count):
            number = len(self.model.devices)
            interval_s, grace_s = self.chance.choice(TERMS)
            device = Known(
                f"d{number}", self.chance.choice(SITES), interval_s, grace_s, keeps=self.chance.random() < 0.7
            )
            device.policies.append((self.clock.s, interval_s, grace_s))
            device.skew = self.chance.choice(SKEWS)
            device.next_at = self.clock.s + self.chance.randrange(interval_s)
            self.model.devices.append(device)
            await self.service.registry.register_many([self._declared(device)])

    def _declared(self, device: Known) -> Device:
        return Device(device.id, {"site": device.site}, device.interval_s, device.grace_s)

    async def live(self) -> None:
        await self.go_on(self.chance.choice([120, 600, 1_800, 7_200]))

    async def go_on(self, length: int) -> None:
        """Time goes on, and devices beat."""
        end = self.clock.s + length
        while self.clock.s < end:
            self.move(min(end - self.clock.s, self.chance.randint(5, 59)))
            await self.turn()
            await self.beat()

    async def go_on_steadily(self, length: int) -> None:
        """Nobody misses anything."""
        for _ in range(0, length, 45):
            self.move(45)
            await self.turn()
            batch = EventBatch()
            for number in range(len(self.model.devices)):
                self._add(batch, number, [self.clock.s], is_sample=False)
            self.service.intake.add_batch(batch, Nobody())
            await self.service.writer.drain()

    def move(self, length: int) -> None:
        self.clock.s += length
        self.model.now = self.clock.s

    async def turn(self) -> None:
        self.service.node._move_on()
        self.model.turn()
        await self.service.writer.drain()
        if self.service.housekeeping._task is not None:
            await self.service.housekeeping._task

    async def beat(self) -> None:
        batch = EventBatch()
        for number, device in enumerate(self.model.devices):
            due = device.due(self.clock.s, self.chance)
            if device.is_alive and device.is_cut:
                device.backlog += due if device.keeps else []
            elif device.is_alive and due:
                if self.chance.random() < 0.15:
                    self._add(batch, number, due, is_sample=True)
                else:
                    self._add(batch, number, due, is_sample=False)
            if device.is_alive and not device.is_cut and device.backlog and self.chance.random() < 0.5:
                count = self.chance.randint(1, len(device.backlog))
                self._add(batch, number, device.backlog[:count], is_sample=False)
                del device.backlog[:count]
        if len(batch):
            self.service.intake.add_batch(batch, Nobody())
            await self.service.writer.drain()

    def _add(self, batch: EventBatch, number: int, sent_at: list[int], *, is_sample: bool) -> None:
        skew = self.model.devices[number].skew
        sent_at = [max(self.model.origin, at + skew) for at in sent_at]
        self.model.hear(self.model.devices[number], sent_at, is_sample=is_sample)
        for at in sent_at:
            if is_sample:
                batch.sample_devices.append(number)
                batch.sample_sent_at_ns.append(at * SECOND)
                batch.sample_values.append(7)
                batch.sample_metrics.append(0)
            else:
                batch.heartbeat_devices.append(number)
                batch.heartbeat_sent_at_ns.append(at * SECOND)

    async def change(self) -> None:
        """A device dies, is cut off, or comes back; then some time goes on."""
        device = self.chance.choice(self.model.devices)
        match self.chance.randrange(4):
            case 0:
                device.is_alive = not device.is_alive
            case 1 | 2:
                device.is_cut = not device.is_cut
            case _:
                device.is_alive, device.is_cut = True, False
        await self.go_on(self.chance.choice([60, 200, 900, 3_600]))

    async def checkpoint(self) -> None:
        assert await self.service.housekeeping.checkpoint()
        if self.chance.random() < 0.3:
            await self.service.housekeeping.compact(is_forced=True)

    def _pass_unseen(self) -> None:
        """The clock moves on while nobody is served: what devices would have sent waits, or is lost."""
        self.move(self.chance.choice([0, 1, 30, 59, 60, 61, 300, 4_000, 4_000, 40_000]))
        for device in self.model.devices:
            due = device.due(self.clock.s, self.chance)
            device.backlog += due if device.is_alive and device.keeps else []

    async def stop(self) -> None:
        await self.service.node.stop()
        self.model.alive_at = self.clock.s
        self._pass_unseen()
        await self.start()

    async def crash(self) -> None:
        """What a crash leaves: threads end, nothing is written."""
        self.service.writer._jobs.put(None)
        self.service.writer._thread.join()
        self.service.node._close()
        self._pass_unseen()
        await self.start()

    async def suspend(self) -> None:
        self._pass_unseen()
        await self.turn()

    async def pause(self) -> None:
        number = self.chance.randrange(len(self.model.devices))
        device, now = self.model.devices[number], self.clock.s
        if device.pauses and self.chance.random() < 0.5:
            is_paused = any(start <= now and (end is None or now < end) for start, end in device.pauses)
            assert await self.service.planned_downtime.resume(number) == is_paused
            if is_paused:
                device.pauses = [(start, now if end is None else min(now, end)) for start, end in device.pauses]
        else:
            until = self.chance.choice([None, now + 100, now + 2_000, now + 20_000])
            await self.service.planned_downtime.pause(number, until_ns=None if until is None else until * SECOND)
            device.pauses = [(start, now if end is None else min(now, end)) for start, end in device.pauses]
            device.pauses.append((now, until))

    async def maintain(self) -> None:
        """A window is declared, before or after its time, or taken back."""
        if self.model.windows and self.chance.random() < 0.3:
            window_id = self.chance.choice(sorted(self.model.windows))
            del self.model.windows[window_id]
            assert await self.service.planned_downtime.delete_window(window_id)
            return
        window = self._window(f"w{self.chance.randrange(5)}")
        check_window(window)
        self.model.windows[window.id] = window
        await self.service.planned_downtime.put_window(window)

    def _window(self, window_id: str) -> MaintenanceWindow:
        start = self.clock.s + self.chance.randint(-20_000, 5_000)
        whom = self.chance.randrange(3)
        window = MaintenanceWindow(
            window_id,
            "",
            {"site": self.chance.choice(SITES)} if whom == 0 else {},
            ("d0", "d1", "d99") if whom == 1 else (),
            start * SECOND,
            (start + self.chance.choice([100, 1_000, 5_000, 20_000])) * SECOND,
            is_for_all=whom == 2,
        )
        if self.chance.random() < 0.4:
            wall = datetime.fromtimestamp(start, UTC)
            recurrence = Recurrence(
                self.chance.choice([(), (), (wall.weekday(),), (0, 2, 4, 6)]),
                (wall.hour * 60 + wall.minute) % 1440,
                self.chance.choice([60, 900, 7_200]),
                self.chance.choice(ZONES),
            )
            end = self.chance.choice([None, start + 3 * DAY_S, start + 4_000])
            window = replace(
                window,
                recurrence=recurrence,
                start_ns=(start - DAY_S) * SECOND,
                end_ns=None if end is None else end * SECOND,
            )
        return window

    async def declare(self) -> None:
        """A device is new, or moves, or is expected otherwise."""
        if self.chance.random() < 0.3 and len(self.model.devices) < 6:
            await self.register(1)
            return
        number = self.chance.randrange(len(self.model.devices))
        device = self.model.devices[number]
        if self.chance.random() < 0.3:
            await self._correct(device)
            return
        device.site = self.chance.choice(SITES)
        device.interval_s, device.grace_s = self.chance.choice(TERMS)
        device.policies.append((self.clock.s, device.interval_s, device.grace_s))
        await self.service.registry.update({number: self._declared(device)})

    async def _correct(self, device: Known) -> None:
        """A device has been expected otherwise for a while, by a policy of which all gaps were kept."""
        factor = self.model.factor_thousandths
        longest = max(limit_s(*terms, factor) for _, *terms in device.policies)
        terms = [terms for terms in TERMS if limit_s(*terms, factor) >= longest]
        since = self.clock.s - self.chance.randrange(min(20_000, self.clock.s - self.model.origin) + 1)
        device.interval_s, device.grace_s = self.chance.choice(terms)
        before = [one for one in device.policies[1:] if one[0] < since]
        device.policies = [device.policies[0], *before, (since, device.interval_s, device.grace_s)]
        change = DeviceChange(
            interval=f"{device.interval_s}s", grace=f"{device.grace_s}s", since=format_rfc3339(since * SECOND)
        )
        await self.service.inventory.change(device.id, change)
        # A replay cannot take back since when the device is up.
        assert await self.service.housekeeping.checkpoint()
