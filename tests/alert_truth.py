"""Who should be told of an alert, and by what it may be kept from people: found plainly, one alert after the other."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alert_model import Model, ModelAlert, Subject
from alert_world import GROUPS, World
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import AlertDecision, Silence
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import Route, Routing
from fleetpulse.model.units import NS_PER_S

RANKS = {"info": 0, "warning": 1, "critical": 2}


def labels_of(world: World, subject: Subject) -> dict[str, str]:
    """The labels of an alert."""
    rule, number = subject
    return dict([GROUPS[number].split("=")]) if rule == "sites" else dict(world.labels[number])


def name_of(world: World, subject: Subject) -> str:
    """What people call the subject."""
    return GROUPS[subject[1]] if subject[0] == "sites" else world.ids[subject[1]]


def is_now(recurrence: Recurrence, now_s: int) -> bool:
    """Whether one of these local times is now."""
    zone = ZoneInfo(recurrence.timezone)
    today = datetime.fromtimestamp(now_s, zone).date()
    for back in range(3):
        day = today - timedelta(days=back)
        if recurrence.weekdays and day.weekday() not in recurrence.weekdays:
            continue
        hour, minute = divmod(recurrence.start_minute, 60)
        start_s = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp()
        if start_s <= now_s < start_s + recurrence.duration_s:
            return True
    return False


@dataclass
class Telling:
    """Who should be told of what, at one moment."""

    world: World
    model: Model
    numbers: dict[Subject, int]
    decisions: dict[int, AlertDecision]
    silences: tuple[Silence, ...]
    routing: Routing

    def is_muted(self, subject: Subject) -> bool:
        """Whether nobody is to be told of it now."""
        alert = self.model.open[subject]
        return self._is_kept(subject) or any(
            RANKS[other.severity] > RANKS[alert.severity] and other.is_firing and self._covers(one, subject)
            for one, other in self.model.open.items()
            if one in self.numbers and not self._is_kept(one)
        )

    def _is_kept(self, subject: Subject) -> bool:
        alert, now = self.model.open[subject], self.model.now
        decision = self.decisions.get(self.numbers[subject])
        is_snoozed = decision is not None and decision.snoozed_until_ns > now * NS_PER_S
        return alert.withheld_since is not None or is_snoozed or self.is_silenced(subject, alert)

    def is_silenced(self, subject: Subject, alert: ModelAlert) -> bool:
        """Whether a silence is about it now."""
        facts = {**labels_of(self.world, subject), "rule": subject[0], "severity": alert.severity}
        if subject[0] != "sites":
            facts["device"] = self.world.ids[subject[1]]
        at_ns = self.model.now * NS_PER_S
        return any(
            silence.start_ns <= at_ns < silence.end_ns and _has(facts, silence.labels) for silence in self.silences
        )

    def _covers(self, one: Subject, other: Subject) -> bool:
        if one[0] == "sites":
            return labels_of(self.world, one).items() <= labels_of(self.world, other).items()
        return other[0] != "sites" and one[1] == other[1]

    def is_acknowledged(self, subject: Subject) -> bool:
        """Whether somebody has acknowledged it."""
        decision = self.decisions.get(self.numbers[subject])
        return decision is not None and bool(decision.acknowledged_by)

    def routes(self, subject: Subject) -> list[Route]:
        """The routes that it would take now."""
        alert, taken = self.model.open[subject], []
        labels = {**labels_of(self.world, subject), "rule": subject[0], "severity": alert.severity}
        for route in self.routing.routes:
            on_call = not route.on_call or any(is_now(one, self.model.now) for one in route.on_call)
            fits = all(matcher.holds(labels.get(matcher.label, "")) for matcher in route.matchers)
            fits = (
                fits
                and alert.severity in (route.severities or RANKS)
                and subject[0] in (route.rules or labels.values())
            )
            if on_call and fits:
                taken.append(route)
                if not route.continues:
                    break
        return taken

    def is_quiet(self, route: Route, severity: str) -> bool:
        """Whether the route keeps this for later."""
        return severity not in route.quiet_except and any(is_now(one, self.model.now) for one in route.quiet_hours)

    def receivers(self, subject: Subject) -> set[str]:
        """Whom to tell of it now; nobody where it is muted, or in quiet hours."""
        if self.is_muted(subject):
            return set()
        severity = self.model.open[subject].severity
        return {
            name for route in self.routes(subject) if not self.is_quiet(route, severity) for name in route.receivers
        }


def _has(facts: dict[str, str], labels: Scope) -> bool:
    return all(facts.get(name) == value for name, value in labels)
