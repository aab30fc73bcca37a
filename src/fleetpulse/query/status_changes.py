"""What changed of the statuses of devices from one look to the next, for each scope that somebody watches.

Statuses are computed, not stored, so a change is found by comparing two looks at the whole fleet, as columns. A status
that begins and ends between two looks is not noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec.json import encode
from numpy.typing import NDArray

from fleetpulse.catalog.roster import Roster
from fleetpulse.model.access import Scope
from fleetpulse.model.status import DOWN, STATUSES, Status
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.feed_events import FeedChange, FeedCounts, FeedLabel, FeedOmitted, FeedTransition
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView

NOT_THERE = len(STATUSES)
"""The code of a device that is not registered, or not in the scope."""
LABELS_TOLD = 10
Event = tuple[str, bytes]
_NAMES: tuple[Status | None, ...] = (*STATUSES, None)


@dataclass(frozen=True, slots=True)
class Found:
    """What changed for one scope: the events, and the counts of now."""

    transitions: list[Event]
    counts: bytes
    are_counts_new: bool
    """Whether the counts are others than at the look before."""


class _Seen(NamedTuple):
    """A look at the fleet: statuses and since when, by device, and the ids."""

    codes: NDArray[np.int8]
    since_ns: NDArray[np.int64]
    ids: Sequence[str]
    now_ns: int


class StatusChanges:
    """Compares the fleet with what it was at the look before. Used by one thread at a time."""

    def __init__(self, *, told_max: int) -> None:
        """`told_max`: changes of a look and scope that are told one by one."""
        self._told_max = told_max
        self._codes: dict[str, NDArray[np.int8]] = {}
        """By channel: the code of each device at the last look, int8, shape (devices,)."""

    def look(self, view: FleetView, ids: Sequence[str], scopes: Mapping[str, Scope]) -> dict[str, Found]:
        """What changed, by channel. Args: scopes: by channel. At the first look for a channel nothing changes."""
        seen = _Seen(*fleet_status(view), ids, view.now_ns)
        found = {channel: self._of_scope(channel, view.roster.within(scope), seen) for channel, scope in scopes.items()}
        for channel in self._codes.keys() - scopes.keys():
            del self._codes[channel]
        return found

    def _of_scope(self, channel: str, roster: Roster, seen: "_Seen") -> Found:
        codes, since_ns, ids, now_ns = seen
        after = np.where(roster.registered()[: len(codes)], codes, np.int8(NOT_THERE))
        before = self._codes.get(channel)
        self._codes[channel] = after
        numbers = np.bincount(after, minlength=NOT_THERE + 1)[:NOT_THERE].tolist()
        at = format_rfc3339(now_ns)
        counts = encode(FeedCounts(sum(numbers), dict(zip(STATUSES, numbers, strict=True)), at))
        if before is None:
            return Found([], counts, are_counts_new=True)
        before = np.append(before, np.full(len(after) - len(before), NOT_THERE, np.int8))
        changed = np.flatnonzero(before != after)
        if not len(changed):
            return Found([], counts, are_counts_new=False)
        # Where not all can be told, those that went down and came back from it are told first.
        ranks = 2 - 2 * (after[changed] == DOWN) - (before[changed] == DOWN)
        changed = changed[np.argsort(ranks, kind="stable")]
        first, rest = changed[: self._told_max], changed[self._told_max :]
        events: list[Event] = []
        columns = (first, before[first], after[first], since_ns[first])
        for device, old, new, since in zip(*(column.tolist() for column in columns), strict=True):
            start = at if new == NOT_THERE else format_rfc3339(since) if since else None
            transition = FeedTransition(at, ids[device], _NAMES[old], _NAMES[new], start)
            events.append(("transition", encode(transition)))
        if len(rest):
            omitted = FeedOmitted(at, "transition", len(rest), _changes(before, after, rest), _labels(roster, rest))
            events.append(("omitted", encode(omitted)))
        return Found(events, counts, are_counts_new=True)


def _changes(before: NDArray[np.int8], after: NDArray[np.int8], devices: NDArray[np.int64]) -> list[FeedChange]:
    """How many of the devices changed in which way, the most first."""
    sizes = np.bincount(before[devices].astype(np.int64) * len(_NAMES) + after[devices], minlength=len(_NAMES) ** 2)
    kinds = sorted(np.flatnonzero(sizes).tolist(), key=lambda kind: -sizes[kind])
    return [FeedChange(_NAMES[kind // len(_NAMES)], _NAMES[kind % len(_NAMES)], int(sizes[kind])) for kind in kinds]


def _labels(roster: Roster, devices: NDArray[np.int64]) -> list[FeedLabel]:
    """The labels that most of the devices have."""
    found: list[FeedLabel] = []
    for name, column in roster.labels.items():
        sizes = np.bincount(column.codes[devices])
        sizes[0] = 0  # devices without it
        codes = np.argsort(-sizes, kind="stable")[:LABELS_TOLD].tolist()
        found += [FeedLabel(f"{name}:{column.values[code]}", int(sizes[code])) for code in codes if sizes[code]]
    return sorted(found, key=lambda one: -one.devices)[:LABELS_TOLD]
