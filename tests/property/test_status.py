"""Hours of fleet life on a real node: status, transitions, uptime, availability; against a model of every second.

The model keeps plain lists of what happened and follows docs/explanation/uptime.md word by word; it shares no code with
the node. All that happens, happens at a whole second, so one second is one truth.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from fleetpulse.app import build
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence, check_window
from fleetpulse.model.uptime import REASONS
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.query.devices import Filter, Order, list_devices
from fleetpulse.query.downtime import ended_gaps, gaps_of_one
from fleetpulse.query.fleet_columns import fleet_columns
from fleetpulse.query.slots import explain_slots
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from fleetpulse.settings import Settings

SECOND = 1_000_000_000
DAY_S = 86_400
STEPS = 14
TERMS = [(60, 240), (60, 240), (60, 0), (300, 120), (420, 900), (3_600, 60), (86_400, 600)]
STARTS = ["2026-05-11T20:00", "2024-02-28T21:00", "2026-03-28T22:30", "2026-10-24T21:00", "2025-12-31T23:50"]
"""A plain evening, the eve of a leap day, of both changes of the clocks in Paris, and of a year."""
ZONES = ["UTC", "Europe/Paris", "Asia/Kolkata"]
SITES = ["paris", "lyon"]
MISTAKES = (
    "blind time counts",
    "maintenance counts",
    "pauses count",
    "samples are no sign of life",
    "late beats are lost",
    "no grace",
)
Truths = NDArray[np.bool_]


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


@dataclass
class Known:
    """One device of the model: what is declared, and what happened."""

    id: str
    site: str
    interval_s: int
    grace_s: int
    heard: list[tuple[int, int, int]] = field(default_factory=list)
    """(received at, interval, grace) of every batch."""
    minutes: set[int] = field(default_factory=set)
    pauses: list[tuple[int, int | None]] = field(default_factory=list)
    # How it behaves.
    next_at: int = 0
    is_alive: bool = True
    is_cut: bool = False
    keeps: bool = True
    backlog: list[int] = field(default_factory=list)

    def due(self, now: int, chance: random.Random) -> list[int]:
        found = []
        while self.next_at <= now:
            found.append(self.next_at)
            self.next_at += max(1, int(self.interval_s * chance.uniform(0.85, 1.35)))
        return found


class Seconds:
    """One device, second by second from the model's origin to now inclusive."""

    def __init__(self, model: "Model", device: Known) -> None:
        self.origin, self.now = model.origin, model.now
        self.count = self.now - self.origin + 1
        self.device = device
        self.is_blind, self.is_maintained, self.is_paused = (np.zeros(self.count, bool) for _ in range(3))
        for start, end in model.blind:
            self._fill(self.is_blind, start, end)
        for start, end in model.maintenance(device):
            self._fill(self.is_maintained, start, end)
        for start, paused_end in device.pauses:
            self._fill(self.is_paused, start, self.now + 1 if paused_end is None else paused_end)
        stands = np.zeros(self.count, bool)
        stands |= self.is_blind & (model.mistake != "blind time counts")
        stands |= self.is_maintained & (model.mistake != "maintenance counts")
        stands |= self.is_paused & (model.mistake != "pauses count")
        self.clock = np.cumsum(~stands) - ~stands
        self.gap = np.zeros(self.count, int)
        """Which silence a second is in, 0 where in none: a reception parts two of them."""
        self.observed = np.full(self.count, "up", "<U11")
        self._observe(model.mistake)
        self.displayed = self.observed.copy()
        self.displayed[self.is_blind & (self.observed != "new")] = "unknown"
        self.displayed[self.is_maintained] = "maintenance"
        self.displayed[self.is_paused] = "paused"

    def _fill(self, truths: Truths, start: int, end: int) -> None:
        truths[max(0, start - self.origin) : max(0, end - self.origin)] = True

    def _observe(self, mistake: str) -> None:
        heard = self.device.heard
        first = heard[0][0] - self.origin if heard else self.count
        self.observed[:first] = "new"
        self.gap[:first] = 1
        going_on = (self.now + 1, self.device.interval_s, self.device.grace_s)
        for number, ((start, _, _), (end, interval, forgiven)) in enumerate(
            pairwise([*heard, going_on]) if heard else ()
        ):
            grace = 0 if mistake == "no grace" else forgiven
            late_after, down_after = interval + min((interval + 1) // 2, grace), interval + grace
            if end - start > late_after:
                inside = slice(start - self.origin, end - self.origin)
                silent = np.arange(end - start)
                silent_by_clock = self.clock[inside] - self.clock[inside.start]
                codes = self.observed[inside]
                codes[silent >= late_after] = "unknown"
                codes[silent_by_clock >= late_after] = "late"
                codes[silent_by_clock >= down_after] = "down"
                self.gap[inside] = number + 2

    def status(self) -> tuple[str, list[int]]:
        """What it is now, and since when it may be said to be so."""
        displayed = str(self.displayed[-1])
        if displayed == "new":
            return displayed, [0]
        if displayed in ("paused", "maintenance"):
            declared = self.is_paused if displayed == "paused" else self.is_maintained
            return displayed, [self.origin + place for place in range(self._run_start(declared), self.count)]
        return displayed, [self.origin + self._run_start(self.observed == displayed)]

    def _run_start(self, holds: Truths) -> int:
        others = np.flatnonzero(~holds)
        return int(others[-1]) + 1 if len(others) else 0

    def transitions(self, start: int, end: int) -> tuple[str, list[tuple[int, str, str]]]:
        shown = self.displayed[start - self.origin : end - self.origin].tolist()
        return shown[0], [
            (start + place, shown[place - 1], shown[place])
            for place in range(1, len(shown))
            if shown[place - 1] != shown[place]
        ]

    def availability(self, start: int, end: int) -> tuple[int, int]:
        inside = slice(start - self.origin, end - self.origin)
        counts = ~(self.is_blind | self.is_maintained | self.is_paused)[inside] & (self.observed[inside] != "new")
        return int((counts & (self.observed[inside] == "down")).sum()), int(counts.sum())

    def slots(self, start: int, end: int) -> list[tuple[int, str]]:
        """(start, reason) of every slot that lies wholly in [start, end)."""
        minutes = next(
            minutes for minutes in range(1, 1441) if 1440 % minutes == 0 and minutes * 60 >= self.device.interval_s
        )
        length = minutes * 60
        whole = self.count // 60 * 60
        paused, maintained, blind = (
            truths[:whole].reshape(-1, 60).any(axis=1).tolist()
            for truths in (self.is_paused, self.is_maintained, self.is_blind)
        )
        gap = self.gap[:whole].reshape(-1, 60)
        unheard = ((gap[:, 0] > 0) & (gap == gap[:, :1]).all(axis=1)).tolist()
        first = min(self.device.minutes, default=None)
        found = []
        for at in range(-(-start // length) * length, end // length * length, length):
            places = range((at - self.origin) // 60, (at - self.origin + length) // 60)
            present = [place for place in places if self.origin // 60 + place in self.device.minutes]
            if first is None or at + length <= first * 60:
                reason = "before first seen"
            elif any(paused[place] for place in places):
                reason = "paused"
            elif any(maintained[place] for place in places):
                reason = "maintenance"
            elif present:
                reason = "backfilled" if all(unheard[place] for place in present) else "up"
            else:
                reason = "blind" if any(blind[place] for place in places) else "down"
            found.append((at, reason))
        return found


class Model:
    def __init__(self, start: int, mistake: str) -> None:
        self.origin = start // DAY_S * DAY_S - DAY_S
        self.now = start
        self.mistake = mistake
        self.devices: list[Known] = []
        self.windows: dict[str, MaintenanceWindow] = {}
        self.blind: list[tuple[int, int]] = []
        self.alive_at = self.marked_at = self.turned_at = 0
        self.walls: dict[str, list[tuple[int, datetime]]] = {}

    def begin(self) -> None:
        if 0 < self.alive_at < self.now:
            self.blind.append((self.alive_at, self.now))
        self.alive_at = self.marked_at = self.turned_at = self.now

    def turn(self) -> None:
        if self.now - self.turned_at >= 60:
            self.blind.append((self.turned_at, self.now))
            self.alive_at = self.marked_at = self.now
        elif self.now - self.marked_at >= 60:
            self.alive_at = self.marked_at = self.now
        self.turned_at = self.now

    def hear(self, device: Known, beats: list[int], *, is_sample: bool) -> None:
        self.alive_at = self.marked_at = self.now  # an entry with events is a mark, too
        if not (is_sample and self.mistake == "samples are no sign of life"):
            device.heard.append((self.now, device.interval_s, device.grace_s))
        if not is_sample:
            late = self.now - 600 if self.mistake == "late beats are lost" else 0
            device.minutes |= {sent_at // 60 for sent_at in beats if sent_at >= late}

    def maintenance(self, device: Known) -> Iterator[tuple[int, int]]:
        for window in self.windows.values():
            if (
                window.is_for_all
                or device.id in window.devices
                or (window.labels and window.labels == {"site": device.site})
            ):
                yield from self._occurrences(window)

    def _occurrences(self, window: MaintenanceWindow) -> Iterator[tuple[int, int]]:
        start, end = window.start_ns // SECOND, None if window.end_ns is None else window.end_ns // SECOND
        if window.recurrence is None:
            assert end is not None
            yield start, end
            return
        # Minute by minute: the first one of a local day at which the clock shows the start or later.
        begun = set()
        for at, local in self._walls(window.recurrence.timezone):
            if local.date() not in begun and local.hour * 60 + local.minute >= window.recurrence.start_minute:
                begun.add(local.date())
                is_its_day = not window.recurrence.weekdays or local.weekday() in window.recurrence.weekdays
                if at > self.origin - DAY_S and is_its_day and start <= at and (end is None or at < end):
                    yield at, at + window.recurrence.duration_s

    def _walls(self, timezone: str) -> list[tuple[int, datetime]]:
        """What the clocks of a zone show at every minute from a day before the origin until now."""
        walls = self.walls.setdefault(timezone, [])
        first = walls[-1][0] + 60 if walls else self.origin - DAY_S
        walls += [(at, datetime.fromtimestamp(at, ZoneInfo(timezone))) for at in range(first, self.now + 1, 60)]
        return walls


class Life:
    """A node and its model, which live through the same."""

    def __init__(self, folder: Path, seed: int, mistake: str) -> None:
        self.chance = random.Random(seed)
        start = int(
            datetime.fromisoformat(self.chance.choice(STARTS)).replace(tzinfo=UTC).timestamp()
        ) + self.chance.randrange(60)
        self.clock = FakeClock(start)
        self.model = Model(start, mistake)
        self.settings = Settings(data=str(folder), checkpoint_s=1e9, interval_s=60, grace_s=240)
        self.service: Service
        self.performed: list[str] = []

    async def run(self, steps: int) -> None:
        await self.start()
        await self.register(self.chance.randint(2, 4))
        actions = self.actions()
        for _ in range(steps):
            action = self.chance.choice(actions)
            self.performed.append(f"{self.clock.s}: {action.__name__}")
            try:
                await action()
                await self.check()
            except AssertionError as error:
                raise AssertionError(f"{error}\nafter:\n" + "\n".join(self.performed)) from error
        await self.service.node.stop()

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
        device.site = self.chance.choice(SITES)
        device.interval_s, device.grace_s = self.chance.choice(TERMS)
        await self.service.registry.update({number: self._declared(device)})
        # The journal does not hold which policy applied when a reception gap ended: after a crash before the next
        # checkpoint the new one would apply.
        assert await self.service.housekeeping.checkpoint()

    async def check(self) -> None:
        seconds = [Seconds(self.model, device) for device in self.model.devices]
        page = await self.service.questions.devices(
            lambda seen: list_devices(*seen, Filter(), Order(), limit=100, cursor=None), start_ns=self.clock.now_ns()
        )
        assert page.total == len(seconds)
        for place, number in enumerate(page.numbers):
            status, since = seconds[number].status()
            answer = await self.service.questions.status(f"d{number}")
            heard = self.model.devices[number].heard[-1][0] * SECOND if self.model.devices[number].heard else 0
            listed = (page.statuses[place], page.since_ns[place], page.last_received_ns[place])
            assert (answer[0], answer[2]) == (listed[0], listed[2]) == (status, heard), (
                number,
                answer,
                listed,
                status,
                heard,
            )
            assert {answer[1] // SECOND, listed[1] // SECOND} <= set(since), (number, status, answer, listed, since[:1])
        for window in self.some_windows():
            await self.check_window(seconds, *window)

    def some_windows(self) -> list[tuple[int, int]]:
        def moment() -> int:
            at = self.chance.randint(self.model.origin, self.clock.s - 1)
            return at // (grid := self.chance.choice([1, 60, 300, DAY_S])) * grid

        one, two = sorted((moment(), moment()))
        return [
            (one, max(two, one + 1)),
            (max(self.model.origin, self.clock.s - self.chance.choice([30, 600, 7_200, DAY_S])), self.clock.s),
        ]

    async def check_window(self, seconds: list[Seconds], start: int, end: int) -> None:
        start_ns, end_ns = start * SECOND, end * SECOND
        step = self.chance.choice([None, 600, 3_600, DAY_S])
        fleet = await self.service.questions.fleet(
            lambda view: fleet_columns(view, start_ns=start_ns, end_ns=end_ns), start_ns=start_ns
        )
        assert not fleet.missing
        for number, device in enumerate(seconds):
            answer = await self.service.questions.device(
                f"d{number}", lambda view: answers(view, start_ns, end_ns, step), start_ns=start_ns
            )
            where = (f"d{number}", start, end)
            slots = device.slots(start, end)
            counts = count(reason for _, reason in slots)
            assert answer.intervals == slots, (*where, first_difference(answer.intervals, slots))
            assert answer.counts == counts, (*where, "counts", answer.counts, counts)
            for bucket, counted in enumerate(answer.buckets):
                origin = start // step * step if step else start
                inside = count(reason for at, reason in slots if step is None or (at - origin) // step == bucket)
                assert counted == inside, (*where, "bucket", bucket, counted, inside)
            before, changes = device.transitions(start, end)
            changes_said = [(format_rfc3339(at * SECOND), one, other) for at, one, other in changes]
            assert (answer.before, answer.transitions) == (before, changes_said), (
                *where,
                answer.before,
                answer.transitions,
                before,
                changes_said,
            )
            down, accountable = device.availability(start, end)
            assert (answer.down_s, answer.accountable_s) == (down, accountable), (
                *where,
                "availability",
                answer,
                down,
                accountable,
            )
            present = counts.get("up", 0) + counts.get("backfilled", 0)
            figures = tuple(
                int(column[number]) for column in (fleet.present, fleet.expected, fleet.down_ns, fleet.accountable_ns)
            )
            plain = (present, present + counts.get("down", 0), down * SECOND, accountable * SECOND)
            assert figures == plain, (*where, "fleet", figures, plain)


@dataclass
class Said:
    intervals: list[tuple[int, str]]
    counts: dict[str, int]
    buckets: list[dict[str, int]]
    before: str
    transitions: list[tuple[str, str, str]]
    down_s: float
    accountable_s: float


def answers(view: FleetView, start_ns: int, end_ns: int, step_s: int | None) -> Said:
    window = Window(start_ns, end_ns)
    changes = device_transitions(view, "", window, limit=100_000)
    gaps = gaps_of_one(view, ended_gaps(view, start_ns=start_ns))
    unheard = np.array([(gap.start_ns, gap.end_ns) for gap in gaps if gap.is_long], np.int64).reshape(-1, 2)
    explained = explain_slots(view, window, unheard=unheard, is_explained=True)
    assert explained.codes is not None
    assert not explained.missing
    counted = explain_slots(view, window, unheard=unheard, is_explained=False).counts
    assert counted.tolist() == explained.counts.tolist()
    stepped = explain_slots(
        view, replace(window, step_ns=None if step_s is None else step_s * SECOND), unheard=unheard, is_explained=False
    ).counts

    def named(row: list[int]) -> dict[str, int]:
        return {REASONS[code]: number for code, number in enumerate(row) if number}

    figures = device_uptime(view, "", window, is_explained=False)
    assert figures.down_s is not None
    assert figures.accountable_s is not None
    return Said(
        [
            ((explained.start_ns + place * explained.slot_ns) // SECOND, REASONS[code])
            for place, code in enumerate(explained.codes)
        ],
        named(counted[:, 0, 0].tolist()),
        [named(row) for row in stepped[:, 0].T.tolist()],
        changes.status_before,
        [(change.at, change.before, change.after) for change in changes.transitions],
        figures.down_s,
        figures.accountable_s,
    )


def count(reasons: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in reasons:
        found[reason] = found.get(reason, 0) + 1
    return found


def first_difference(one: list[tuple[int, str]], other: list[tuple[int, str]]) -> object:
    return next(
        ((left, right) for left, right in zip(one, other, strict=False) if left != right), (len(one), len(other))
    )


def live(folder: Path, seed: int, *, mistake: str = "", steps: int = STEPS) -> None:
    asyncio.run(Life(folder, seed, mistake).run(steps))


def test_a_life_of_hours_is_told_as_the_plain_model_tells_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first, rounds = request.config.getoption("--life-seed"), request.config.getoption("--life-rounds")
    for seed in range(first, first + rounds):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            live(folder, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_whole_days_that_nothing_touches_are_counted_as_if_by_the_minute(tmp_path: Path) -> None:
    asyncio.run(_whole_days(Life(tmp_path, 1, "")))


async def _whole_days(life: Life) -> None:
    await life.start()
    await life.register(3)
    for number, interval_s in enumerate((60, 60, 300)):
        life.model.devices[number].interval_s = interval_s
        await life.service.registry.update({number: life._declared(life.model.devices[number])})
    await life.go_on_steadily(29 * 3_600)
    for length in (3_600, DAY_S, DAY_S):
        life.move(length)
        await life.turn()
        assert await life.service.housekeeping.checkpoint()
        await life.check()
        seconds = [Seconds(life.model, device) for device in life.model.devices]
        for first, last in ((0, 2), (1, 2), (1, 3), (0, 3)):
            end = life.model.origin + last * DAY_S
            if end <= life.clock.s:
                await life.check_window(seconds, life.model.origin + first * DAY_S, end)
    await life.service.node.stop()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_control_a_model_with_a_mistake_is_told_from_the_node(tmp_path: Path, mistake: str) -> None:
    def live_some() -> None:
        for seed in range(1, 30):
            folder = tmp_path / str(seed)
            folder.mkdir()
            live(folder, seed, mistake=mistake)

    with pytest.raises(AssertionError, match="after:"):
        live_some()
