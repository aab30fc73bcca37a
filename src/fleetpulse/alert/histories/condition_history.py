"""When the condition of each subject of a rule changed, and the condition at any moment, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.spans import Spans, after_uncovered
from fleetpulse.alert.condition import Condition
from fleetpulse.model.alert_rule import AlertRule

_NEVER_NS = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Changes of subjects by time: columns of shape (n,).

    Attributes:
        at_ns: int64, ascending; subjects: int64.
        is_on: bool: whether it is true (or withheld) from then on.
        since_ns: int64, since when, where that was before; values: float64.
    """

    at_ns: NDArray[np.int64]
    subjects: NDArray[np.int64]
    is_on: NDArray[np.bool_]
    since_ns: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at_ns)

    def dues_ns(self, for_ns: int, *, spans: Spans, also_at_once: NDArray[np.int64]) -> NDArray[np.int64]:
        """When subjects that turn true have been so for `for_ns` outside of spans: int64 ns, ascending, shape (m,).

        Those that turn false before are left out. Args: also_at_once: subjects of which that they turn true counts,
            too: int64, shape (k,).
        """
        order = np.lexsort((np.arange(len(self)), self.subjects))
        of, at_ns, is_on = self.subjects[order], self.at_ns[order], self.is_on[order]
        until_ns = np.append(at_ns[1:], _NEVER_NS)
        until_ns[np.append(of[1:] != of[:-1], True)[: len(of)]] = _NEVER_NS
        begun = np.flatnonzero(is_on)
        due_ns = after_uncovered(spans, at_ns[begun], np.full(len(begun), for_ns))
        lasting = due_ns[due_ns < until_ns[begun]] if for_ns else due_ns
        at_once = at_ns[begun][np.isin(of[begun], also_at_once)]
        return np.unique(np.concatenate([lasting, at_once]))

    @classmethod
    def of(
        cls,
        at_ns: NDArray[np.int64],
        subjects: NDArray[np.int64],
        is_on: NDArray[np.bool_],
        *,
        since_ns: NDArray[np.int64] | None = None,
        values: NDArray[np.float64] | None = None,
    ) -> "Events":
        """Events in any order; those of one time keep theirs. Args: shape (n,), dtypes as the attributes."""
        order = np.argsort(at_ns, kind="stable")
        since_ns = at_ns if since_ns is None else since_ns
        values = np.full(len(at_ns), np.nan) if values is None else values
        return cls(
            at_ns=at_ns[order],
            subjects=subjects[order],
            is_on=is_on[order],
            since_ns=since_ns[order],
            values=values[order],
        )


NO_TIMES = np.zeros(0, np.int64)
NO_EVENTS = Events.of(NO_TIMES, NO_TIMES, np.zeros(0, bool))


def spans_as_events(
    subjects: NDArray[np.int64], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64], *, from_ns: int
) -> Events:
    """Events of spans [start, end) in which something is on; those that began before `from_ns` are on from then on.

    Args: subjects: int64, as the others; shape (n,). A span that ends where another one begins goes on.
    """
    ended = Events.of(end_ns, subjects, np.zeros(len(end_ns), bool))
    begun_ns = np.maximum(start_ns, from_ns)
    # What ends comes first, so that a span that follows at once is on.
    return Events.of(
        np.concatenate([ended.at_ns, begun_ns]),
        np.concatenate([ended.subjects, subjects]),
        np.concatenate([ended.is_on, np.ones(len(subjects), bool)]),
        since_ns=np.concatenate([ended.at_ns, start_ns]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConditionHistory:
    """What a rule would have found.

    Attributes:
        truth: when the condition became true or false, whatever was withheld.
        withheld: when nothing could be said of a subject from then on, or something again.
        count: how many subjects there are at most: their numbers are below it.
        groups: names of subjects that are no devices.
        notes: what the answer must say of how it was found.
    """

    truth: Events
    withheld: Events = NO_EVENTS
    count: int
    groups: Sequence[str] | None = None
    notes: Sequence[str] = ()


_LOOKED_AT = 256
"""Events that are looked through at a time."""


class _Track:
    """Events that are played, one moment after another."""

    def __init__(self, events: Events, count: int) -> None:
        self._events = events
        self._next = 0
        self.is_on = np.zeros(count, bool)
        self.since_ns = np.zeros(count, np.int64)
        self.values = np.full(count, np.nan)

    def play(self, at_ns: int) -> None:
        """All events up to a time, that time included."""
        events, first = self._events, self._next
        self._next = end = int(np.searchsorted(events.at_ns, at_ns, side="right"))
        if first < end:
            # Of several events of a subject the last one stays.
            subjects = events.subjects[first:end]
            self.is_on[subjects] = events.is_on[first:end]
            self.since_ns[subjects] = events.since_ns[first:end]
            self.values[subjects] = events.values[first:end]

    @property
    def next_ns(self) -> int | None:
        """When the next event is."""
        return int(self._events.at_ns[self._next]) if self._next < len(self._events) else None

    def next_end_ns(self, has_alert: NDArray[np.bool_], *, before_ns: int | None) -> int | None:
        """When the first subject that has an alert turns false, if that is before a time."""
        events, first = self._events, self._next
        last = len(events) if before_ns is None else int(np.searchsorted(events.at_ns, before_ns))
        for start in range(first, last, _LOOKED_AT):
            stop = min(last, start + _LOOKED_AT)
            ends = np.flatnonzero(~events.is_on[start:stop] & has_alert[events.subjects[start:stop]])
            if len(ends):
                return int(events.at_ns[start + int(ends[0])])
        return None


@dataclass(eq=False)
class Player:
    """Plays a history in the order of time."""

    rule: AlertRule
    history: ConditionHistory
    _truth: _Track = field(init=False)
    _withheld: _Track = field(init=False)

    def __post_init__(self) -> None:
        self._truth = _Track(self.history.truth, self.history.count)
        self._withheld = _Track(self.history.withheld, self.history.count)

    def at(self, at_ns: int) -> Condition:
        """The condition at a time, no earlier than the one before."""
        self._truth.play(at_ns)
        self._withheld.play(at_ns)
        subjects = np.flatnonzero(self._truth.is_on & ~self._withheld.is_on)
        return Condition(
            rule=self.rule.name,
            at_ns=at_ns,
            subjects=subjects,
            since_ns=self._truth.since_ns[subjects],
            values=self._truth.values[subjects],
            withheld=np.flatnonzero(self._withheld.is_on),
            groups=self.history.groups,
        )

    def next_ns(self, at_ns: int, has_alert: NDArray[np.bool_], *, dues_ns: NDArray[np.int64]) -> int | None:
        """When a round can change anything next, after a time; None: never.

        Args:
            has_alert: of which subjects there is an alert, pending or firing; bool, shape (subjects,).
            dues_ns: when conditions that are true have been so for long enough; int64 ns, ascending, shape (n,).
        """
        place = int(np.searchsorted(dues_ns, at_ns, side="right"))
        times = [int(dues_ns[place])] if place < len(dues_ns) else []
        times += [one for one in (self._withheld.next_ns,) if one is not None]
        ended_ns = self._truth.next_end_ns(has_alert, before_ns=min(times, default=None))
        return min([*times, *([] if ended_ns is None else [ended_ns])], default=None)
