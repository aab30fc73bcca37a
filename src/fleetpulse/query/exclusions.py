"""Time that counts neither for nor against devices: blind time, maintenance windows, pauses; of one device or all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.class_spans import ClassClocks, concatenated
from fleetpulse.aggregate.recurrence import occurrences
from fleetpulse.aggregate.slot_runs import Kinds
from fleetpulse.aggregate.spans import NO_SPANS, Spans, spans_of, union
from fleetpulse.aggregate.status import Exclusions
from fleetpulse.catalog.catalog import Pause, Span
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.model.uptime import BLIND, DELETED, MAINTENANCE, PAUSED

FOREVER_NS = 2**62
"""The end of a pause that has none."""
LOOK_BACK_NS = 400 * NS_PER_DAY
"""How long before the start of a question exclusions are looked up, for a reception gap that began before it."""
NOT_IN_FORCE = -(2**62)
"""In the place of a time."""
DeclaredKind = Literal["maintenance", "paused", "deleted"]
_Pair = tuple[int, int]
"""The start and the end of a span, in ns."""
_Change = Callable[[Exclusions, Spans], Exclusions]


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
    _found: list[tuple[NDArray[np.int64], Spans]] = field(default_factory=list, init=False, compare=False)
    _clocks: list[ClassClocks] = field(default_factory=list, init=False, compare=False)
    _declared_clocks: list[ClassClocks] = field(default_factory=list, init=False, compare=False)
    _again: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=list, init=False, compare=False)

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

    def within(self, start_ns: NDArray[np.int64] | int, end_ns: int) -> "Excluded":
        """The same for [start_ns, end_ns), where most classes differ in nothing and so are one.

        Thousands of windows or pauses make thousands of classes, each of which costs a pass; few of them are about the
        time of a question.

        Args: start_ns: int64 ns, for all classes or, in shape (classes,), for each.
        """
        if len(self.of_class) == 1:
            return self
        codes, spans = self._declared()
        starts_ns = start_ns if isinstance(start_ns, int) else start_ns[codes]
        touching = np.unique(codes[(spans[:, 1] > starts_ns) & (spans[:, 0] < end_ns)])
        renumbered = np.zeros(len(self.of_class), np.int32)
        renumbered[touching] = np.arange(1, len(touching) + 1)
        plain = Exclusions(self.of_class[0].blind)
        return Excluded(renumbered[self.classes], [plain, *(self.of_class[code] for code in touching.tolist())])

    def clocks(self) -> ClassClocks:
        """The clocks of all classes, which stand still in what is excluded; made once for all questions."""
        if not self._clocks:
            self._clocks.append(ClassClocks.of(self.of_class[0].blind, *self._declared(), count=len(self.of_class)))
        return self._clocks[0]

    def declared_clocks(self) -> ClassClocks:
        """The clocks of all classes that stand still only in what people declared, and not in blind time."""
        if not self._declared_clocks:
            clocks = ClassClocks.of(NO_SPANS, *self._declared(), count=len(self.of_class))
            self._declared_clocks.append(clocks)
        return self._declared_clocks[0]

    def kinds(self, *, start_ns: int, end_ns: int) -> Kinds:
        """All spans by kind, with their classes; of blind time only what touches [start_ns, end_ns)."""
        blind = self.of_class[0].blind
        blind = blind[(blind[:, 1] > start_ns) & (blind[:, 0] < end_ns)]
        classes = np.arange(len(self.of_class))
        kinds = {BLIND: (np.repeat(classes, len(blind)), np.tile(blind, (len(classes), 1)))}
        for reason, name in ((MAINTENANCE, "maintenance"), (PAUSED, "paused"), (DELETED, "deleted")):
            edges, spans = concatenated([getattr(one, name) for one in self.of_class])
            kinds[reason] = np.repeat(classes, np.diff(edges)), spans
        return kinds

    def in_force_ns(self, kind: DeclaredKind, now_ns: int) -> NDArray[np.int64]:
        """When the span of a kind began that holds now, NOT_IN_FORCE where none does: int64, shape (classes,)."""
        edges, spans = concatenated([getattr(one, kind) for one in self.of_class])
        found = np.flatnonzero((spans[:, 0] <= now_ns) & (now_ns < spans[:, 1]))
        starts_ns = np.full(len(self.of_class), NOT_IN_FORCE)
        starts_ns[np.searchsorted(edges, found, side="right") - 1] = spans[found, 0]
        return starts_ns

    def declared_again_ns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(edges, times): when devices were declared again; those of class c are times[edges[c] : edges[c + 1]].

        Returns: int64, shape (classes + 1,), and int64 ns, shape (n,).
        """
        if not self._again:
            edges, deleted = concatenated([one.deleted for one in self.of_class])
            self._again.append((edges, deleted[:, 1]))
        return self._again[0]

    def _declared(self) -> tuple[NDArray[np.int64], Spans]:
        """(codes of classes, spans): all that is excluded beside blind time, found once for all questions."""
        if not self._found:
            kinds = [(one.maintenance, one.paused, one.deleted) for one in self.of_class]
            counts = [sum(map(len, kind)) for kind in kinds]
            spans = np.concatenate([part for kind in kinds for part in kind])
            self._found.append((np.repeat(np.arange(len(kinds)), counts), spans))
        return self._found[0]


