"""Weeks of fleet life in seconds: no alert is missed, none is stuck, nothing is told twice, and nothing is untrue.

Rounds, planner and outbox run over a real catalog; the monitor is killed between any two steps, receivers fail and lose
answers, clocks are set, rules change, people silence, snooze and acknowledge. A plain model knows what is true.
`make test-alerts` runs more seeds.
"""

import os
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from alert_checks import Checker
from alert_model import Model
from alert_monitor import KILLS, Kill, KilledError, Monitor
from alert_world import HOT, OFFLINE, SEEN_S, SITES, START_S, World
from fleetpulse.alert.plan import Plan, RoundFacts
from fleetpulse.alert.planner import plan
from fleetpulse.alert.planner_state import PlannerState
from fleetpulse.alert.round import Planner
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import EscalationStep, Matcher, Receiver, Route, routing_of

SEEDS = int(os.environ.get("ALERT_SEEDS", "2"))
DAYS = float(os.environ.get("ALERT_DAYS", "1"))
FAILED_BEFORE = ((2, 0.3), (3, 1.3), (4, 2.3), (5, 3.1), (1, 1.9), (14, 1.3), (15, 2.3), (31, 1.3))
"""Seeds that have found faults, and after how many days."""
QUICK = FAILED_BEFORE if SEEDS > 10 else FAILED_BEFORE[:1]
MEMORY = next((str(one) for one in [Path("/dev/shm")] if one.is_dir()), None)  # noqa: S108  # private folders in it
"""Power cuts are not the subject here, so that the catalog need not be on a disk."""
NIGHT = Recurrence((), 22 * 60, 8 * 3600, "Europe/Paris")
WORK = Recurrence((0, 1, 2, 3, 4), 8 * 60, 10 * 3600, "America/New_York")

RECEIVERS = [Receiver(name=one, kind="webhook", url="https://a") for one in ("ops", "paris", "day", "boss")]


def routes_of(dice: random.Random) -> list[Route]:
    """Some routes: plain ones, or with all that routes can have."""
    wait = dice.choice((0, 0, 20))
    rest = Route(name="rest", order=9, receivers=("ops",), group_wait_s=wait, repeat_interval_s=dice.choice((0, 7200)))
    if dice.random() < 0.3:
        return [rest]
    by = dice.choice((("rule",), ("site",), (), ("severity", "site")))
    paris = Route(
        name="paris", receivers=("paris",), matchers=(Matcher("site", ("paris",)),), group_by=by,
        continues=dice.random() < 0.3,
        escalation=(EscalationStep(900, ("boss",)), EscalationStep(3600, ("boss", "ops"))),
        quiet_hours=(NIGHT,) if dice.random() < 0.5 else (), repeat_interval_s=3600,
    )  # fmt: skip
    day = Route(name="day", order=1, receivers=("day",), severities=("warning",), on_call=(WORK,))
    return [paris, day, rest]


