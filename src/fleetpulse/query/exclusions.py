"""Time that is nobody's downtime, for one device and for all: blind time, maintenance windows, pauses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.recurrence import occurrences
from fleetpulse.aggregate.spans import NO_SPANS, Spans, spans_of, union
from fleetpulse.aggregate.status import Exclusions
from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.maintenance import MaintenanceWindow

FOREVER_NS = 2**62
"""The end of a pause that goes on."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """Exclusions of all devices: a class a device, shape (count,), and what is excluded for each class."""

    classes: NDArray[np.int32]
    of_class: Sequence[Exclusions]

    def of(self, device: int) -> Exclusions:
        """What is excluded for one device."""
        return self.of_class[int(self.classes[device])]

    def by_class(self) -> list[tuple[NDArray[np.int64] | slice, Exclusions]]:
        """The devices of each class, by number, and what is excluded for them."""
        if len(self.of_class) == 1:
            return [(slice(None), self.of_class[0])]
        return [(np.flatnonzero(self.classes == code), exclusions) for code, exclusions in enumerate(self.of_class)]


def pause_spans(pauses: Sequence[Pause]) -> Spans:
    """The spans of the pauses of one device."""
    return spans_of((pause.start_ns, FOREVER_NS if pause.end_ns is None else pause.end_ns) for pause in pauses)


def is_meant(window: MaintenanceWindow, device_id: str, labels: Mapping[str, str]) -> bool:
    """Whether a maintenance window applies to a device."""
    has_labels = bool(window.labels) and all(labels.get(name) == value for name, value in window.labels.items())
    return window.is_for_all or device_id in window.devices or has_labels


def exclude(
    *,
    blind_ns: Sequence[tuple[int, int]],
    windows: Sequence[MaintenanceWindow],
    pauses: Mapping[int, Sequence[Pause]],
    roster: Roster,
    numbers: Mapping[str, int],
    start_ns: int,
    end_ns: int,
) -> Excluded:
    """What is excluded in [start_ns, end_ns), for every device.

    Devices to which the same windows apply are one class; a device that was ever paused is one of its own.
    """
    blind = spans_of(blind_ns)
    classes = np.zeros(roster.count, np.int32)
    of_class = [Exclusions(blind)]
    for window in windows:
        spans = spans_of(occurrences(window, start_ns=start_ns, end_ns=end_ns))
        if not len(spans):
            continue
        meant = _meant(window, roster, numbers)
        split: dict[int, int] = {}
        for code in np.unique(classes[meant]).tolist():
            split[code] = len(of_class)
            known = of_class[code]
            of_class.append(Exclusions(blind, union(known.maintenance, spans)))
        renumbered = np.arange(len(of_class), dtype=np.int32)
        renumbered[list(split)] = list(split.values())
        classes[meant] = renumbered[classes[meant]]
    for device, every in pauses.items():
        some = _since(every, start_ns)
        if some and device < roster.count:
            known = of_class[int(classes[device])]
            classes[device] = len(of_class)
            of_class.append(Exclusions(blind, known.maintenance, pause_spans(some)))
    return Excluded(classes, of_class)


def _meant(window: MaintenanceWindow, roster: Roster, numbers: Mapping[str, int]) -> NDArray[np.bool_]:
    if window.is_for_all:
        return roster.registered()
    meant = roster.with_labels(list(window.labels.items())) if window.labels else np.zeros(roster.count, bool)
    # Devices come and go meanwhile: who is new is not in this roster yet, and who is looked up may be gone at the next look.
    named = [numbers.get(device_id, roster.count) for device_id in window.devices]
    meant[[number for number in named if number < roster.count]] = True
    return meant


def exclude_one(
    *,
    device_id: str,
    labels: Mapping[str, str],
    blind_ns: Sequence[tuple[int, int]],
    windows: Sequence[MaintenanceWindow],
    pauses: Sequence[Pause],
    start_ns: int,
    end_ns: int,
) -> Exclusions:
    """What is excluded in [start_ns, end_ns) for one device."""
    meant = [window for window in windows if is_meant(window, device_id, labels)]
    maintenance = [spans_of(occurrences(window, start_ns=start_ns, end_ns=end_ns)) for window in meant]
    return Exclusions(spans_of(blind_ns), union(NO_SPANS, *maintenance), pause_spans(_since(pauses, start_ns)))


def _since(pauses: Sequence[Pause], start_ns: int) -> Sequence[Pause]:
    """The pauses that were not over yet: a device that was paused long ago needs no class of its own."""
    return [pause for pause in pauses if pause.end_ns is None or pause.end_ns > start_ns]
