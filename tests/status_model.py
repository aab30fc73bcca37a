"""A plain model of status, uptime and availability that looks at every second of a fleet's life.

It keeps plain lists of what happened and follows docs/explanation/uptime.md word by word; it shares no code with the
service. All that happens, happens at a whole second, so one second is one truth.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.maintenance import MaintenanceWindow

SECOND = 1_000_000_000
DAY_S = 86_400
Truths = NDArray[np.bool_]


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
    beats: set[int] = field(default_factory=set)
    """When each was sent."""
    policies: list[tuple[int, int, int]] = field(default_factory=list)
    """(declared at, interval, grace); the first one holds since ever."""
    pauses: list[tuple[int, int | None]] = field(default_factory=list)
    # How it behaves.
    next_at: int = 0
    is_alive: bool = True
    is_cut: bool = False
    keeps: bool = True
    skew: int = 0
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
        self.origin, self.now, self.factor_thousandths = model.origin, model.now, model.factor_thousandths
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
        interval, grace = self._in_force()
        grace = grace * (mistake != "no grace")
        down_after = interval + grace
        late_after = np.minimum(interval * self.factor_thousandths // 1_000, down_after)
        received = [at for at, _, _ in heard]
        for number, (start, end) in enumerate(pairwise([*received, self.now + 1]) if heard else ()):
            inside = slice(start - self.origin, end - self.origin)
            late, down = late_after[inside], down_after[inside]
            silent = np.arange(end - start)
            if (silent + 1 > late).any():
                silent_by_clock = self.clock[inside] - self.clock[inside.start]
                codes = self.observed[inside]
                codes[silent >= late] = "unknown"
                codes[silent_by_clock >= late] = "late"
                codes[silent_by_clock >= down] = "down"
                self.gap[inside] = number + 2

    def _in_force(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Interval and grace that were in force in each second."""
        (_, *first), *changes = self.device.policies
        interval, grace = np.full(self.count, first[0]), np.full(self.count, first[1])
        for at, new_interval, new_grace in changes:
            place = at - self.origin
            if place < self.count:
                # What has not taken effect by now never does.
                interval[place:], grace[place:] = interval[place], grace[place]
                effect = place + (new_interval if new_interval < interval[place] else 0)
                interval[effect:], grace[effect:] = new_interval, new_grace
        return interval, grace

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

    def slots(self, start: int, end: int) -> list[tuple[int, str]]:
        """(start, reason) of every slot that lies wholly in [start, end)."""
        minutes = next(
            minutes
            for minutes in range(1, 1441)
            if 1440 % minutes == 0 and minutes * 60 >= min(self.device.interval_s, DAY_S)
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
                reason = "before_first_seen"
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
        self.factor_thousandths = 1_500
        """Times the interval, how far apart beats may be without a gap; with it all limits are whole seconds."""
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
            device.beats |= {sent_at for sent_at in beats if sent_at >= late}

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