NOTHING_EXCLUDED = Excluded(np.zeros(1, np.int32), [Exclusions()])
"""Of one device."""


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
    classes = _Classes(roster.count, spans_of(blind_ns))
    of_labels: dict[tuple[tuple[str, str], ...] | None, list[_Pair]] = {}
    of_device: dict[int, list[_Pair]] = {}
    for window in windows:
        check()
        found = occurrences(window, start_ns=start_ns, end_ns=end_ns)
        if not found:
            continue
        if window.is_for_all or window.labels:
            of_labels.setdefault(None if window.is_for_all else tuple(window.labels.items()), []).extend(found)
        for device_id in window.devices:
            # `numbers` changes while this thread reads it: a new device is not in this roster yet; and a device may be
            # deleted between two look-ups, so each id is looked up once.
            of_device.setdefault(numbers.get(device_id, roster.count), []).extend(found)
    for labels, spans in of_labels.items():
        check()
        members = np.ones(roster.count, bool)
        if labels is not None:
            members = roster.with_labels(labels, is_deleted_included=True)
        classes.add_maintenance(members, spans_of(spans))
    for device, spans in of_device.items():
        check()
        classes.divide(device, tuple(sorted(set(spans))), _with_maintenance)
    for device, every in pauses.items():
        check()
        paused = pause_spans(_since(every, start_ns))
        classes.divide(device, _pairs(paused), _with_pauses)
    for device, every_deletion in deletions.items():
        check()
        deleted = deletion_spans(every_deletion, start_ns=start_ns)
        classes.divide(device, _pairs(deleted), _with_deletions)
    return Excluded(classes.codes, classes.of_class)


class _Classes:
    """Classes of devices while they are divided by what is declared of them."""

    def __init__(self, count: int, blind: Spans) -> None:
        self.codes = np.zeros(count, np.int32)
        self.of_class = [Exclusions(blind)]
        self._parts: dict[tuple[int, tuple[_Pair, ...], _Change], int] = {}

    def add_maintenance(self, members: NDArray[np.bool_], spans: Spans) -> None:
        """Divide each class into members, under maintenance in the spans, and others."""
        codes = np.unique(self.codes[members])
        renumbered = np.arange(len(self.of_class), dtype=np.int32)
        renumbered[codes] = np.arange(len(codes)) + len(self.of_class)
        known = [self.of_class[code] for code in codes.tolist()]
        self.of_class += [replace(one, maintenance=union(one.maintenance, spans)) for one in known]
        self.codes[members] = renumbered[self.codes[members]]

    def divide(self, device: int, spans: tuple[_Pair, ...], change: _Change) -> None:
        """Change what is excluded for one device. Devices of a class with the same spans are a class again."""
        if not spans or device >= len(self.codes):
            return
        key = int(self.codes[device]), spans, change
        code = self._parts.get(key)
        if code is None:
            code = self._parts[key] = len(self.of_class)
            self.of_class.append(change(self.of_class[key[0]], spans_of(spans)))
        self.codes[device] = code


def _pairs(spans: Spans) -> tuple[_Pair, ...]:
    return tuple((start_ns, end_ns) for start_ns, end_ns in spans.tolist())


def _with_maintenance(known: Exclusions, spans: Spans) -> Exclusions:
    return replace(known, maintenance=union(known.maintenance, spans))


def _with_pauses(known: Exclusions, spans: Spans) -> Exclusions:
    return replace(known, paused=spans)


def _with_deletions(known: Exclusions, spans: Spans) -> Exclusions:
    return replace(known, deleted=spans)


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
