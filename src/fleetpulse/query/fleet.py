"""Uptime, availability and status of all devices together: by the values of a label, and at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from fleetpulse.errors import OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.metric import UPLOAD_TIME, Aggregation, MetricDefinition
from fleetpulse.model.status import STATUSES
from fleetpulse.model.uptime import FORMULA, SLOT_FORMULA
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import DeclarationsUsed, UploadTimes
from fleetpulse.query.answers import DevicesByStatus, Missing
from fleetpulse.query.beat_gaps import corrected_notes
from fleetpulse.query.budget import hold_answer
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.fleet_columns import fleet_columns, fleet_columns_by_step, selected
from fleetpulse.query.groups import Groups
from fleetpulse.query.limits import check_cells
from fleetpulse.query.metric_notes import buckets_note, expired_samples
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.missing import distinct
from fleetpulse.query.notes import ahead_notes, selection_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.slot_uptime import NOTE, group_slot_figures
from fleetpulse.query.slots import count_slots, count_slots_by_step
from fleetpulse.query.status import fleet_status
from fleetpulse.query.uptime import resolution_of
from fleetpulse.query.uptime_answers import FleetGroup, FleetPoint, FleetStats, FleetUptime, GroupFigures, UptimeFigures
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from fleetpulse.query.worst import DeviceTotal, worst_of

Labels = Sequence[tuple[str, str]]
WORST_MAX = 10
LIMITS = QuestionLimits()
"""Unless configured otherwise."""
PERCENTILES: tuple[Aggregation, ...] = ("p50", "p95", "p99")
_UPLOAD_AGGREGATIONS: tuple[Aggregation, ...] = ("sum", *PERCENTILES)


def fleet_uptime(
    view: FleetView,
    window: Window,
    *,
    by: str,
    labels: Labels,
    is_deleted_included: bool = False,
    formula: str = FORMULA,
    is_mean_wanted: bool = False,
    limits: QuestionLimits = LIMITS,
) -> FleetUptime:
    """Uptime and availability of the devices with all of `labels`, by the values of label `by` ("": of all together).

    Args: formula: FORMULA or SLOT_FORMULA.
    Raises: OutOfRange: too many groups, or figures, or a mean of slots; QuestionStopped, TooDear, Busy: see `Budget`.
    """
    is_of_slots = formula == SLOT_FORMULA
    _check_mean(formula, is_mean_wanted=is_mean_wanted)
    columns = fleet_columns(view, start_ns=window.start_ns, end_ns=window.end_ns, are_gaps_wanted=not is_of_slots)
    selection = selected(view, columns, labels=labels, is_deleted_included=is_deleted_included)
    groups = Groups.of(view.roster, by, selection)
    if len(groups) > limits.groups_max:
        raise OutOfRange(
            f"label {by[:100]} has {len(groups)} values here, more than {limits.groups_max} (groups_max): "
            "group by another, or filter by `label`",
            reason="groups",
        )
    *by_group, together = columns.figures_by_group(groups)
    missing, notes = columns.missing, [*window.notes, *selection_notes(view.roster, labels, by=by)]
    notes += corrected_notes(view, start_ns=window.start_ns, end_ns=window.end_ns)
    if is_mean_wanted:
        for figures, mean in zip([*by_group, together], columns.mean_uptimes(groups), strict=True):
            figures["mean_uptime"] = mean
    if is_of_slots:
        slots = count_slots(view, replace(window, step_ns=None, edges_ns=None))
        for figures, more in zip([*by_group, together], group_slot_figures(slots, 0, groups), strict=True):
            figures.update(more)
        missing, notes = distinct([*missing, *slots.missing]), [*notes, NOTE]
    answer = FleetUptime(
        start=window.start,
        end=window.end,
        step_s=window.step_s,
        timezone=window.timezone,
        formula=formula,
        **({} if is_of_slots else resolution_of(view, window)),
        group_by=by or None,
        fleet=GroupFigures(devices=sum(groups.sizes), **together),
        groups=[
            FleetGroup(group=name, devices=size, series=UNSET if window.step_ns is None else [], **group)
            for name, size, group in zip(groups.names, groups.sizes, by_group, strict=True)
        ],
        declarations=declarations_used(view.declared, window, devices=sum(groups.sizes)),
        missing=missing,
        notes=notes,
    )
    if window.step_ns is not None:
        check_steps(window, groups=len(groups), limits=limits)
        hold_answer(view.budget, window.buckets * len(groups))
        _add_series(answer, view, window, by=by, labels=labels, is_deleted_included=is_deleted_included)
    return answer


def _check_mean(formula: str, *, is_mean_wanted: bool) -> None:
    if formula == SLOT_FORMULA and is_mean_wanted:
        raise OutOfRange(f"the mean is one of {FORMULA}: leave out `mean`, or `formula`", reason="formula")


def check_steps(window: Window, *, groups: int, limits: QuestionLimits) -> None:
    """Raises: OutOfRange: a series of the whole fleet in the steps of a window would be too long."""
    if window.buckets > limits.fleet_steps_max:
        raise OutOfRange(
            f"{window.buckets} steps are more than {limits.fleet_steps_max} for the whole fleet (fleet_steps_max): "
            "ask for a longer step",
            reason="cells",
        )
    check_cells(window.buckets * max(1, groups), "figures", cells_max=limits.cells_max)


def _add_series(
    answer: FleetUptime, view: FleetView, window: Window, *, by: str, labels: Labels, is_deleted_included: bool
) -> None:
    """Add a point for each step to the series of every group; only `at` where a group has no device in it."""
    slots = count_slots_by_step(view, window) if answer.formula == SLOT_FORMULA else None
    for step, columns in enumerate(fleet_columns_by_step(view, window)):
        view.budget.check()
        selection = selected(view, columns, labels=labels, is_deleted_included=is_deleted_included)
        groups = Groups.of(view.roster, by, selection)
        by_group = columns.figures_by_group(groups)
        if slots is not None:
            by_group = [one | more for one, more in zip(by_group, group_slot_figures(slots, step, groups), strict=True)]
        figures_of = dict(zip(groups.names, by_group, strict=False))
        for group in answer.groups:
            point = FleetPoint(at=format_rfc3339(window.bucket_start_ns(step)))
            for name, value in figures_of.get(group.group, {}).items():
                setattr(point, name, value)
            assert group.series is not UNSET
            group.series.append(point)


@dataclass(slots=True)
class FleetGlance:
    """What the columns of the fleet give for `fleet_stats`.

    `selection`: bool, shape (n,): the devices that it is about.
    """

    selection: NDArray[np.bool_]
    devices: DevicesByStatus
    uptime: UptimeFigures
    worst: list[DeviceTotal]
    resolution: dict[str, Any]
    declarations: DeclarationsUsed
    missing: list[Missing]
    notes: list[str]


def fleet_glance(view: FleetView, window: Window, *, labels: Labels, is_deleted_included: bool = False) -> FleetGlance:
    """Devices by status now, uptime, and the devices that were up least, of those with all of `labels`."""
    columns = fleet_columns(view, start_ns=window.start_ns, end_ns=window.end_ns, are_gaps_wanted=True)
    selection = selected(view, columns, labels=labels, is_deleted_included=is_deleted_included)
    codes, _ = fleet_status(view)
    by_status = np.bincount(codes[selection], minlength=len(STATUSES)).tolist()
    return FleetGlance(
        selection=selection,
        devices=DevicesByStatus(int(selection.sum()), dict(zip(STATUSES, by_status, strict=True))),
        uptime=UptimeFigures(**columns.figures_by_group(Groups.of(view.roster, "", selection))[-1]),
        worst=worst_of(columns.time.get("settled"), selection, limit=WORST_MAX),
        resolution=resolution_of(view, window),
        declarations=declarations_used(view.declared, window, devices=int(selection.sum())),
        missing=columns.missing,
        notes=[
            *selection_notes(view.roster, labels),
            *corrected_notes(view, start_ns=window.start_ns, end_ns=window.end_ns),
        ],
    )


@dataclass(slots=True)
class Uploads:
    """The upload times of devices, the spans that they lack, and notes."""

    times: UploadTimes
    missing: list[Missing]
    notes: list[str]


def upload_times(samples: Samples, metric: MetricDefinition, window: Window, selection: NDArray[np.bool_]) -> Uploads:
    """Average and percentiles of the upload times of a window.

    The average is the floor of the exact sum over the count, as in the lifetime figures of a device.

    Args: selection: whose, bool, shape (devices,), by device number.
    """
    devices = DeviceSelection(None, np.where(selection, 0, -1).astype(np.int32), 1)
    results = {
        name: find(samples, number=UPLOAD_TIME, metric=metric, aggregation=name, selection=devices, window=window)
        for name in _UPLOAD_AGGREGATIONS
    }
    total, last = results["sum"].values[0], results[PERCENTILES[-1]]
    values: dict[str, Any] = {"avg": None if total is None else int(total) // results["sum"].counts[0]}
    values |= {name: results[name].values[0] for name in PERCENTILES}
    values |= {f"{name}_text": None if value is None else format_duration(int(value)) for name, value in values.items()}
    notes = ahead_notes(samples, [(UPLOAD_TIME, metric)], window, codes=devices.codes)
    expired = expired_samples(samples.manifest.expired, UPLOAD_TIME, window)
    notes += [f"upload_time: {buckets_note(result, window)}" for result in [results["sum"]] if result.coarse]
    notes += [] if expired is None else [f"upload_time: {expired.note}"]
    missing = distinct([span for result in results.values() for span in result.missing])
    return Uploads(UploadTimes(unit="ns", count=last.counts[0], **values), missing, notes)


def fleet_stats(window: Window, glance: FleetGlance, uploads: Uploads, *, ids: Mapping[int, str]) -> FleetStats:
    """The fleet at a glance. Args: ids: of the worst devices, by number."""
    return FleetStats(
        start=window.start,
        end=window.end,
        formula=FORMULA,
        **glance.resolution,
        devices=glance.devices,
        uptime=glance.uptime,
        worst=[one.named(ids[one.number]) for one in glance.worst],
        upload_time=uploads.times,
        declarations=glance.declarations,
        missing=distinct([*glance.missing, *uploads.missing]),
        notes=[*window.notes, *glance.notes, *uploads.notes],
    )
