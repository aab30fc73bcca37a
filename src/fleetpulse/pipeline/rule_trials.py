"""Trials of rules of alerts: what a rule would do now, found as a question, or, about the service, as a round does."""

import asyncio
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from fleetpulse.alert.annotations import value_text
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.preview import RuleTrial, TriedAlert, try_rule
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.condition_text import figure_text
from fleetpulse.notation.duration import length_text
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.seen_rules import SeenRules, rule_within
from fleetpulse.pipeline.window_rules import WINDOW_KINDS
from fleetpulse.query import alert_rule_answers as answers
from fleetpulse.query.budget import Budget
from fleetpulse.query.cost import list_cost_ms

LISTED_MAX = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleTrials:
    """Tries rules."""

    seen_rules: SeenRules
    questions: Questions
    alerting: Alerting

    async def preview(self, rule: AlertRule) -> answers.RulePreview:
        """What the rule would do; of somebody with a scope, with its devices.

        Raises: Forbidden: it is about others. OutOfRange: its texts are too long. QuestionStopped; Busy.
        """
        rule = rule_within(rule)
        self.seen_rules.alert_rules.check_size(rule)
        trial = await (self._of_service(rule) if rule.kind == "service" else self._of_fleet(rule))
        notes = self.seen_rules.notes(rule)
        if rule.kind != "service" and not self.alerting.facts.sees_fleet:
            notes.append("the service does not see all devices at the moment: rules about them wait until it does")
        return _described(rule, trial, notes)

    async def _of_fleet(self, rule: AlertRule) -> RuleTrial:
        def look(*, budget: Budget) -> Callable[[], Facts]:
            return partial(self.alerting.facts.take([rule], budget=budget), [rule])

        question = partial(self._try, rule, memory=Memory())
        # Those over windows may read blocks.
        cost_ms = math.inf if rule.kind in WINDOW_KINDS else list_cost_ms(len(self.seen_rules.registry.ids))
        return await self.questions.ask(cost_ms, look, question)

    async def _of_service(self, rule: AlertRule) -> RuleTrial:
        """In the thread of the rounds, which knows what the service counted before."""
        complete = partial(self.alerting.facts.take([rule]), [rule])

        def work() -> RuleTrial:
            return self._try(rule, complete(), memory=Memory(totals=deepcopy(self.alerting.memory.totals)))

        return await asyncio.get_running_loop().run_in_executor(self.alerting.thread, work)

    def _try(self, rule: AlertRule, facts: Facts, *, memory: Memory) -> RuleTrial:
        ids, limits = self.seen_rules.registry.ids, self.alerting.settings
        return try_rule(rule, facts, memory, ids=ids, limits=limits, listed_max=LISTED_MAX)


def _described(rule: AlertRule, trial: RuleTrial, notes: list[str]) -> answers.RulePreview:
    return answers.RulePreview(
        at=format_rfc3339(trial.at_ns),
        condition=rule.condition,
        devices=trial.devices,
        firing=trial.firing,
        pending=trial.pending,
        withheld=trial.withheld,
        alerts=[_alert(rule, tried, at_ns=trial.at_ns) for tried in trial.alerts],
        alerts_capped=trial.firing + trial.pending > len(trial.alerts),
        closest=[answers.ClosestFigure(one.subject, one.value, one.unit) for one in trial.closest],
        notes=notes,
    )


def _alert(rule: AlertRule, tried: TriedAlert, *, at_ns: int) -> answers.TriedAlert:
    alert = tried.alert
    return answers.TriedAlert(
        subject=alert.subject,
        state="firing" if alert.state == "firing" else "pending",
        since=format_rfc3339(alert.since_ns),
        fires_at=format_rfc3339(tried.fires_at_ns),
        value=alert.value,
        unit=alert.unit,
        why=_why(rule, tried, at_ns=at_ns),
        annotations=alert.annotations,
    )


def _why(rule: AlertRule, tried: TriedAlert, *, at_ns: int) -> str:
    """What is true of the subject, since when, and, where it would not fire at once, what it waits for."""
    alert = tried.alert
    if rule.kind == "device_down":
        heard = format_rfc3339(alert.last_received_ns) if alert.last_received_ns else "never"
        what = f"it is down; last heard: {heard}"
    else:
        what = f"{figure_text(rule)} {value_text(alert.value, alert.unit)}"
    text = f"{what}; true for {length_text((at_ns - alert.since_ns) // NS_PER_S)}"
    left_s = (tried.fires_at_ns - at_ns) // NS_PER_S
    return text if left_s <= 0 else f"{text}, and fires in {length_text(left_s)} if nothing changes"
