"""What receivers are told of a group of alerts, and when: beginnings, ends, reminders and escalations.

A group remembers what each receiver knows. Whatever differs from what is true is told when the group may tell again, so
an alert that begins and ends in between is not told of at all, and nothing is told twice.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import AlertColumns
from fleetpulse.alert.labelled import RULE, SEVERITY
from fleetpulse.alert.local_times import end_ns, is_within
from fleetpulse.alert.numbers import NO_NUMBERS, Numbers, common, united, without
from fleetpulse.alert.planner_state import Group, PlannerState, Unanswered
from fleetpulse.alert.round_rows import RoundRows
from fleetpulse.alert.routing import key_of
from fleetpulse.model.alert import RESOLUTIONS, RETURNED
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.message import Cause, Message, MessageAlert, MessageKind
from fleetpulse.model.receiver import Route, Routing
from fleetpulse.model.units import NS_PER_S

Describe = Callable[[AlertColumns], list[MessageAlert]]
"""Makes what messages say of alerts of few rows, in their order."""

_RETURNED = [RESOLUTIONS.index(one) for one in RETURNED]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Telling:
    """What is decided of all groups in a round.

    Attributes:
        beyond: how many further alerts there are not, since there are too many.
        muted: whether nobody is told of an alert now: bool, by row, shape (n,).
        messages: what has been decided so far.
    """

    state: PlannerState
    rows: RoundRows
    routing: Routing
    muted: NDArray[np.bool_]
    describe: Describe
    alerts_max: int
    beyond: int
    now_ns: int
    messages: list[Message] = field(default_factory=list)

    def tell(self, group: Group) -> None:
        """Decide what is told of this group now; changes the group."""
        route = next((one for one in self.routing.routes if one.name == group.route), None)
        if route is None:
            group.waiting = NO_NUMBERS  # they are given to the routes that there are now
        group.known = {name: known for name, known in group.known.items() if name in self.routing.receivers}
        self._settle_ends(group, route)
        if self.now_ns >= next_ns(group, route) or self.state.is_over(group):
            self._tell_changes(group, route)
        if route is not None and not self.state.is_over(group):
            self._escalate(group, route)
            self._remind(group, route)
        _forget_ended(group)

    def tellable(self, numbers: Numbers, route: Route) -> Numbers:
        """Those alerts that fire and may be told now by that route: int64, shape (n,)."""
        numbers = common(numbers, self.rows.firing)
        allowed = ~self.muted
        if self.is_quiet(route):
            allowed &= self.rows.labelled.of_severities(route.quiet_except)
        return self.rows.chosen(numbers, allowed)

    def is_quiet(self, route: Route) -> bool:
        """Whether these are quiet hours of the route."""
        return bool(route.quiet_hours) and is_within(route.quiet_hours, self.now_ns)

    def _settle_ends(self, group: Group, route: Route | None) -> None:
        """Note which told alerts have ended, and forget ends that are not to be told."""
        for name, known in group.known.items():
            if (route is not None and not route.sends_resolved) or not self.routing.receivers[name].sends_resolved:
                group.known[name] = common(known, self.rows.firing)
        known = united(group.known.values())
        group.flapping = common(group.flapping, known)
        ended = without(known, self.rows.firing)
        fresh = self._returned_last(self.rows.present(without(ended, group.ended)))[: self.alerts_max]
        kept = [one for one in group.ended_alerts if one.number in ended]
        # Without this order, a long list could leave out the devices that were removed, and say that all have returned.
        listed = sorted([*kept, *self._described(fresh)], key=lambda one: one.resolution in RETURNED)
        group.ended, group.ended_alerts = ended, tuple(listed[: self.alerts_max])

    def _returned_last(self, numbers: Numbers) -> Numbers:
        resolutions = self.rows.labelled.alerts.of["resolution"][self.rows.rows(numbers)]
        return numbers[np.argsort(np.isin(resolutions, _RETURNED), kind="stable")]

    def _described(self, numbers: Numbers) -> list[MessageAlert]:
        if not len(numbers):
            return []
        return self.describe(self.rows.labelled.alerts.taken(self.rows.rows(numbers)))

    def _tell_changes(self, group: Group, route: Route | None) -> None:
        new = self.tellable(group.waiting, route) if route is not None else NO_NUMBERS
        notices = self.tellable(group.flapping, route) if route is not None else NO_NUMBERS
        are_ends_told = len(group.ended) and not self._do_ends_wait(group, route)
        receivers = [name for name in (route.receivers if route is not None else ()) if name in self.routing.receivers]
        for name in dict.fromkeys([*receivers, *group.known]):
            known = group.known.get(name, NO_NUMBERS)
            fresh = without(new, self._told_elsewhere(group, name)) if name in receivers else NO_NUMBERS
            ended = common(known, group.ended) if are_ends_told else NO_NUMBERS
            noticed = common(notices, known)
            if not len(fresh) and not len(ended) and not len(noticed):
                continue
            self._forget_elsewhere(name, fresh)
            kind = self._kind(fresh, noticed)
            known = without(united([known, fresh]), ended)
            self._add(
                group, name, kind, first=united([fresh, noticed]), firing=common(known, self.rows.firing), ended=ended
            )
            group.known[name] = known
            group.last_ns = self.now_ns
        group.flapping = without(group.flapping, notices)
        if len(new) and receivers:
            group.waiting = without(group.waiting, new)
            group.unanswered = (*group.unanswered, Unanswered(self.now_ns, 0, new))

    def _kind(self, fresh: Numbers, noticed: Numbers) -> MessageKind:
        if len(fresh):
            is_flapping = self.rows.labelled.alerts.of["is_flapping"][self.rows.rows(fresh)]
            return "flapping" if is_flapping.all() else "firing"
        return "flapping" if len(noticed) else "resolved"

    def _told_elsewhere(self, group: Group, receiver: str) -> Numbers:
        """What another route has told the receiver already."""
        if not any(route.continues for route in self.routing.routes):
            return NO_NUMBERS
        others = [one for one in self.state.groups.values() if one is not group]
        return united(self.state.known_by(one, receiver) for one in others)

    def _do_ends_wait(self, group: Group, route: Route | None) -> bool:
        """Whether the ends are not told yet: an incident has one, and others wait for the end of quiet hours."""
        if group.incident and not self.state.is_over(group):
            return True
        if route is None or not self.is_quiet(route):
            return False
        severities = [SEVERITIES.index(one.severity) for one in group.ended_alerts]
        return not (severities and SEVERITIES[max(severities)] in route.quiet_except)

    def _unanswered(self, numbers: Numbers, route: Route) -> Numbers:
        """Those of the alerts that may be told now, and that nobody has acknowledged."""
        return self.rows.chosen(self.tellable(numbers, route), ~self.rows.labelled.alerts.of["is_acknowledged"])

    def _remind(self, group: Group, route: Route) -> None:
        for name, known in group.known.items():
            if route.repeat_interval_s and self.now_ns >= reminder_ns(group, route, name):
                numbers = self._unanswered(known, route)
                if len(numbers):
                    self._add(group, name, "reminder", first=numbers, firing=numbers, ended=NO_NUMBERS)

    def _escalate(self, group: Group, route: Route) -> None:
        left: list[Unanswered] = []
        known = united(group.known.values())
        for one in group.unanswered:
            numbers = common(one.numbers, known)
            if one.steps >= len(route.escalation) or not len(numbers):
                continue
            step = route.escalation[one.steps]
            now = NO_NUMBERS
            if self.now_ns >= one.due_ns + step.after_s * NS_PER_S:
                now = self._unanswered(numbers, route)
            for name in step.receivers if len(now) else ():
                if name in self.routing.receivers:
                    self._forget_elsewhere(name, now)
                    self._add(
                        group, name, "escalation", first=now, firing=now, ended=NO_NUMBERS, escalation=one.steps + 1
                    )
                    group.known[name] = united([group.known.get(name, NO_NUMBERS), now])
            waiting = without(numbers, now)
            left += [Unanswered(one.due_ns, one.steps, waiting)] if len(waiting) else []
            left += [Unanswered(one.due_ns, one.steps + 1, now)] if len(now) else []
        group.unanswered = tuple(left)

    def _forget_elsewhere(self, receiver: str, numbers: Numbers) -> None:
        """A group tells the receiver of these from now on, so no other one is to tell of their end, too."""
        for group in self.state.groups.values() if len(numbers) else ():
            if receiver in group.known:
                group.known[receiver] = without(group.known[receiver], numbers)

    def _add(
        self,
        group: Group,
        receiver: str,
        kind: MessageKind,
        *,
        first: Numbers,
        firing: Numbers,
        ended: Numbers,
        escalation: int = 0,
    ) -> None:
        """Decide a message. Args: first: which of those that fire are listed first."""
        group.last_of[receiver] = self.now_ns
        numbers = np.concatenate((first, without(firing, first)))[: self.alerts_max]
        listed = self._described(numbers[: len(first)]) + [one for one in group.ended_alerts if one.number in ended]
        listed = (listed + self._described(numbers[len(first) :]))[: self.alerts_max]
        severities = [*self.rows.labelled.alerts.of["severity"][self.rows.rows(firing)].tolist()]
        severities += [SEVERITIES.index(one.severity) for one in listed]
        self.messages.append(
            Message(
                key=self._key(group, receiver, kind),
                receiver=receiver,
                kind=kind,
                at_ns=self.now_ns,
                severity=SEVERITIES[max(severities, default=0)],
                group=_shared(group, listed),
                firing=len(firing),
                resolved=len(ended),
                omitted=len(firing) + len(ended) - len(listed),
                alerts=tuple(listed),
                cause=self._cause(group),
                escalation=escalation,
                beyond=self.beyond,
            )
        )

    def _key(self, group: Group, receiver: str, kind: MessageKind) -> str:
        """A key that no other message has; the same when a round that was not stored is decided again."""
        self.state.messages += 1
        facts = msgspec.json.encode([self.state.messages, self.now_ns, key_of(group), receiver, kind])
        return hashlib.sha256(facts).hexdigest()[:32]

    def _cause(self, group: Group) -> Cause | None:
        one = self.state.incidents.get(group.incident)
        if one is None:
            return None
        return Cause(
            incident=one.number,
            label=one.label,
            value=one.value,
            down=len(one.members) + len(common(one.left, self.rows.firing)),
            devices=one.devices,
            explanation=one.explanation,
        )


def next_ns(group: Group, route: Route | None) -> int:
    """From when on the group may tell of changes."""
    if not group.last_ns:
        return group.due_ns
    return group.last_ns + (route.group_interval_s if route is not None else 0) * NS_PER_S


def _shared(group: Group, listed: list[MessageAlert]) -> dict[str, str]:
    """What the alerts of a group share, less what has changed since, such as labels, or the severity of their rule."""
    facts = [{**one.labels, RULE: one.rule, SEVERITY: one.severity} for one in listed]
    return {name: value for name, value in group.by if all(one.get(name, "") == value for one in facts)}


def reminder_ns(group: Group, route: Route, receiver: str) -> int:
    """From when on a receiver may be reminded."""
    return group.last_of.get(receiver, group.last_ns) + route.repeat_interval_s * NS_PER_S


def _forget_ended(group: Group) -> None:
    """Drop what no receiver waits to be told."""
    group.known = {name: known for name, known in group.known.items() if len(known)}
    known = united(group.known.values())
    group.last_of = {name: at_ns for name, at_ns in group.last_of.items() if name in group.known}
    group.ended = common(group.ended, known)
    group.ended_alerts = tuple(one for one in group.ended_alerts if one.number in group.ended)


def next_due_ns(telling: Telling, group: Group) -> int:
    """When something is to be told of the group next, though nothing changes; 0: never."""
    route = next((one for one in telling.routing.routes if one.name == group.route), None)
    times = []
    quiet_end_ns = end_ns(route.quiet_hours, telling.now_ns) if route is not None and route.quiet_hours else 0
    if len(group.waiting) or len(group.ended) or len(group.flapping):
        times.append(next_ns(group, route))
    if route is not None and group.known:
        if route.repeat_interval_s:
            times += [reminder_ns(group, route, name) for name in group.known]
        times += [
            one.due_ns + route.escalation[one.steps].after_s * NS_PER_S
            for one in group.unanswered
            if one.steps < len(route.escalation)
        ]
    # What is overdue is muted, acknowledged or quiet: it waits for a change, or for the end of quiet hours.
    later = [at_ns for at_ns in times if at_ns > telling.now_ns]
    if len(later) < len(times) and quiet_end_ns > telling.now_ns:
        later.append(quiet_end_ns)
    return min(later, default=0)
