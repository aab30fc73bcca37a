"""Time that counts neither for nor against devices: blind time, maintenance windows, pauses; of one device or all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.recurrence import occurrences
from fleetpulse.aggregate.spans import NO_SPANS, Spans, spans_of, union
from fleetpulse.aggregate.status import Exclusions
from fleetpulse.catalog.catalog import Pause, Span
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.units import NS_PER_DAY

FOREVER_NS = 2**62
"""The end of a pause that has none."""
LOOK_BACK_NS = 400 * NS_PER_DAY
"""How long before the start of a question exclusions are looked up, for a reception gap that began before it."""
CACHED_MAX = 8
"""Exclusions of the whole fleet that are kept for the next questions."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """What people declared of devices, at one moment."""

    roster: Roster
    numbers: Mapping[str, int]
    """Device numbers by id. The registry's own: devices may come and go meanwhile."""
    windows: Sequence[MaintenanceWindow]
    pauses: Mapping[int, Sequence[Pause]]
    """By device number."""
    deletions: Mapping[int, Sequence[Span]]
    """When devices were deleted, by number."""
    version: int
    """Changes with windows and pauses; the roster has a version of its own."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """Exclusions of devices: the class of each, int32, shape (n,), and what is excluded for each class."""

    classes: NDArray[np.int32]
    of_class: Sequence[Exclusions]

    def of(self, place: int) -> Exclusions:
        """What is excluded for the device at a place."""
        return self.of_class[int(self.classes[place])]

    def by_class(self) -> list[tuple[NDArray[np.int64] | slice, Exclusions]]:
        """The places of the devices of each class, int64, shape (members,), and what is excluded for them."""
        if len(self.of_class) == 1:
            return [(slice(None), self.of_class[0])]
        order = np.argsort(self.classes, kind="stable")
        edges = np.searchsorted(self.classes[order], np.arange(len(self.of_class) + 1))
        return [(order[edges[code] : edges[code + 1]], exclusions) for code, exclusions in enumerate(self.of_class)]


NOTHING_EXCLUDED = Excluded(np.zeros(1, np.int32), [Exclusions()])
"""Of one device."""


class FleetExclusions:
    """The exclusions of the whole fleet, cached: many questions in a row need the same."""

    def __init__(self) -> None:
        self._cached: dict[tuple[object, ...], Excluded] = {}

    def find(
        self,
        declared: Declarations,
        blind_ns: Sequence[tuple[int, int]],
        *,
        start_ns: int,
        now_ns: int,
        check: Callable[[], None] = lambda: None,
    ) -> Excluded:
        """What is excluded for every device in a question from `start_ns` until now; `check` may stop the question.

        In a large fleet some device always has a gap that began long before `start_ns`; exclusions are therefore looked
        up from LOOK_BACK_NS earlier. They are looked up by whole days, so that questions in a row share them.
        """
        span = (start_ns - LOOK_BACK_NS) // NS_PER_DAY * NS_PER_DAY, (now_ns // NS_PER_DAY + 2) * NS_PER_DAY
        key = (declared.version, declared.roster.version, len(blind_ns), tuple(blind_ns[-1:]), span)
        excluded = self._cached.get(key)
        if excluded is None:
            excluded = exclude(
                blind_ns=blind_ns,
                windows=declared.windows,
                pauses=declared.pauses,
                deletions=declared.deletions,
                roster=declared.roster,
                numbers=declared.numbers,
                start_ns=span[0],
                end_ns=span[1],
                check=check,
            )
            while len(self._cached) >= CACHED_MAX:
                self._cached.pop(next(iter(self._cached)), None)
            self._cached[key] = excluded
        return excluded


def pause_spans(pauses: Sequence[Pause]) -> Spans:
    """The spans of the pauses of one device."""
    return spans_of((pause.start_ns, FOREVER_NS if pause.end_ns is None else pause.end_ns) for pause in pauses)


def deletion_spans(deletions: Sequence[Span], *, start_ns: int) -> Spans:
    """The spans in which a device was deleted, of those that end after a time; others need no class."""
    spans = [(at_ns, FOREVER_NS if end_ns is None else end_ns) for at_ns, end_ns in deletions]
    return spans_of(span for span in spans if span[1] > start_ns)


def applies_to(window: MaintenanceWindow, device_id: str, labels: Mapping[str, str]) -> bool:
    """Whether a maintenance window applies to a device."""
    has_labels = bool(window.labels) and all(labels.get(name) == value for name, value in window.labels.items())
    return window.is_for_all or device_id in window.devices or has_labels


def exclude(
    *,
    blind_ns: Sequence[tuple[int, int]],
    windows: Sequence[MaintenanceWindow],
    pauses: Mapping[int, Sequence[Pause]],
    deletions: Mapping[int, Sequence[Span]],
    roster: Roster,
    numbers: Mapping[str, int],
    start_ns: int,
    end_ns: int,
    check: Callable[[], None] = lambda: None,
) -> Excluded:
    """What is excluded in [start_ns, end_ns) for every device of the roster.

    Devices to which the same windows apply are one class; a device that is paused or deleted in it has a class of its
    own. `check` is called between windows and between devices.
    """
    blind = spans_of(blind_ns)
    classes = np.zeros(roster.count, np.int32)
    of_class = [Exclusions(blind)]
    for window in windows:
        check()
        spans = spans_of(occurrences(window, start_ns=start_ns, end_ns=end_ns))
        if not len(spans):
            continue
        members = _members(window, roster, numbers)
        split: dict[int, int] = {}
        for code in np.unique(classes[members]).tolist():
            split[code] = len(of_class)
            known = of_class[code]
            of_class.append(Exclusions(blind, union(known.maintenance, spans)))
        renumbered = np.arange(len(of_class), dtype=np.int32)
        renumbered[list(split)] = list(split.values())
        classes[members] = renumbered[classes[members]]
    for device, every in pauses.items():
        check()
        pauses_since = _since(every, start_ns)
        if pauses_since and device < roster.count:
            known = of_class[int(classes[device])]
            classes[device] = len(of_class)
            of_class.append(Exclusions(blind, known.maintenance, pause_spans(pauses_since)))
    for device, every_deletion in deletions.items():
        check()
        deleted = deletion_spans(every_deletion, start_ns=start_ns)
        if len(deleted) and device < roster.count:
            known = of_class[int(classes[device])]
            classes[device] = len(of_class)
            of_class.append(replace(known, deleted=deleted))
    return Excluded(classes, of_class)


def _members(window: MaintenanceWindow, roster: Roster, numbers: Mapping[str, int]) -> NDArray[np.bool_]:
    if window.is_for_all:
        return np.ones(roster.count, bool)
    labels = list(window.labels.items())
    members = roster.with_labels(labels, is_deleted_included=True) if window.labels else np.zeros(roster.count, bool)
    # `numbers` changes while this thread reads it: a new device is not in this roster yet; and a device may be deleted
    # between two look-ups, so each id is looked up once.
    named = [numbers.get(device_id, roster.count) for device_id in window.devices]
    members[[number for number in named if number < roster.count]] = True
    return members


def exclude_device(
    declared: Declarations,
    blind_ns: Sequence[tuple[int, int]],
    device_id: str,
    device: int,
    *,
    start_ns: int,
    now_ns: int,
) -> Excluded:
    """What is excluded for one device from `start_ns` until now."""
    exclusions = exclude_one(
        device_id=device_id,
        labels=declared.roster.labels_of(device),
        blind_ns=blind_ns,
        windows=declared.windows,
        pauses=declared.pauses.get(device, ()),
        deletions=declared.deletions.get(device, ()),
        start_ns=start_ns,
        end_ns=now_ns + NS_PER_DAY,
    )
    return Excluded(np.zeros(1, np.int32), [exclusions])


def exclude_one(
    *,
    device_id: str,
    labels: Mapping[str, str],
    blind_ns: Sequence[tuple[int, int]],
    windows: Sequence[MaintenanceWindow],
    pauses: Sequence[Pause],
    deletions: Sequence[Span] = (),
    start_ns: int,
    end_ns: int,
) -> Exclusions:
    """What is excluded in [start_ns, end_ns) for one device."""
    maintenance = [
        spans_of(occurrences(window, start_ns=start_ns, end_ns=end_ns))
        for window in windows
        if applies_to(window, device_id, labels)
    ]
    return Exclusions(
        spans_of(blind_ns),
        union(NO_SPANS, *maintenance),
        pause_spans(_since(pauses, start_ns)),
        deletion_spans(deletions, start_ns=start_ns),
    )


def _since(pauses: Sequence[Pause], start_ns: int) -> Sequence[Pause]:
    """The pauses that end after `start_ns`: a device that was paused long before needs no class of its own."""
    return [pause for pause in pauses if pause.end_ns is None or pause.end_ns > start_ns]
