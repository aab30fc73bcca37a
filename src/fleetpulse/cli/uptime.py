"""`fleetpulse uptime`: of a device, and of the fleet by the values of a label; each percentage with its fraction."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET, UnsetType

from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import (
    DeviceId,
    Grouping,
    IncludeDeleted,
    Labels,
    Service,
    StepWindow,
    Whole,
    Window,
    action,
    label_query,
)
from fleetpulse.cli.tables import (
    Part,
    known,
    left,
    percent_cell,
    right,
    seconds_cell,
    sparkline,
    step_values,
    table_of,
    time_cell,
)
from fleetpulse.model.uptime import FORMULA, SLOT_FORMULA
from fleetpulse.notation.count import count_text
from fleetpulse.query.answers import Missing
from fleetpulse.query.uptime_answers import (
    FleetPoint,
    FleetUptime,
    GroupFigures,
    Uptime,
    UptimeFigures,
    UptimePoint,
    WorstDevices,
)

FIGURES = ("uptime %", "up", "accountable", "observed %", "availability %", "down")
FORMULAS = f"By which formula: {FORMULA} (the default), or uptime/1, by slots of minutes, for one more release."
SHARES = {"settled": "uptime %", "observed": "observed %", "availability": "availability %"}
"""The title of the share by each measure."""
SLOT_FIGURES = ("uptime %", "present", "expected", *FIGURES[3:])
Formula = Annotated[str | None, Parameter(help=FORMULAS)]
app = App(name="uptime")


@action(app, "fleetpulse uptime device 60-6b-44-84-dc-64 --window 30d --explain")
def device(
    device: DeviceId,
    /,
    *,
    window: StepWindow = StepWindow(),
    explain: bool = False,
    formula: Formula = None,
    include_deleted: IncludeDeleted = False,
    service: Service = Service(),
) -> None:
    """Show uptime and availability of one device.

    Args:
        explain: List the intervals of the window, each with the reason why it counts as it does.
    """
    query = [*window.query(), ("explain", explain or None), ("include_deleted", include_deleted or None)]
    query.append(("formula", formula))
    service.ask(
        f"/api/v1/devices/{segment(device)}/uptime", query, shape=Uptime, parts=device_parts, csv_parts=device_rows
    )


def device_rows(uptime: Uptime) -> list[Part]:
    """The tables of `device_parts`, after one of the figures."""
    titles = SLOT_FIGURES if uptime.formula == SLOT_FORMULA else FIGURES
    columns = [left("device"), *(right(title) for title in titles)]
    return [table_of(columns, [[uptime.device_id, *figure_cells(uptime)]]), *device_parts(uptime)]


def device_parts(uptime: Uptime) -> list[Part]:
    """The figures in words, the series and the intervals where there are any, and what is missing."""
    parts: list[Part] = [
        f"{uptime.device_id}, {time_cell(uptime.start)} to {time_cell(uptime.end)}: {figures_text(uptime)}"
    ]
    if uptime.series is not UNSET and uptime.step_s is not UNSET:
        parts += _series_parts([("", uptime.series)], uptime, uptime.step_s, by="")
    if uptime.intervals is not UNSET:
        rows = [
            [time_cell(span.start), time_cell(span.end), span.reason, str(span.seconds)] for span in uptime.intervals
        ]
        parts.append(table_of([left("from"), left("to"), left("reason"), right("seconds")], rows))
        if known(uptime.capped):
            parts.append(f"There are more intervals: ask again with --from {uptime.intervals[-1].end}.")
    return [*parts, *resolution_lines(uptime.exact_from), *missing_lines(uptime.missing)]


@action(app, "fleetpulse uptime fleet --group-by site --window 30d")
def fleet(
    *,
    grouping: Grouping = Grouping(),
    window: StepWindow = StepWindow(),
    mean: bool = False,
    formula: Formula = None,
    service: Service = Service(),
) -> None:
    """Show uptime and availability of all devices together, and with --group-by of each value of a label.

    Args:
        mean: Show the mean of the devices' uptimes too.
    """
    query = [*grouping.query(), *window.query(), ("mean", mean or None), ("formula", formula)]
    service.ask("/api/v1/fleet/uptime", query, shape=FleetUptime, parts=fleet_parts)


@action(app, "fleetpulse uptime worst --window 30d --limit 20 --below 99.9")
def worst(
    *,
    label: Labels = (),
    window: Window = Window(),
    on: Annotated[str | None, Parameter(metavar="MEASURE")] = None,
    below: Annotated[str | None, Parameter(metavar="PERCENT")] = None,
    limit: Whole = 20,
    include_deleted: IncludeDeleted = False,
    service: Service = Service(),
) -> None:
    """Show the devices that were up least, the lowest first.

    Args:
        label: Only devices with this label; may be repeated.
        on: settled (the default), observed, or availability.
        below: Only devices below this promise, in per cent.
        limit: How many devices at most.
    """
    query = [*label_query(label), *window.query(), ("on", on), ("below", below), ("limit", str(limit))]
    query.append(("include_deleted", include_deleted or None))
    service.ask("/api/v1/fleet/worst", query, shape=WorstDevices, parts=worst_parts)


def worst_parts(worst: WorstDevices) -> list[Part]:
    """A table of the devices, and what is missing."""
    rows = [
        [one.device_id, percent_cell(one.uptime), seconds_cell(one.up_s), seconds_cell(one.accountable_s)]
        for one in worst.devices
    ]
    columns = [left("device"), right(SHARES.get(worst.on, "uptime %"))]
    columns += [right("up"), right("accountable")]
    text = f"{time_cell(worst.start)} to {time_cell(worst.end)}, {worst.on}, formula {worst.formula}"
    listed = f"{len(worst.devices)} of {count_text(worst.total, 'device')}"
    missing = [*resolution_lines(worst.exact_from), *missing_lines(worst.missing)]
    return [f"{text}: {listed}", table_of(columns, rows), *missing]


def fleet_parts(uptime: FleetUptime) -> list[Part]:
    """A table of the groups and all devices, the series where there are any, and what is missing."""
    titles = SLOT_FIGURES if uptime.formula == SLOT_FORMULA else FIGURES
    is_mean = uptime.fleet.mean_uptime is not UNSET
    columns = [left(uptime.group_by or ""), right("devices"), *(right(title) for title in titles)]
    columns += [right("mean %")] if is_mean else []
    groups = uptime.groups if uptime.group_by else []

    def cells(name: str, group: GroupFigures) -> list[str]:
        mean = [percent_cell(known(group.mean_uptime))] if is_mean else []
        return [name, str(group.devices), *figure_cells(group), *mean]

    rows = [cells(group_name(group.group), group) for group in groups]
    rows.append(cells("all", uptime.fleet))
    parts: list[Part] = [
        f"{time_cell(uptime.start)} to {time_cell(uptime.end)}, formula {uptime.formula}",
        table_of(columns, rows),
    ]
    if uptime.step_s is not UNSET:
        series = [
            (group_name(group.group) if uptime.group_by else "", group.series)
            for group in uptime.groups
            if group.series is not UNSET
        ]
        parts += _series_parts(series, uptime, uptime.step_s, by=uptime.group_by or "")
    return [*parts, *resolution_lines(uptime.exact_from), *missing_lines(uptime.missing)]


def figure_cells(figures: UptimeFigures) -> list[str]:
    """The cells of FIGURES, or, of slots, those of SLOT_FIGURES."""
    if figures.expected is not UNSET:
        cells = [percent_cell(figures.uptime), str(known(figures.present)), str(figures.expected)]
    else:
        cells = [percent_cell(figures.uptime), *(seconds_cell(known(s)) for s in (figures.up_s, figures.accountable_s))]
    observed = percent_cell(figures.observed.uptime)
    return [*cells, observed, percent_cell(figures.availability), seconds_cell(figures.down_s)]


def group_name(group: str) -> str:
    """A value of a label, or that there is none."""
    return group or "(no label)"


def resolution_lines(exact_from: str | UnsetType) -> list[str]:
    """Which part of the window is known by minutes alone, if any."""
    return [] if exact_from is UNSET else [f"gaps before {time_cell(exact_from)} are known by the minute only"]


def missing_lines(missing: Iterable[Missing]) -> list[str]:
    """What an answer lacks, and why."""
    return [f"missing from {span.start} to {span.end}: {span.reason}" for span in missing]


def figures_text(uptime: Uptime) -> str:
    """The figures of a device in words."""
    if uptime.uptime is None:
        is_unknown = uptime.expected is UNSET and known(uptime.up_s) is None
        reason = "uptime unknown, since gaps are missing" if is_unknown else "no uptime, since no time counts"
        text = f"{reason} (formula {uptime.formula})"
    elif uptime.expected is not UNSET:
        slot = seconds_cell(known(uptime.slot_s))
        text = f"uptime {percent_cell(uptime.uptime)} %, {uptime.present} of {uptime.expected} slots of {slot} present"
        in_time = f"{percent_cell(uptime.observed.uptime)} %, {uptime.observed.present} slots"
        text += f" (formula {uptime.formula}); observed in time {in_time}"
    else:
        times = f"{_of(uptime.up_s)} of {_of(uptime.accountable_s)}"
        text = f"uptime {percent_cell(uptime.uptime)} %, up {times} (formula {uptime.formula})"
        if gaps := known(uptime.gaps):
            text += f", {gaps.count} {'gap' if gaps.count == 1 else 'gaps'}"
            text += f", the longest {seconds_cell(gaps.longest_s)}" if gaps.count else ""
        observed = uptime.observed
        if observed.uptime is not None:
            text += f"; observed in time {percent_cell(observed.uptime)} %, {_of(observed.up_s)} of"
            text += f" {_of(observed.accountable_s)}"
    left_out = [
        f"{seconds_cell(seconds)} {_words(reason)}" for reason, seconds in (known(uptime.left_out_s) or {}).items()
    ]
    left_out += [f"{count} {_words(reason)}" for reason, count in (known(uptime.left_out_slots) or {}).items()]
    if left_out:
        text += "; left out: " + ", ".join(left_out)
    if uptime.availability is not None:
        times = f"{seconds_cell(uptime.down_s)} down in {seconds_cell(uptime.availability_accountable_s)}"
        text += f"; availability {percent_cell(uptime.availability)} %, {times}"
    return text + "."


def _of(seconds: Decimal | UnsetType | None) -> str:
    return seconds_cell(known(seconds))


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _series_parts(
    series: Sequence[tuple[str, Sequence[UptimePoint | FleetPoint]]],
    window: Uptime | FleetUptime,
    step_s: int,
    *,
    by: str,
) -> list[Part]:
    """A table of all points of the named series, and a graph for each."""
    titles = ("present", "expected") if window.formula == SLOT_FORMULA else ("up", "accountable")
    rows = [
        [name, time_cell(point.at), percent_cell(known(point.uptime)), *_parts_of(point)]
        for name, points in series
        for point in points
    ]
    columns = [left(by), left("at"), right("uptime %"), *(right(title) for title in titles)]
    span, timezone = {"start": window.start, "end": window.end}, known(window.timezone)
    parts: list[Part] = [table_of(columns, rows)]
    for name, points in series:
        values = ((point.at, known(point.uptime)) for point in points)
        parts.append(f"{name or 'uptime'}  {sparkline(step_values(values, **span, step_s=step_s, timezone=timezone))}")
    return parts


def _parts_of(point: UptimePoint | FleetPoint) -> list[str]:
    """Numerator and denominator."""
    if point.expected is not UNSET:
        return [str(known(point.present) or 0), str(known(point.expected) or 0)]
    return [_of(point.up_s), _of(point.accountable_s)]
