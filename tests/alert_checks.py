"""Checks each round of the simulation: the alerts against the model, and each message against what is true."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from alert_model import Model, ModelAlert, Subject
from alert_monitor import Monitor
from alert_sentences import EXPLANATION, check_text, line_of, time_text
from alert_truth import RANKS, Telling, is_now, labels_of, name_of
from alert_world import GROUPS, World
from fleetpulse.alert.round import Decided
from fleetpulse.model.alert import FIRING, RESOLVED, Incident
from fleetpulse.model.message import Message, MessageAlert
from fleetpulse.model.units import NS_PER_S


class Knows(NamedTuple):
    """Since when a receiver knows that an alert fires, and of which incident it was told as a part; 0: of none."""

    at: int
    incident: int


class End(NamedTuple):
    """How an alert was when it ended."""

    alert: ModelAlert
    heard: int


def _subject(decided: Decided, rows: dict[str, Any], row: int) -> Subject:
    rule, number = int(rows["rule"][row]), int(rows["subject"][row])
    groups = decided.names.groups[rule]
    return decided.names.rules[rule], number if groups is None else GROUPS.index(groups[number])


@dataclass
class Checker:
    """What the receivers know, and what they should."""

    world: World
    model: Model
    monitor: Monitor
    numbers: dict[Subject, int] = field(default_factory=dict)
    subjects: dict[int, Subject] = field(default_factory=dict)
    ends: dict[int, End] = field(default_factory=dict)
    views: dict[str, dict[int, Knows]] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    member_of: dict[int, int] = field(default_factory=dict)
    got_cause: dict[str, set[int]] = field(default_factory=dict)
    due_since: dict[Subject, tuple[int, frozenset[str]]] = field(default_factory=dict)
    audiences: dict[Subject, set[frozenset[str]]] = field(default_factory=dict)
    allowed: dict[Subject, set[str]] = field(default_factory=dict)
    disturbed: int = 0
    last: int = 0
    loud_since: int = 0
    keys: set[str] = field(default_factory=set)
    blind: set[tuple[str, tuple[int, int]]] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nobody knows anything."""
        self.views = {name: {} for name in self.monitor.routing.receivers}
        self.got_cause = {name: set() for name in self.views}

    @property
    def now(self) -> int:
        return self.world.now_s

    @property
    def is_brief(self) -> bool:
        """Whether messages do not list all alerts, so that it cannot be followed what a receiver knows of each."""
        return self.monitor.alerts_max < 50

    def disturb(self) -> None:
        """The monitor was away, or its clock was set: whoever is to be told of something waits anew."""
        self.disturbed = self.loud_since = self.now
        self.due_since.clear()

    def round(self, decided: Decided) -> None:
        """A round that is in effect."""
        model = self.model.copy()
        model.round(self.now, self.monitor.rules, self.world.truth(), self.world.away)
        self._same_alerts(decided, model)
        self.model = model
        self.telling = Telling(
            self.world,
            model,
            self.numbers,
            self.monitor.book.decisions,
            tuple(self.monitor.book.silences),
            self.monitor.routing,
        )
        self.firing = {self.numbers[one]: one for one, alert in model.open.items() if alert.is_firing}
        self._note_audiences()
        for incident in decided.record.incidents if decided.record is not None else ():
            self.incidents[incident.number] = incident
        for message in decided.messages:
            self.counts[message.kind] = self.counts.get(message.kind, 0) + 1
            self._message(message)
        self._nobody_is_missed()
        self._nothing_is_stuck()
        self.last = self.now

    def _same_alerts(self, decided: Decided, model: Model) -> None:
        rows = decided.state.lives.open.of
        found = {}
        for row in range(len(rows["number"])):
            subject = _subject(decided, rows, row)
            found[subject] = {name: column[row].item() for name, column in rows.items() if column.ndim == 1}
        assert found.keys() == model.open.keys(), (self.now, found.keys() ^ model.open.keys())
        self.member_of |= {one["number"]: one["incident"] for one in found.values() if one["incident"]}
        for subject, alert in model.open.items():
            one = found[subject]
            seen = (one["state"] == FIRING, one["since_ns"], one["is_withheld"])
            assert seen == (alert.is_firing, alert.since * NS_PER_S, alert.withheld_since is not None), (
                subject,
                alert,
                seen,
                self.now,
            )
            if alert.is_firing:
                assert (one["fired_at_ns"], one["times"], one["is_flapping"]) == (
                    alert.fired_at * NS_PER_S,
                    alert.times,
                    alert.is_flapping,
                ), (subject, alert)
                self._number(subject, one["number"], alert)
        gone = decided.changes.alerts.of
        ended = {}
        for row in (gone["state"] == RESOLVED).nonzero()[0].tolist():
            subject = _subject(decided, gone, row)
            ended[subject] = int(gone["resolved_at_ns"][row])
            number = int(gone["number"][row])
            assert self.numbers.pop(subject) == number
            device = subject[1] if subject[0] != "sites" else None
            heard = self.world.heard[device] if device is not None else 0
            self.ends[number] = End(replace(model.gone[subject]), heard)
        assert ended == {subject: alert.resolved_at * NS_PER_S for subject, alert in model.gone.items()}

    def _number(self, subject: Subject, number: int, alert: ModelAlert) -> None:
        if subject not in self.numbers:
            assert (number in self.subjects) == (alert.times > 1), (subject, number, alert)
            assert self.subjects.get(number, subject) == subject
            self.numbers[subject], self.subjects[number] = number, subject
            self.ends.pop(number, None)
            self.allowed[subject], self.audiences[subject] = set(), set()
            self.due_since.pop(subject, None)
        assert self.numbers[subject] == number

    def _note_audiences(self) -> None:
        """Whom each alert is to be told to now."""
        for subject in self.firing.values():
            audience = frozenset(self.telling.receivers(subject))
            self.allowed[subject] |= audience
            if not self.telling.is_muted(subject):
                self.allowed[subject] |= {name for one in self.telling.routes(subject) for name in one.receivers}
            if self.due_since.get(subject, (0, None))[1] != audience:
                self.due_since[subject] = self.now, audience
            if audience:
                self.audiences[subject].add(audience)
        routes = self.monitor.routing.routes
        if any(is_now(one, self.now) for route in routes for one in route.quiet_hours):
            self.loud_since = self.now

    def bound(self) -> int:
        """After how long at the latest people are told of what is to be told."""
        routes = self.monitor.routing.routes
        waits = max(route.group_wait_s + route.group_interval_s for route in routes)
        return int(self.monitor.settings.common_cause_wait_s) + waits + 2 * abs(self.now - self.last) + 5

    def _message(self, message: Message) -> None:
        assert message.key not in self.keys
        self.keys.add(message.key)
        assert message.at_ns == self.now * NS_PER_S
        lines = [] if message.kind == "blind" else [self._alert(one) for one in message.alerts]
        check_text(message, lines)
        if message.kind == "blind":
            long = [(start * NS_PER_S, end * NS_PER_S) for start, end in self.world.away if end - start >= 600]
            assert message.blind_ns == long[-1]
            assert (message.receiver, message.blind_ns) not in self.blind
            self.blind.add((message.receiver, message.blind_ns))
            return
        firing = [one.number for one in message.alerts if one.state == "firing"]
        ended = [one.number for one in message.alerts if one.state == "resolved"]
        assert message.firing + message.resolved - message.omitted == len(message.alerts) > 0
        if not message.omitted:
            assert (message.firing, message.resolved) == (len(firing), len(ended))
            assert message.severity == max((one.severity for one in message.alerts), key=RANKS.__getitem__)
        for one in message.alerts:
            facts = {**one.labels, "rule": one.rule, "severity": one.severity}
            assert {name: facts.get(name, "") for name in message.group} == message.group, (message.group, facts)
        self._cause(message)
        getattr(self, f"_{message.kind}")(message, firing, ended)
        if message.cause is not None:
            self.got_cause[message.receiver].add(message.cause.incident)

    def _alert(self, one: MessageAlert) -> str:
        """Check what is told of an alert. Returns: the line that its text must have."""
        subject = self.subjects[one.number]
        if one.state == "firing":
            truth, device = self.model.open[subject], subject[1]
            heard = self.world.heard[device] if subject[0] != "sites" else 0
        else:
            assert one.number not in self.firing
            truth, heard = self.ends[one.number]
        value = "" if one.value is None else f"{one.value:.6g}{' ' if one.unit else ''}{one.unit}"
        # Figures are stored only with what else changes, so that after a restart an older one may be shown.
        shown = {f"{figure:.6g}" if subject[0] == "hot" else f"{100 * figure:.6g} %" for figure in truth.values}
        assert value in shown if subject[0] != "offline" else value == ""
        assert (one.rule, one.subject, one.labels) == (
            subject[0],
            name_of(self.world, subject),
            labels_of(self.world, subject),
        )
        assert (one.severity, one.times, one.resolution) == (truth.severity, truth.times, truth.resolution)
        assert (one.since_ns, one.fired_at_ns, one.resolved_at_ns, one.last_received_ns) == (
            truth.since * NS_PER_S,
            truth.fired_at * NS_PER_S,
            truth.resolved_at * NS_PER_S,
            heard * NS_PER_S,
        )
        if one.state == "firing":
            assert bool(one.acknowledged_by) == self.telling.is_acknowledged(subject)
        if subject[0] == "hot" and one.state == "firing":
            summary = f"{one.subject} has {value} since {time_text(truth.since)}"
            assert one.annotations == {"summary": summary}, (one, truth, self.now)
        else:
            assert one.annotations == {}, "an annotation says what fires"
        return line_of(one, truth, heard, value)

    def _cause(self, message: Message) -> None:
        if message.cause is None:
            return
        cause = message.cause
        incident = self.incidents[cause.incident]
        having = self.world.having(**{cause.label: cause.value})
        members = [one for one in self.firing if self.member_of.get(one) == cause.incident]
        if not incident.ended_at_ns:
            assert cause.down == len([one for one in members if self.subjects[one][1] in having])
        assert cause.devices == len(having)
        for one in message.alerts:
            assert (one.rule, one.labels[cause.label]) == ("offline", cause.value)
        found = EXPLANATION.fullmatch(cause.explanation)
        assert found is not None, cause.explanation
        assert (found["label"], found["value"], int(found["devices"])) == (cause.label, cause.value, len(having))
        if incident.started_at_ns == message.at_ns:
            times = sorted(self.model.open[self.subjects[one]].since for one in members)
            count, seconds = int(found["down"]), int(found["seconds"])
            assert count >= 3
            assert 2 * count >= len(having)
            spans = [times[place + count - 1] - times[place] for place in range(len(times) - count + 1)]
            assert seconds in [max(1, span) for span in spans], (times, cause.explanation)
            if found["other"]:
                sharing = self.world.having(**{found["other"]: found["other_value"]})
                down = [one for one in members if self.subjects[one][1] in sharing]
                assert int(found["explains"]) <= min(count, len(down))
                assert found["wider"] is None or int(found["wider"]) == len(sharing) > len(having)

    def _firing(self, message: Message, firing: list[int], ended: list[int]) -> None:
        view, incident = self.views[message.receiver], message.cause.incident if message.cause else 0
        news = 0
        for number in firing:
            subject, known = self.subjects[number], view.get(number)
            is_left = known is not None and known.incident and known.incident != incident
            if known is not None and not is_left:
                continue
            if incident in self.got_cause[message.receiver] and self.member_of.get(number) == incident:
                view[number] = Knows(self.now, incident)  # covered by what was told of the incident
            if is_left and known is not None:
                over = self.incidents[known.incident]
                assert over.ended_at_ns or self.member_of[number] != known.incident
            is_covered = number in view and not is_left
            assert is_covered or not self.telling.is_muted(subject), (number, subject)
            assert message.receiver in self.allowed[subject]
            view[number] = Knows(self.now, incident)
            news += 1
        assert news or message.omitted or message.kind == "flapping", "nothing in it is new"
        self._ended(message, ended)

    def _flapping(self, message: Message, firing: list[int], ended: list[int]) -> None:
        assert any(self.model.open[self.subjects[number]].is_flapping for number in firing)
        self._firing(message, firing, ended)

    def _resolved(self, message: Message, firing: list[int], ended: list[int]) -> None:
        assert message.resolved
        assert all(number in self.views[message.receiver] or message.cause or self.is_brief for number in firing)
        self._ended(message, ended)

    def _ended(self, message: Message, ended: list[int]) -> None:
        view, incident = self.views[message.receiver], message.cause.incident if message.cause else 0
        for number in ended:
            is_covered = incident and self.member_of.get(number) == incident
            assert number in view or is_covered or self.is_brief, f"{message.receiver} did not know of {number}"
            view.pop(number, None)

    def _reminder(self, message: Message, firing: list[int], ended: list[int]) -> None:
        repeat = min(route.repeat_interval_s for route in self.monitor.routing.routes if route.repeat_interval_s)
        assert not ended
        for number in firing:
            subject = self.subjects[number]
            known = self.views[message.receiver].get(number)
            is_covered = message.cause is not None and self.member_of.get(number) == message.cause.incident
            assert known is not None or is_covered or self.is_brief
            assert known is None or self.now - known.at >= repeat or self.disturbed, (
                message.receiver,
                number,
                subject,
                known,
                repeat,
            )
            assert not self.telling.is_muted(subject)
            assert not self.telling.is_acknowledged(subject)

    def _escalation(self, message: Message, firing: list[int], ended: list[int]) -> None:
        routes = [route for route in self.monitor.routing.routes if len(route.escalation) >= message.escalation]
        step = next(
            one.escalation[message.escalation - 1]
            for one in routes
            if message.receiver in one.escalation[message.escalation - 1].receivers
        )
        assert not ended
        for number in firing:
            assert not self.telling.is_muted(self.subjects[number])
            assert not self.telling.is_acknowledged(self.subjects[number])
            knows = [view[number].at for view in self.views.values() if number in view]
            assert self.now - min(knows, default=0) >= step.after_s or self.disturbed
            incident = message.cause.incident if message.cause else 0
            self.views[message.receiver].setdefault(number, Knows(self.now, incident))

    def _nobody_is_missed(self) -> None:
        if self.is_brief:
            return
        for number, subject in self.firing.items():
            since, audience = self.due_since[subject]
            if not audience or self.now - since <= self.bound():
                continue
            incident = self.member_of.get(number, 0)
            knowing = {
                name
                for name, view in self.views.items()
                if number in view or (incident and incident in self.got_cause[name])
            }
            assert knowing, f"nobody knows of {subject} {number}, due since {since}, now {self.now}"
            if len(self.audiences[subject]) == 1:
                assert audience <= knowing, f"{audience - knowing} do not know of {subject} {number}"

    def _nothing_is_stuck(self) -> None:
        if self.is_brief:
            return
        for number, incident in self.incidents.items():
            members = [one for one in self.firing if self.member_of.get(one) == number]
            assert incident.ended_at_ns or members, f"incident {number} has no members"
        since = max(self.loud_since, self.disturbed)
        for name, view in self.views.items():
            for number, known in view.items():
                if number in self.firing or self.now - since <= self.bound():
                    continue
                over = self.incidents[known.incident].ended_at_ns // NS_PER_S if known.incident else 1
                ended = max(self.ends[number].alert.resolved_at, over)
                assert not over or self.now - ended <= self.bound(), f"{name} still believes that {number} fires"
