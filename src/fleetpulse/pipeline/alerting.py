"""Rounds of alerts: facts are taken on the loop, decided in a thread of their own, stored, and only then in effect.

    loop: view of the fleet ──> thread `alerts`: conditions, lifecycle, plan ──> thread `catalog`: one transaction
        ──> loop: the book has it, listeners are told, deliveries look into the outbox

A crash before the end of the transaction leaves the state of the round before, from which the next one decides again;
a crash after it leaves messages in the outbox, which are sent when the service is back.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import structlog

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.round import Decided, Planner, RoundInput, RoundState, decide
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, Deposed, OperatorError
from fleetpulse.model.alert_rule import RULE_KINDS, AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Routing
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_facts import AlertFacts
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.window_rules import WINDOW_KINDS, WindowRules

log = structlog.get_logger("alerts")
BUSY_SHARE = 0.1
"""The share of a core that rounds take at most in the long run; where they need more, they come less often."""
BUSY_AT_ONCE_S = 6.0
"""So much of that may be used at once: a look at many metrics must not delay the next look at devices that are down."""


@dataclass(eq=False, kw_only=True)
class Alerting:
    """Takes care that there is a round every `alert_interval_s`. On the event loop.

    Attributes:
        rules: gives all rules that are declared and enabled.
        routing: gives receivers and routes.
        add_messages: puts messages into the outbox; called in the transaction of the round.
        listeners: called on the loop after each round with what it decided.
        failed_rules: of rules that could not be looked at in the last round: why.
        beyond: alerts that there was no room for in the last round.
    """

    book: AlertBook
    clock: Clock
    facts: AlertFacts
    registry: Registry
    readiness: Readiness
    settings: AlertSettings
    thread: Executor
    rules: Callable[[], Sequence[AlertRule]]
    routing: Callable[[], Routing]
    plan: Planner
    windows: WindowRules
    add_messages: Callable[[Sequence[Message]], object]
    lease: Lease
    listeners: list[Callable[[Decided], None]] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    rounds: int = 0
    failed_rounds: int = 0
    failed_rules: dict[str, str] = field(default_factory=dict)
    beyond: int = 0
    round_s: float = 0.0
    """How long the last round has computed."""
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _next_ns: int = field(default=0, init=False)
    _left_s: float = field(default=BUSY_AT_ONCE_S, init=False)
    """How much rounds may compute now; below 0: they have computed more than they should."""
    _counted_ns: int = field(default=0, init=False)

    def tick(self) -> None:
        """Begin a round if it is time to."""
        if self.clock.monotonic_ns() >= self._next_ns and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._try_round())

    def restart(self) -> None:
        """Go on from what the catalog has, since another node had the rounds until now."""
        self.book.is_known, self.memory = False, Memory()
        self.windows.restart()

    async def end(self) -> None:
        """Wait for the round that is under way, before the catalog is closed."""
        self._next_ns = 2**62
        await self.windows.end()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _try_round(self) -> None:
        began_ns, self.round_s = self.clock.monotonic_ns(), 0.0
        try:
            with self.lease.holding():
                await self.round()
            self.readiness.degraded.pop("alerts", None)
        except Deposed as error:
            log.warning("a round of alerts is left to the node that has the lease", because=str(error))
        except (Answerable, OperatorError) as error:
            self._note_failure(error)
        except Exception as error:
            # Whatever is wrong with a rule or a route must not end the alerts of all others for good.
            log.error("a round of alerts failed by a defect; it is tried again", exc_info=error)
            self._note_failure(error)
        if self._next_ns < 2**62:
            self._next_ns = began_ns + self._pause_ns(began_ns)

    def _pause_ns(self, began_ns: int) -> int:
        """The time from the beginning of this round to the next one."""
        passed_s = (began_ns - self._counted_ns) / NS_PER_S
        self._left_s = min(self._left_s + passed_s * BUSY_SHARE, BUSY_AT_ONCE_S) - self.round_s
        self._counted_ns = began_ns
        return int(max(self.settings.alert_interval_s, -self._left_s / BUSY_SHARE) * NS_PER_S)

    def _note_failure(self, error: Exception) -> None:
        self.failed_rounds += 1
        if "alerts" not in self.readiness.degraded:
            log.error("a round of alerts failed; it is tried again", error=str(error))
        self.readiness.degraded["alerts"] = f"the last round of alerts failed: {error}"

    async def round(self) -> Decided:
        """One round. Raises: DamagedData; NotAccepting; OutcomeUnknown: nothing of it is in effect here."""
        if not self.book.is_known:
            await self.book.catalog_thread.run(self.book.load)
        await self.facts.follower.caught_up()
        rules = list(self.rules())
        # While the fleet is not seen, only what the service knows of itself can be said.
        looked_at = rules if self.facts.sees_fleet else [rule for rule in rules if rule.kind == "service"]
        now_due = [rule for rule in looked_at if rule.kind not in WINDOW_KINDS]
        given = partial(
            RoundInput,
            rules=rules,
            ids=self.registry.ids,
            blind_notice_ns=int(self.settings.blind_notice_s * NS_PER_S),
            decisions=dict(self.book.decisions),
            silences=self.book.silences_at(self.clock.now_ns()),
            routing=self.routing(),
            units=self.facts.units(),
        )
        complete = partial(self.facts.take(now_due), now_due)
        work = partial(self._decide, complete, self.windows.take(looked_at), self.book.state, given)
        decided = await asyncio.get_running_loop().run_in_executor(self.thread, work)
        if decided.record is not None:
            if _depends_on_silence(decided):
                await self.facts.watch.mark()
            await self._store(decided)
        self.book.adopt(decided)
        self.windows.begin(looked_at, open_alerts(decided.state.lives, kinds=WINDOW_KINDS))
        self.rounds, self.beyond = self.rounds + 1, decided.changes.beyond
        for listener in self.listeners:
            listener(decided)
        return decided

    def _decide(
        self,
        complete: Callable[[], Facts],
        windowed: Mapping[str, Condition],
        state: RoundState,
        given: partial[RoundInput],
    ) -> Decided:
        """In the thread of alerts. Args: windowed: what was found meanwhile of rules over windows."""
        began_s = time.thread_time()
        facts = complete()
        self.memory.open = open_alerts(state.lives)
        decided = decide(
            state,
            given(
                now_ns=facts.now_ns,
                roster=facts.view.roster,
                last_received_ns=facts.view.live.last_received_ns,
                blind=spans_of(facts.view.live.blind_ns),
            ),
            {**windowed, **self._conditions(facts)},
            self.settings,
            self.plan,
        )
        self.round_s = time.thread_time() - began_s
        return decided

    def _conditions(self, facts: Facts) -> dict[str, Condition]:
        """What the rules find; one that fails by a defect is left as it is, since it must not stop the others."""
        found: dict[str, Condition] = {}
        failed: dict[str, str] = dict(self.windows.failed)
        for rule in facts.rules:
            try:
                found[rule.name] = evaluate(rule, facts, self.memory)
            except Exception as error:
                failed[rule.name] = f"{type(error).__name__}: {error}"
                if rule.name not in self.failed_rules:
                    log.error("a rule cannot be looked at; its alerts stay as they are", rule=rule.name, exc_info=error)
        self.failed_rules = failed
        return found

    async def _store(self, decided: Decided) -> None:
        catalog, record = self.book.catalog, decided.record
        assert record is not None

        def store() -> None:
            with catalog.transaction():
                catalog.alerts.store(record)
                self.add_messages(decided.messages)

        try:
            await self.book.catalog_thread.run(store)
        except BaseException:
            # Perhaps it was stored after all, such as where the disk failed after the last write.
            self.book.is_known = False
            raise


def _depends_on_silence(decided: Decided) -> bool:
    """Whether an alert begins since devices were not heard, so that the journal must say that the service did listen.

    After a crash blind time begins at the last entry of the journal. If that were before the deadline of a silent
    device, the deadline would be extended, and people would be told that the device has returned.
    """
    changes, rules = decided.changes, decided.state.lives.rules
    begun_of = {*changes.alerts.of["rule"][changes.fired].tolist(), *changes.pending_of}
    return any(rules[place].kind != "service" for place in begun_of)


def open_alerts(lives: Lives, kinds: Collection[str] = RULE_KINDS) -> dict[str, OpenAlerts]:
    """What conditions need to know of the alerts of each declared rule of these kinds."""
    found = {}
    for place, rule in enumerate(lives.rules[: lives.declared]):
        parts = []
        if rule.kind not in kinds:
            continue
        for rows, is_open in ((lives.open, True), (lives.ended, False)):
            start, end = np.searchsorted(rows.of["rule"], [place, place + 1])
            if start < end:
                is_true = (rows.of["false_since_ns"][start:end] == 0) & is_open
                parts.append((rows.of["subject"][start:end], rows.of["since_ns"][start:end], is_true))
        if parts:
            subjects, since_ns, is_true = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            # Of a subject whose alert ended and that is pending again, the open one counts, which comes first.
            subjects, first = np.unique(subjects, return_index=True)
            found[rule.name] = OpenAlerts(
                subjects=subjects, since_ns=since_ns[first], is_true=is_true[first], groups=lives.groups[place]
            )
    return found
