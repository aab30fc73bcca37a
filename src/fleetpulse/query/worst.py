"""The devices that were up least: worst N, and all below a promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.uptime import is_below, percent
from fleetpulse.model.uptime import FORMULA, Measure
from fleetpulse.notation.exact_seconds import exact_seconds
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_gaps import corrected_notes
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.fleet_columns import DeviceTime, fleet_columns, selected
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.uptime import resolution_of
from fleetpulse.query.uptime_answers import WorstDevice, WorstDevices
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window


@dataclass(frozen=True, slots=True)
class WorstQuestion:
    """Which devices are meant, and how many of them are listed: the lowest, or all below `below` per cent."""

    labels: Sequence[tuple[str, str]]
    measure: Measure
    limit: int
    below: float | None = None
    is_deleted_included: bool = False


class DeviceTotal(NamedTuple):
    """The number of a device, and its time in ns: up, and accountable."""

    number: int
    up_ns: int
    accountable_ns: int

    def named(self, device_id: str) -> WorstDevice:
        """The device as an answer gives it."""
        return WorstDevice(
            id=device_id,
            uptime=percent(self.up_ns, self.accountable_ns),
            up_s=exact_seconds(self.up_ns),
            accountable_s=exact_seconds(self.accountable_ns),
        )


def worst_of(
    time: DeviceTime | None, selection: NDArray[np.bool_], *, limit: int, below: float | None = None
) -> list[DeviceTotal]:
    """The devices with the lowest uptime, the lowest first and equal ones by number; none where it is not known.

    Args: selection: bool, shape (n,): which devices. below: only those below this uptime, in per cent.
    """
    return [] if time is None else _lowest(time, *_shares(time, selection, below), limit=limit)


def _lowest(
    time: DeviceTime, numbers: NDArray[np.int64], shares: NDArray[np.float64], *, limit: int
) -> list[DeviceTotal]:
    if len(numbers) > limit:
        bound = np.partition(shares, limit)[limit]
        near = np.flatnonzero(shares <= bound)
        numbers, shares = numbers[near], shares[near]
    worst = numbers[np.lexsort((numbers, shares))[:limit]].tolist()
    accountable_ns, down_ns = time.accountable_ns[worst].tolist(), time.down_ns[worst].tolist()
    return [
        DeviceTotal(number, counted_ns - lost_ns, counted_ns)
        for number, counted_ns, lost_ns in zip(worst, accountable_ns, down_ns, strict=True)
    ]


def _shares(
    time: DeviceTime, selection: NDArray[np.bool_], below: float | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The numbers of devices of which time counts, and the shares of it that are up."""
    numbers = np.flatnonzero(selection & (time.accountable_ns > 0))
    counted_ns = time.accountable_ns[numbers]
    shares = (counted_ns - time.down_ns[numbers]) / counted_ns
    if below is not None:
        chosen = is_below(counted_ns - time.down_ns[numbers], counted_ns, below)
        numbers, shares = numbers[chosen], shares[chosen]
    return numbers, shares


@dataclass(slots=True)
class FoundWorst:
    """What the columns of the fleet give for `worst_devices`."""

    devices: list[DeviceTotal]
    total: int
    resolution: dict[str, Any]
    declarations: DeclarationsUsed
    missing: list[Missing]
    notes: list[str]


def find_worst(view: FleetView, window: Window, question: WorstQuestion) -> FoundWorst:
    """The devices with all labels of the question that were up least by its measure."""
    measure, labels = question.measure, question.labels
    columns = fleet_columns(view, start_ns=window.start_ns, end_ns=window.end_ns, measures=[measure])
    selection = selected(view, columns, labels=labels, is_deleted_included=question.is_deleted_included)
    time = columns.time.get(measure)
    shares = None if time is None else _shares(time, selection, question.below)
    return FoundWorst(
        devices=[] if time is None or shares is None else _lowest(time, *shares, limit=question.limit),
        total=0 if shares is None else len(shares[0]),
        resolution=resolution_of(view, window) if measure == "settled" else {},
        declarations=declarations_used(view.declared, window, devices=int(selection.sum())),
        missing=columns.missing,
        notes=[
            *selection_notes(view.roster, labels),
            *corrected_notes(view, start_ns=window.start_ns, end_ns=window.end_ns),
        ],
    )


def worst_devices(window: Window, found: FoundWorst, *, measure: Measure, ids: Mapping[int, str]) -> WorstDevices:
    """The answer. Args: ids: of the devices, by number."""
    return WorstDevices(
        start=window.start,
        end=window.end,
        formula=FORMULA,
        **found.resolution,
        on=measure,
        total=found.total,
        devices=[one.named(ids[one.number]) for one in found.devices],
        declarations=found.declarations,
        missing=found.missing,
        notes=[*window.notes, *found.notes],
    )