class Life:
    """One seed: the world, the monitor, and what is checked."""

    def __init__(self, seed: int, folder: Path, planner: Planner | None = None) -> None:
        self.dice = random.Random(seed)
        self.world = World(random.Random(seed + 1))
        settings = AlertSettings(common_cause_wait_s=self.dice.choice((60, 60, 60, 0)))
        self.monitor = Monitor(
            path=folder / "catalog.sqlite",
            world=self.world,
            dice=random.Random(seed + 2),
            settings=settings,
            routing=routing_of(RECEIVERS, routes_of(self.dice)),
            rules=[OFFLINE, HOT, SITES],
            alerts_max=self.dice.choice((100, 100, 100, 4)),
            planner=planner,
        )
        self.checker = Checker(self.world, Model(settings), self.monitor)
        self.kills = 0

    def live(self, days: float) -> None:
        """Days of life, then calm until nothing is left to be told."""
        end_s, event_s, step_s = START_S + int(days * 86_400), START_S + 60, 5.0
        while self.world.now_s < end_s:
            if self.world.now_s >= event_s:
                self._happen()
                event_s, step_s = self.world.now_s + int(self.dice.expovariate(1 / 4_000)) + 1, 5.0
                if self.dice.random() < 0.4:
                    event_s = self.world.now_s + self.dice.randint(1, 200)
            self._round(self.dice.choice(KILLS) if self.dice.random() < 0.01 else "")
            step_s = min(900, step_s * 1.15)
            self.world.now_s = max(self.world.now_s + 1, min(event_s, self._due_s(), self.world.now_s + int(step_s)))
        self._drain()

    def _due_s(self) -> int:
        planned = self.monitor.book.state.planner
        due_ns = planned.next_due_ns if isinstance(planned, PlannerState) else 0
        due_s = -(-due_ns // 10**9)
        return due_s if due_s > self.world.now_s else 2**60

    def _round(self, kill: Kill = "") -> None:
        try:
            self.monitor.round(kill, self.checker.round)
            self.monitor.deliver(kill)
        except KilledError:
            self.kills += 1
            self._restart(self.dice.choice((1, 4, 4, 200, 700, 8_000)))

    def _restart(self, away_s: int) -> None:
        start_s = self.world.now_s
        self.world.now_s += away_s
        if away_s > 60:
            self.world.away.append((start_s, self.world.now_s))
            self.world.unseen_until_s = self.world.now_s + SEEN_S
        self.checker.model.withheld.clear()
        self.monitor.start()
        self.checker.disturb()

    def _happen(self) -> None:
        monitor, dice, now_s = self.monitor, self.dice, self.world.now_s
        firing = sorted(self.checker.numbers.values())
        match dice.choices(
            ("world", "silence", "acknowledge", "snooze", "rule", "routes", "clock", "restart"),
            (32, 4, 6, 4, 2, 1, 2, 2),
        )[0]:
            case "silence":
                labels = dice.choice(
                    (
                        (("site", "rome"),),
                        (("rule", "hot"),),
                        (("device", "dev-3"),),
                        (("severity", "warning"), ("model", "a")),
                    )
                )
                monitor.silence(labels, now_s + dice.choice((120, 3_000, 30_000)))
            case "acknowledge" if firing:
                monitor.acknowledge(dice.choice(firing))
            case "snooze" if firing:
                monitor.acknowledge(dice.choice(firing), snoozed_until_s=now_s + dice.choice((300, 9_000)))
            case "rule":
                monitor.change_rule("hot", is_enabled=dice.random() < 0.7, for_s=dice.choice((0, 120)))
                monitor.change_rule("offline", severity=dice.choice(("critical", "warning")))
            case "routes":
                monitor.routing = routing_of(RECEIVERS, routes_of(dice))
                self.checker.disturb()
            case "clock":
                lowest_s = max([START_S, *(end for _, end in self.world.away)])
                self.world.now_s = max(lowest_s, now_s + dice.choice((-300, -20, 100, 1_000)))
                self.checker.disturb()
            case "restart":
                self._restart(dice.choice((2, 100, 3_000)))
            case _:
                self.world.happen()

    def _drain(self) -> None:
        """All is well, and everybody is told so."""
        self.world.calm()
        for _ in range(80):
            self._round()
            self.world.now_s += 2_700
        self.monitor.deliver("", is_perfect=True)
        checker, state = self.checker, self.monitor.book.state.planner
        if self.monitor.alerts_max > 50:
            assert checker.views == {name: {} for name in checker.views}
        assert isinstance(state, PlannerState)
        assert (state.groups, state.incidents, checker.model.open) == ({}, {}, {})
        for name, box in self.monitor.boxes.items():
            decided = [one for one in self.monitor.decided if one.receiver == name]
            keys = [one.key for one in box.got]
            assert list(dict.fromkeys(keys)) == [one.key for one in decided]
            again = {key: keys.count(key) - 1 for key in set(keys)}
            assert all(count <= box.excused.get(key, 0) for key, count in again.items())


def life_of(seed: int, days: float, planner: Planner | None = None) -> Life:
    """The life of a seed, after which everything was checked."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        life = Life(seed, Path(folder), planner)
        life.live(days)
        return life


@pytest.mark.parametrize(("seed", "days"), [*QUICK, *((100 + seed, DAYS) for seed in range(SEEDS))])
def test_people_are_told_of_all_of_it_once_and_truly(seed: int, days: float) -> None:
    life = life_of(seed, days)
    assert life.checker.counts.get("firing", 0) >= 3


def forgetful(state: Any, facts: RoundFacts, settings: AlertSettings) -> tuple[Any, bytes | None, Plan]:
    """A planner whose memory is not stored with the alerts."""
    after, _, decided = plan(state, facts, settings, alerts_max=100)
    return after, None, decided


def early(state: Any, facts: RoundFacts, settings: AlertSettings) -> tuple[Any, bytes | None, Plan]:
    """A planner that tells of alerts that nobody wants to hear of."""
    return plan(state, replace(facts, silences=()), settings, alerts_max=100)


def dumb(state: Any, facts: RoundFacts, settings: AlertSettings) -> tuple[Any, bytes | None, Plan]:
    """A planner of which every third message is lost."""
    after, stored, decided = plan(state, facts, settings, alerts_max=100)
    kept = [one for one in decided.messages if int(one.key, 16) % 3]
    return after, stored, replace(decided, messages=kept)


@pytest.mark.parametrize("planner", [forgetful, early, dumb])
def test_control_a_planner_with_a_fault_is_found(planner: Planner) -> None:
    with pytest.raises(AssertionError):
        life_of(3, 10, planner)
