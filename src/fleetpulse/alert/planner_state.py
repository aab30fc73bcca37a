"""What the planner remembers from one round to the next: who was told what, which messages wait, which incidents are.

It is stored in the transaction that stores the alerts and messages of a round, as JSON, so that after a crash nothing
is told twice and nothing is forgotten. Its sets of alerts are columns of numbers: see `numbers.py`.
"""

from typing import Any

import msgspec

from fleetpulse.alert.numbers import NO_NUMBERS, Numbers, common, from_runs, to_runs
from fleetpulse.model.message import MessageAlert


class Unanswered(msgspec.Struct, frozen=True):
    """Alerts of a group that were due to be told at the same time, and how many steps of the escalation are done."""

    due_ns: int
    steps: int
    numbers: Numbers


class Group(msgspec.Struct, kw_only=True):
    """Alerts that one route tells in one message.

    Attributes:
        by: names and values of the `group_by` of the route; empty for an incident.
        incident: the number of the incident that the group is about; 0: none.
        due_ns: not before this, the first message is due.
        last_ns: when the last message was decided that told what began or ended; 0: none was.
        last_of: by receiver, when the last message of any kind was decided.
        waiting: alerts that fire and of which nobody has been told yet.
        known: by receiver, the alerts of whose firing it was told, and not of their end.
        ended: those of the told alerts that have ended; `ended_alerts` are the first of them, as they were then.
        flapping: told alerts that turned out to be flapping, which is to be told.
    """

    route: str
    by: tuple[tuple[str, str], ...] = ()
    incident: int = 0
    due_ns: int = 0
    last_ns: int = 0
    last_of: dict[str, int] = {}
    waiting: Numbers = NO_NUMBERS
    known: dict[str, Numbers] = {}
    ended: Numbers = NO_NUMBERS
    ended_alerts: tuple[MessageAlert, ...] = ()
    flapping: Numbers = NO_NUMBERS
    unanswered: tuple[Unanswered, ...] = ()


class OpenIncident(msgspec.Struct, kw_only=True):
    """An incident that has not ended.

    Attributes:
        started_at_ns: when it was found.
        since_ns: when the first of its devices went down.
        returned_at_ns: when a member ended last; 0: none has.
        devices: how many devices had this label value when it was found.
        members: alerts that fire; `members_all` counts those, too, that have ended.
        silent_until_ns: alerts that join it before this are covered by its first message.
        left: members that went on to fire when it ended, each on its own.
        ended_at_ns: 0: it has not ended. It is remembered until everybody has been told of its end.
    """

    number: int
    rule: str
    label: str
    value: str
    started_at_ns: int
    since_ns: int
    explanation: str
    devices: int
    returned_at_ns: int = 0
    silent_until_ns: int = 0
    members: Numbers = NO_NUMBERS
    members_all: int = 0
    left: Numbers = NO_NUMBERS
    ended_at_ns: int = 0


class PlannerState(msgspec.Struct, kw_only=True):
    """The whole memory of the planner.

    Attributes:
        messages: how many were decided so far, so that each has a key of its own.
        last_incident: the number of the last incident that was found.
        next_due_ns: when something is to be done next, though nothing changes.
        released: alerts that fire and wait for a common cause no longer, since they are to be told on their own.
    """

    groups: dict[str, Group] = {}
    incidents: dict[int, OpenIncident] = {}
    messages: int = 0
    last_incident: int = 0
    next_due_ns: int = 0
    released: Numbers = NO_NUMBERS

    def known_by(self, group: Group, receiver: str) -> Numbers:
        """What a group has told a receiver: int64, shape (n,). Alerts that have left its incident are not among it."""
        known = group.known.get(receiver, NO_NUMBERS)
        if not group.incident:
            return known
        incident = self.incidents.get(group.incident)
        return common(known, incident.members) if incident is not None else NO_NUMBERS

    def is_over(self, group: Group) -> bool:
        """Whether the group is about an incident that has ended."""
        incident = self.incidents.get(group.incident)
        return incident is not None and bool(incident.ended_at_ns)

    def copy(self) -> "PlannerState":
        """A state that can be changed while this one stays as it is; columns are shared, since they never change."""
        groups = {
            key: msgspec.structs.replace(group, known=dict(group.known), last_of=dict(group.last_of))
            for key, group in self.groups.items()
        }
        incidents = {number: msgspec.structs.replace(one) for number, one in self.incidents.items()}
        return msgspec.structs.replace(self, groups=groups, incidents=incidents)

    def heed_clock(self, now_ns: int) -> None:
        """Have no time lie in the future, as after a clock was set back: else nobody would be told until it comes."""
        for group in self.groups.values():
            group.last_ns = min(group.last_ns, now_ns)
            group.last_of = {name: min(at_ns, now_ns) for name, at_ns in group.last_of.items()}
            late = [one for one in group.unanswered if one.due_ns > now_ns]
            if late:
                group.unanswered = tuple(
                    msgspec.structs.replace(one, due_ns=min(one.due_ns, now_ns)) for one in group.unanswered
                )
        for one in self.incidents.values():
            one.returned_at_ns = min(one.returned_at_ns, now_ns)
            one.since_ns = min(one.since_ns, now_ns)


def state_bytes(state: PlannerState) -> bytes:
    """The state as JSON."""
    return _ENCODER.encode(state)


def state_of(stored: bytes) -> PlannerState:
    """The state of which `state_bytes` made this. Raises: msgspec.ValidationError: it is none."""
    return _DECODER.decode(stored)


def _runs_of(value: Any) -> list[int]:
    return to_runs(value)


def _numbers_of(_type: Any, runs: Any) -> Numbers:
    return from_runs(runs)


_ENCODER = msgspec.json.Encoder(enc_hook=_runs_of)
_DECODER = msgspec.json.Decoder(PlannerState, dec_hook=_numbers_of)
