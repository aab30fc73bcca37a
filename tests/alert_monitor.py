"""The monitor of the simulation: rounds over a real catalog, receivers that fail, and kills between any two steps."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import numpy as np

from alert_world import World
from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.planner import plan
from fleetpulse.alert.round import Decided, Planner, RoundInput, decide
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.alert import AlertDecision, AlertNote, Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Routing
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.alert_book import AlertBook
from memory_service import FakeClock

Kill = Literal["", "before_store", "in_store", "after_store", "before_send", "after_send"]
KILLS: tuple[Kill, ...] = ("before_store", "in_store", "after_store", "before_send", "after_send")


class KilledError(Exception):
    """The monitor is killed here."""


@dataclass
class Mailbox:
    """What a receiver got: every try, and how often it may have got the same for a good reason."""

    got: list[Message] = field(default_factory=list)
    excused: dict[str, int] = field(default_factory=dict)


@dataclass
class Monitor:
    """The process that is killed, and the catalog that stays."""

    path: Path
    world: World
    dice: random.Random
    settings: AlertSettings
    routing: Routing
    rules: list[AlertRule]
    alerts_max: int
    planner: Planner | None = None
    boxes: dict[str, Mailbox] = field(default_factory=dict)
    decided: list[Message] = field(default_factory=list)
    fail_share: float = 0.2

    def __post_init__(self) -> None:
        """Start for the first time."""
        self.clock = FakeClock(self.world.now_s * NS_PER_S)
        self.catalog = SqliteCatalog(self.path, clock=self.clock)
        self.boxes = {name: Mailbox() for name in self.routing.receivers}
        self.start()

    def start(self) -> None:
        """Read everything from the catalog, as a new process does."""
        self.catalog.close()
        self.catalog = SqliteCatalog(self.path, clock=self.clock)
        self.clock.ns = self.world.now_s * NS_PER_S
        self.book = AlertBook(
            catalog=self.catalog, catalog_thread=cast("Any", None), clock=self.clock, settings=self.settings
        )
        self.book.load()

    def round(self, kill: Kill, check: Callable[[Decided], None]) -> bool:
        """One round. Args: check: is called with what was decided. Returns: whether it is in effect."""
        now_s = self.world.now_s
        self.clock.ns = now_s * NS_PER_S
        truth = self.world.truth()
        decided = decide(
            self.book.state,
            self._given(),
            {rule.name: truth[rule.name].condition(rule, now_s) for rule in self.rules if rule.is_enabled},
            self.settings,
            self.planner or partial(plan, alerts_max=self.alerts_max),
        )
        if kill == "before_store":
            raise KilledError
        if decided.record is not None:
            with self.catalog.transaction():
                self.catalog.alerts.store(decided.record)
                self.catalog.outbox.add(decided.messages, at_ns=now_s * NS_PER_S, waiting_max=10_000)
                if kill == "in_store":
                    raise KilledError
        check(decided)
        self.decided += decided.messages
        if kill == "after_store":
            raise KilledError
        self.book.adopt(decided)
        return True

    def _given(self) -> RoundInput:
        world = self.world
        return RoundInput(
            now_ns=world.now_s * NS_PER_S,
            rules=self.rules,
            roster=world.roster,
            ids=world.ids,
            last_received_ns=np.array([world.heard[one] * NS_PER_S for one in range(len(world.ids))], np.int64),
            blind=spans_of((start * NS_PER_S, end * NS_PER_S) for start, end in world.away),
            blind_notice_ns=600 * NS_PER_S,
            silences=self.book.silences_at(world.now_s * NS_PER_S),
            decisions=self.book.decisions,
            routing=self.routing,
        )

    def deliver(self, kill: Kill, *, is_perfect: bool = False) -> None:
        """Try what waits, in order for each receiver; the first failure of one ends its turn."""
        for name, box in self.boxes.items():
            for waiting in self.catalog.outbox.waiting(name, after=0, limit=1000):
                entry = self.catalog.outbox.get(waiting.number)
                assert entry is not None
                if kill == "before_send":
                    raise KilledError
                outcome = "ok" if is_perfect else self._outcome()
                if outcome != "down":
                    box.got.append(entry.message)
                if kill == "after_send":
                    box.excused[entry.message.key] = box.excused.get(entry.message.key, 0) + 1
                    raise KilledError
                if outcome != "ok":
                    if outcome == "lost":
                        box.excused[entry.message.key] = box.excused.get(entry.message.key, 0) + 1
                    self.catalog.outbox.tried(entry.number, outcome=outcome, tries=entry.tries + 1, next_try_ns=0)
                    break
                self.catalog.outbox.delivered(
                    entry.number, outcome="ok", tries=entry.tries + 1, at_ns=self.clock.now_ns()
                )

    def _outcome(self) -> str:
        dice = self.dice.random()
        return "down" if dice < self.fail_share else "lost" if dice < 1.3 * self.fail_share else "ok"

    def acknowledge(self, number: int, *, snoozed_until_s: int = 0) -> None:
        """Somebody does something about an alert."""
        before = self.book.decisions.get(number, AlertDecision(number))
        at_ns = self.clock.now_ns()
        changed: Mapping[str, Any] = (
            {"snoozed_until_ns": snoozed_until_s * NS_PER_S}
            if snoozed_until_s
            else {"acknowledged_by": "alice", "acknowledged_at_ns": at_ns}
        )
        decision = before._replace(**changed)
        self.catalog.alerts.decide(decision, AlertNote(number, at_ns, "acknowledged", "alice", ""))
        self.book.decisions[number] = decision

    def silence(self, labels: tuple[tuple[str, str], ...], until_s: int) -> None:
        """Somebody silences alerts from now on."""
        silence = Silence(0, labels, self.clock.now_ns(), until_s * NS_PER_S, "dig", "alice", self.clock.now_ns())
        number = self.catalog.alerts.put_silence(silence)
        self.book.silences = (*self.book.silences, silence._replace(number=number))

    def change_rule(self, name: str, **fields: Any) -> None:
        """Somebody changes a rule."""
        self.rules = [msgspec.structs.replace(one, **fields) if one.name == name else one for one in self.rules]
