"""Rehearsals: what a rule would have done over stored history, as a question like others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.cadence import step_s
from fleetpulse.alert.histories.condition_history import ConditionHistory
from fleetpulse.alert.histories.history_of import Rehearsable, check_rehearsable, history_of, look_back_s
from fleetpulse.alert.rehearsal import Circumstances, Rehearsed, RehearsedAlert, lead_ns, rehearse
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.model.alert import Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.receiver import Routing
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.seen_rules import SeenRules, rule_within
from fleetpulse.pipeline.views import Views
from fleetpulse.query import rehearsal_answers as answers
from fleetpulse.query.answers import Missing
from fleetpulse.query.budget import Budget
from fleetpulse.query.cost import fleet_cost_ms, samples_cost_ms
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.missing import distinct
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

DEVICE_MS = 1.0
"""To follow the status of one device over a month."""
LOOKS_A_MS = 20_000
"""Windows of devices that are looked at."""
_Seen = tuple[FleetView, Samples]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rehearsals:
    """Rehearses rules with what is declared now."""

    questions: Questions
    views: Views
    registry: Registry
    metric_definitions: MetricDefinitions
    seen_rules: SeenRules
    alerting: Alerting
    settings: ConditionSettings

    def declared(self, name: str) -> AlertRule:
        """A rule that is declared. Raises: NotFound."""
        self.seen_rules.get(name)
        return self.seen_rules.alert_rules.declared[name].rule

    async def rehearse(self, rule: AlertRule, window: Window) -> answers.Rehearsal:
        """What a rule would have done, for the devices that whoever asks may see. Waits for its turn like a question.

        Raises: OutOfRange: there is no history of what the rule is about. QuestionStopped; TooDear; Busy.
        """
        check_rehearsable(rule)
        rule = rule_within(rule)
        from_ns = max(0, window.start_ns - lead_ns(rule))
        start_ns = max(0, from_ns - look_back_s(rule) * NS_PER_S)
        # What is declared is taken now: the thread of the question must not see it change.
        given = _Given(
            rule=rule,
            window=window,
            from_ns=from_ns,
            ids=self.registry.ids,
            metrics=self._metrics(rule),
            units=self.alerting.facts.units(),
            routing=self.alerting.routing(),
            silences=[one for one in self.alerting.book.silences if one.start_ns <= window.end_ns < one.end_ns],
            conditions=self.settings,
            alerting=self.alerting,
            notes=selection_notes(self.registry.seen_roster, rule.labels, by=rule.by),
        )

        def look(*, budget: Budget) -> Callable[[], _Seen]:
            kept = self.metric_definitions.kept()
            fleet, samples = self.views.fleet_from(start_ns, budget=budget), self.views.samples(kept, budget=budget)
            return lambda: (fleet(), samples())

        return await self.questions.ask(self._cost_ms(given, start_ns), look, given.answer)

    def _metrics(self, rule: AlertRule) -> dict[str, tuple[int, MetricDefinition]]:
        entry = self.metric_definitions.known.get(rule.metric)
        return {} if entry is None else {rule.metric: (entry[0], self.metric_definitions.kept().get(*entry))}

    def _cost_ms(self, given: "_Given", start_ns: int) -> float:
        """About how long it takes: to read history, and to play it."""
        manifest, window, devices = self.views.history.manifest, given.window, self.registry.roster.count
        questions = [MetricQuestion(number, metric, "avg") for number, metric in given.metrics.values()]
        looks = (window.end_ns - given.from_ns) // NS_PER_S // max(60, step_s(given.rule, self.settings))
        return (
            fleet_cost_ms(manifest, devices=devices, start_ns=start_ns, now_ns=window.end_ns)
            + samples_cost_ms(
                manifest, questions, Window(start_ns, window.end_ns, NS_PER_MINUTE), groups=1, is_of_one=False
            )
            + devices * DEVICE_MS
            + (devices * looks / LOOKS_A_MS if questions else 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given:
    """What a rehearsal is given, and what it answers with."""

    rule: AlertRule
    window: Window
    from_ns: int
    ids: Sequence[str]
    metrics: Mapping[str, tuple[int, MetricDefinition]]
    units: Mapping[str, str]
    routing: Routing
    silences: Sequence[Silence]
    conditions: ConditionSettings
    alerting: Alerting
    notes: Sequence[str]

    def answer(self, seen: _Seen) -> answers.Rehearsal:
        """In the thread of the question."""
        view, samples = seen
        window = self.window
        given = Rehearsable(
            view=view,
            samples=samples,
            metrics=self.metrics,
            settings=self.conditions,
            start_ns=self.from_ns,
            end_ns=window.end_ns,
        )
        history = history_of(self.rule, given)
        circumstances = Circumstances(
            settings=self.alerting.settings,
            plan=self.alerting.plan,
            roster=view.roster,
            ids=self.ids,
            last_received_ns=view.live.last_received_ns,
            silences=self.silences,
            routing=self.routing,
            units=self.units,
            blind=spans_of(view.live.blind_ns),
            check=view.budget.check,
        )
        found = rehearse(
            self.rule, history, circumstances, from_ns=self.from_ns, start_ns=window.start_ns, end_ns=window.end_ns
        )
        return self._answer(found, history, given.missing)

    def _answer(self, found: Rehearsed, history: ConditionHistory, missing: list[Missing]) -> answers.Rehearsal:
        window = self.window
        names: Sequence[str] = self.ids if history.groups is None else history.groups
        return answers.Rehearsal(
            rule=self.rule.name,
            start=window.start,
            end=window.end,
            interval_s=found.interval_s,
            alerts=found.alerts,
            again=found.again,
            open_at_start=found.open_at_start,
            subjects=len(found.subjects),
            incidents=len(found.incidents),
            messages=sum(found.messages.values()),
            receivers=dict(sorted(found.messages.items())),
            kinds=dict(sorted(found.kinds.items())),
            days=_days(found, window),
            first=[_alert(one, names) for one in found.listed],
            missing=distinct(missing),
            notes=[*window.notes, *self.notes, *history.notes, *self._routing_notes()],
        )

    def _routing_notes(self) -> list[str]:
        notes = []
        if not self.routing.routes:
            notes.append("no receivers are declared, so nobody would be told")
        if self.silences:
            notes.append(f"{len(self.silences)} silences that are in effect now are taken to be so all the time")
        return notes


def _days(found: Rehearsed, window: Window) -> list[answers.RehearsedDay]:
    days = range(window.start_ns // NS_PER_DAY, (window.end_ns - 1) // NS_PER_DAY + 1)
    return [answers.RehearsedDay(format_rfc3339(day * NS_PER_DAY)[:10], *found.days.get(day, (0, 0))) for day in days]


def _alert(one: RehearsedAlert, names: Sequence[str]) -> answers.RehearsedAlert:
    return answers.RehearsedAlert(
        subject=names[one.subject],
        since=format_rfc3339(one.since_ns),
        fired_at=format_rfc3339(one.fired_at_ns),
        resolved_at=format_rfc3339(one.resolved_at_ns) if one.resolved_at_ns else None,
        value=None if math.isnan(one.value) else one.value,
    )
