"""Alerts as whoever asks may see and change them: of somebody with a scope, those of its devices alone."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.access.scopes import labels_within
from fleetpulse.alert.annotations import render
from fleetpulse.alert.describing import shown_value
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.stored_rows import rows_of
from fleetpulse.catalog.alert_records import PIECE
from fleetpulse.errors import NotFound
from fleetpulse.model import alert as model
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import FIRING, NO_DEVICE, AlertDecision, Incident, Silence, labels_of_group
from fleetpulse.model.alert_filter import AlertFilter
from fleetpulse.model.alert_rows import AlertRows
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import MessageAlert
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query import alert_answers as answers
from fleetpulse.query.alert_selection import AlertSelection, group_is_inside

_Found = TypeVar("_Found")
NUMBER_HIGHEST = 2**62
PIECES_AT_ONCE = 20
"""Pieces of stored alerts that one request looks through; a page may then be short, and its cursor goes on."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SeenAlerts:
    """Reads alerts. On the event loop."""

    book: AlertBook
    alerting: Alerting
    alert_rules: AlertRules
    registry: Registry
    metric_definitions: MetricDefinitions
    thread: Executor
    """Looks through alerts: of 100,000 that are open this takes longer than the event loop may be held."""

    async def page(self, chosen: AlertFilter, *, before: int | None, limit: int) -> answers.Alerts:
        """Alerts that match, newest first, with numbers below `before`. Raises: DamagedData; NotAccepting."""
        selection = self._selection(chosen)
        decisions: Mapping[int, AlertDecision] = self.book.decisions
        if chosen.state in ("open", "pending", "firing"):
            look = partial(_open_page, self.book.lives, selection, before=before, limit=limit)
            alerts, cursor = await self._aside(look)
        else:
            alerts, cursor = await self._stored_page(selection, before=before or NUMBER_HIGHEST, limit=limit)
            numbers = alerts.rows["number"].tolist()
            decisions = await self.book.catalog_thread.run(partial(self.book.records.decisions, numbers))
        return answers.Alerts(
            alerts=[self._described(alert, decisions.get(alert.number)) for alert in alerts.alerts()],
            firing=await self._aside(partial(_count_firing, self.book.lives, self._selection(AlertFilter()))),
            beyond=self.alerting.beyond,
            next_cursor=None if cursor is None else str(cursor),
        )

    def _selection(self, chosen: AlertFilter) -> AlertSelection:
        labels = {name: declared.rule.labels for name, declared in self.alert_rules.declared.items()}
        decided = self.book.decisions
        known = {number for number, decision in decided.items() if decision.acknowledged_by}
        return AlertSelection(
            chosen=chosen, roster=self.registry.seen_roster, rule_labels=labels, acknowledged=frozenset(known)
        )

    async def _aside(self, work: Callable[[], _Found]) -> _Found:
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    async def _stored_page(self, selection: AlertSelection, *, before: int, limit: int) -> tuple[AlertRows, int | None]:
        found: list[NDArray[np.void]] = []
        names: tuple[str, ...] = ("",)
        count = 0
        for _ in range(PIECES_AT_ONCE):
            piece = await self.book.catalog_thread.run(partial(self.book.records.piece_before, before))
            if piece is None or not len(piece):
                return _joined(found, names), None
            names = piece.names
            is_wanted = await self._aside(partial(selection.matches, piece))
            rows = piece.rows[is_wanted & (piece.rows["number"] < before)][::-1]
            taken = rows[: limit - count]
            found.append(taken)
            count += len(taken)
            if count == limit:
                return _joined(found, names), int(taken[-1]["number"])
            before = int(piece.rows["number"][0]) // PIECE * PIECE
        return _joined(found, names), before

    async def _find(self, number: int) -> model.Alert:
        """Raises: NotFound: there is none that whoever asks may know of."""
        piece = await self.book.catalog_thread.run(partial(self.book.records.piece_before, number + 1))
        if piece is not None:
            seen = self._selection(AlertFilter(state="all")).matches(piece) & (piece.rows["number"] == number)
            for alert in AlertRows(piece.rows[seen], piece.names).alerts():
                return alert
        raise NotFound(f"there is no alert {number}", reason="unknown_alert")

    async def show(self, number: int) -> answers.ShownAlert:
        """An alert with its log. Raises: NotFound; DamagedData; NotAccepting."""
        alert = await self._find(number)
        decided = await self.book.catalog_thread.run(partial(self.book.records.decisions, [number]))
        described = self._described(alert, decided.get(number))
        log = answers.describe_log(alert, await self.book.notes(number))
        fields = {name: getattr(described, name) for name in described.__struct_fields__}
        return answers.ShownAlert(**fields, log=log)

    async def check(self, number: int) -> None:
        """Raises: NotFound: there is no such alert that whoever asks may know of."""
        await self._find(number)

    def _described(self, alert: model.Alert, decision: AlertDecision | None) -> answers.Alert:
        declared = self.alert_rules.declared.get(alert.rule)
        rule = declared.rule if declared is not None else AlertRule(name=alert.rule, kind="device_down")
        device_id, labels, heard_ns = None, labels_of_group(alert.group), 0
        if alert.device != NO_DEVICE and alert.device < len(self.registry.ids):
            device_id = self.registry.ids[alert.device]
            labels = self.registry.roster.labels_of(alert.device)
            heard_ns = int(self.alerting.facts.follower.fleet.last_received_ns[alert.device])
        units = {metric.name: metric.unit for metric in self.metric_definitions.metrics.values()}
        value, unit = shown_value(rule, alert.value, units)
        facts = MessageAlert(
            number=alert.number,
            rule=alert.rule,
            severity=alert.severity,
            subject=device_id or alert.group,
            state=alert.state,
            since_ns=alert.since_ns,
            fired_at_ns=alert.fired_at_ns,
            last_received_ns=heard_ns,
            resolved_at_ns=alert.resolved_at_ns,
            value=value,
            unit=unit,
            times=alert.times,
            labels=labels,
            owner=rule.owner,
        )
        now_ns = self.book.clock.now_ns()
        # They say what is true while it fires, such as "is offline since": of an alert that has ended that is wrong.
        templates = rule.annotations if alert.state != "resolved" else {}
        texts = {name: render(template, facts, at_ns=now_ns) for name, template in templates.items()}
        return answers.describe_alert(
            alert,
            decision,
            device_id=device_id,
            labels=labels,
            figure=(value, unit),
            owner=rule.owner,
            annotations=texts,
        )

    def silences(self, *, are_ended_included: bool) -> list[answers.Silence]:
        """Silences that concern whoever asks, newest first."""
        now_ns = self.book.clock.now_ns()
        seen = [one for one in reversed(self.book.silences) if self._is_own(one)]
        return [
            answers.describe_silence(one, now_ns=now_ns) for one in seen if are_ended_included or one.end_ns > now_ns
        ]

    def _is_own(self, silence: Silence) -> bool:
        """Somebody with a scope sees and ends those that are for devices of the scope alone."""
        return set(current_asker().scope) <= set(silence.labels)

    def own_silence(self, silence: Silence) -> Silence:
        """A silence that may be changed. Raises: NotFound: it is for others, too."""
        if not self._is_own(silence):
            raise NotFound(f"there is no silence {silence.number}", reason="unknown_silence")
        return silence

    def silence_within(self, labels: Mapping[str, str]) -> Scope:
        """The labels of a new silence, with those of the scope. Raises: UnknownDevice; Forbidden."""
        if "device" in labels:
            self.registry.number_of(labels["device"])
        return tuple(sorted(labels_within(labels, current_asker().scope).items()))

    async def incidents(self, *, before: int | None, limit: int) -> answers.Incidents:
        """Incidents, newest first. Raises: DamagedData; NotAccepting."""
        found: list[Incident] = []
        last = before or NUMBER_HIGHEST
        for _ in range(PIECES_AT_ONCE):
            page = await self.book.catalog_thread.run(partial(self.book.records.incidents, before=last, limit=1_000))
            found += [incident for incident in page if self._sees(incident)]
            if not page or len(found) > limit:
                break
            last = page[-1].number
        shown = found[:limit]
        following = str(shown[-1].number) if len(found) > limit else None
        return answers.Incidents([answers.describe_incident(one) for one in shown], following)

    async def incident(self, number: int) -> answers.Incident:
        """One incident. Raises: NotFound; DamagedData; NotAccepting."""
        page = await self.book.catalog_thread.run(partial(self.book.records.incidents, before=number + 1, limit=1))
        for incident in page:
            if incident.number == number and self._sees(incident):
                return answers.describe_incident(incident)
        raise NotFound(f"there is no incident {number}", reason="unknown_incident")

    def _sees(self, incident: Incident) -> bool:
        declared = self.alert_rules.declared.get(incident.rule)
        labels = declared.rule.labels if declared is not None else ()
        return group_is_inside(f"{incident.label}={incident.value}", labels, self.registry.seen_roster)


def _open_page(
    lives: Lives, selection: AlertSelection, *, before: int | None, limit: int
) -> tuple[AlertRows, int | None]:
    """Pending ones come last; the cursor says how many were shown, since these have no numbers."""
    rows = rows_of(lives.open, lives.rules, lives.groups)
    found = rows.rows[selection.matches(rows)]
    order = np.lexsort((found["device"], -found["number"]))
    skipped = before or 0
    shown = found[order[skipped : skipped + limit]]
    cursor = skipped + limit if skipped + limit < len(found) else None
    return AlertRows(shown, rows.names), cursor


def _count_firing(lives: Lives, selection: AlertSelection) -> int:
    if not selection.roster.scope:
        return int((lives.open.of["state"] == FIRING).sum())
    return int(selection.matches(rows_of(lives.open, lives.rules, lives.groups)).sum())


def _joined(found: Sequence[NDArray[np.void]], names: tuple[str, ...]) -> AlertRows:
    return AlertRows(np.concatenate(found), names) if found else AlertRows()
