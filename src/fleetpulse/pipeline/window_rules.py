"""Rules over windows of metrics and uptime: they may read blocks, so they have a thread and a cadence of their own.

    round of alerts, each second ──> begin: what is due of these rules ──> thread `alert-windows`
    a later round                <── take: what was found

So a round never waits for a block. All windows of metrics end at whole multiples of `alert_metric_interval_s`, so that
rules about the same metric share what is read, and a rehearsal looks at the same moments.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.alert.cadence import Cadence
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.clock import Clock
from fleetpulse.errors import QuestionStopped
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.alert_facts import AlertFacts
from fleetpulse.pipeline.computing import BIG, Computing
from fleetpulse.query.budget import Budget

log = structlog.get_logger("alerts")
WINDOW_KINDS = ("metric", "uptime_below", "absent")


@dataclass(eq=False, kw_only=True)
class WindowRules:
    """Looks at rules over windows. On the event loop, but for `_look`.

    Attributes:
        failed: of rules that could not be looked at the last time: why.
        look_s: how long the last look took.
    """

    clock: Clock
    facts: AlertFacts
    settings: ConditionSettings
    thread: Executor
    computing: Computing
    memory: Memory = field(default_factory=Memory)
    failed: dict[str, str] = field(default_factory=dict)
    look_s: float = 0.0
    _cadence: Cadence = field(default_factory=Cadence, init=False)
    _retry_at_ns: int = field(default=0, init=False)
    """When rules that failed are looked at again, though their next window does not end yet; 0: none did."""
    _found: dict[str, tuple[AlertRule, Condition]] = field(default_factory=dict, init=False)
    _is_ended: bool = field(default=False, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def begin(self, rules: Sequence[AlertRule], known: Mapping[str, OpenAlerts]) -> None:
        """Begin a look at those of the rules that are due, unless one is under way. Args: known: their open alerts."""
        if self._is_ended or (self._task is not None and not self._task.done()):
            return
        now_ns = self.clock.now_ns()
        if self._retry_at_ns and now_ns >= self._retry_at_ns:
            self._retry_at_ns, self._cadence = 0, self._cadence.without(self.failed)
        watched = [rule for rule in rules if rule.kind in WINDOW_KINDS and rule.is_enabled]
        due, self._cadence = self._cadence.due(watched, self.settings, now_ns=now_ns)
        if due:
            self.memory.open = known
            self._task = asyncio.get_running_loop().create_task(self._look_at(due))

    def restart(self) -> None:
        """Forget what was found and when: this node did not take part for a while."""
        self._found, self._cadence, self._retry_at_ns, self.memory = {}, Cadence(), 0, Memory()

    def take(self, rules: Sequence[AlertRule]) -> dict[str, Condition]:
        """What was found since the last call, by the names of rules; not of rules that were changed meanwhile."""
        found, self._found = self._found, {}
        known = {rule.name: rule for rule in rules}
        return {name: condition for name, (rule, condition) in found.items() if known.get(name) == rule}

    async def settled(self) -> None:
        """Wait for the look that is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def end(self) -> None:
        """Leave the look that is under way at its next piece of work, and begin no other."""
        self._is_ended = True
        await self.settled()

    async def _look_at(self, rules: Sequence[AlertRule]) -> None:
        began_ns, budget = self.clock.monotonic_ns(), Budget(is_gone=lambda: self._is_ended)
        try:
            # Compaction may replace what is read, and must not remove it meanwhile.
            with self.facts.views.history.pinned():
                look = partial(self._look, partial(self.facts.take(rules, budget=budget), rules), budget)
                found = await asyncio.get_running_loop().run_in_executor(self.thread, look)
        except QuestionStopped:
            return  # the service stops
        except Exception as error:
            log.error("rules over windows could not be looked at; their alerts stay as they are", exc_info=error)
            self.failed = {rule.name: f"{type(error).__name__}: {error}" for rule in rules}
            return
        finally:
            # The next window of a month ends in half a day: what failed must be looked at before.
            if self.failed and not self._retry_at_ns:
                self._retry_at_ns = self.clock.now_ns() + self.settings.alert_metric_interval_s * NS_PER_S
        self._found |= found
        self.look_s = (self.clock.monotonic_ns() - began_ns) / NS_PER_S

    def _look(self, complete: Callable[[], Facts], budget: Budget) -> dict[str, tuple[AlertRule, Condition]]:
        """In the thread of rules over windows."""
        found: dict[str, tuple[AlertRule, Condition]] = {}
        failed: dict[str, str] = {}
        with self.computing.turn(BIG) as turn:
            budget.pass_on = turn.pass_on
            facts = complete()
            for rule in facts.rules:
                budget.check()
                try:
                    found[rule.name] = rule, evaluate(rule, facts, self.memory)
                except QuestionStopped:
                    raise
                except Exception as error:
                    # One rule that fails by a defect must not stop the others.
                    failed[rule.name] = f"{type(error).__name__}: {error}"
                    if rule.name not in self.failed:
                        log.error("a rule over a window cannot be looked at", rule=rule.name, exc_info=error)
        self.failed = {name: why for name, why in self.failed.items() if name not in found} | failed
        return found
