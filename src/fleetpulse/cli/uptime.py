"""`fleetpulse uptime`: of a device, and of the fleet by the values of a label; each percentage with its fraction."""

from collections.abc import Iterable, Sequence

from cyclopts import App
from msgspec import UNSET

from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import DeviceId, Grouping, IncludeDeleted, Service, StepWindow, action
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
from fleetpulse.query.answers import AvailableFigures, FleetPoint, FleetUptime, Missing, Uptime, UptimePoint

FIGURES = ("uptime %", "present", "expected", "availability %", "down", "accountable")
app = App(name="uptime")


@action(app, "fleetpulse uptime device 60-6b-44-84-dc-64 --window 30d --explain")
def device(
    device: DeviceId,
    /,
    *,
    window: StepWindow = StepWindow(),
    explain: bool = False,
    include_deleted: IncludeDeleted = False,
    service: Service = Service(),
) -> None:
    """Show uptime and availability of one device.

    Args:
        explain: List the intervals of the window, each with the reason why it counts as it does.
    """
    query = [*window.query(), ("explain", explain or None), ("include_deleted", include_deleted or None)]
    service.ask(
        f"/api/v1/devices/{segment(device)}/uptime", query, shape=Uptime, parts=device_parts, csv_parts=device_rows
    )


def device_rows(uptime: Uptime) -> list[Part]:
    """The tables of `device_parts`, after one of the figures."""
    columns = [left("device"), *(right(title) for title in FIGURES)]
    return [table_of(columns, [[uptime.device_id, *figure_cells(uptime)]]), *device_parts(uptime)]


def device_parts(uptime: Uptime) -> list[Part]:
    """The figures in words, the series and the intervals where there are any, and what is missing."""
    parts: list[Part] = [
        f"{uptime.device_id}, {time_cell(uptime.start)} to {time_cell(uptime.end)}: {figures_text(uptime)}"
    ]
    if uptime.series is not UNSET and uptime.step_s is not UNSET:
        parts += _series_parts([("", uptime.series)], uptime, uptime.step_s, by="")
    if uptime.intervals is not UNSET:
        rows = [[time_cell(span.start), time_cell(span.end), span.reason, str(span.slots)] for span in uptime.intervals]
        parts.append(table_of([left("from"), left("to"), left("reason"), right("slots")], rows))
        if known(uptime.capped):
            parts.append(f"There are more intervals: ask again with --from {uptime.intervals[-1].end}.")
    return [*parts, *missing_lines(uptime.missing)]


@action(app, "fleetpulse uptime fleet --group-by site --window 30d")
def fleet(*, grouping: Grouping = Grouping(), window: StepWindow = StepWindow(), service: Service = Service()) -> None:
    """Show uptime and availability of all devices together, and with --group-by of each value of a label."""
    query = [*grouping.query(), *window.query()]
    service.ask("/api/v1/fleet/uptime", query, shape=FleetUptime, parts=fleet_parts)


def fleet_parts(uptime: FleetUptime) -> list[Part]:
    """A table of the groups and all devices, the series where there are any, and what is missing."""
    columns = [left(uptime.group_by or ""), right("devices"), *(right(title) for title in FIGURES)]
    groups = uptime.groups if uptime.group_by else []
    rows = [[group_name(group.group), str(group.devices), *figure_cells(group)] for group in groups]
    rows.append(["all", str(uptime.fleet.devices), *figure_cells(uptime.fleet)])
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
    return [*parts, *missing_lines(uptime.missing)]


def figure_cells(figures: AvailableFigures) -> list[str]:
    """The cells of FIGURES."""
    return [
        percent_cell(figures.uptime),
        str(figures.present),
        str(figures.expected),
        percent_cell(figures.availability),
        seconds_cell(figures.down_s),
        seconds_cell(figures.accountable_s),
    ]


def group_name(group: str) -> str:
    """A value of a label, or that there is none."""
    return group or "(no label)"


def missing_lines(missing: Iterable[Missing]) -> list[str]:
    """What an answer lacks, and why."""
    return [f"missing from {span.start} to {span.end}: {span.reason}" for span in missing]


def figures_text(uptime: Uptime) -> str:
    """The figures of a device in words."""
    slot = seconds_cell(uptime.slot_s)
    if uptime.uptime is None:
        text = f"no uptime, since nothing was expected of it (formula {uptime.formula}, slots of {slot})"
    else:
        text = f"uptime {percent_cell(uptime.uptime)} %, {uptime.present} of {uptime.expected} slots of {slot} present"
        in_time = f"{percent_cell(uptime.observed.uptime)} %, {uptime.observed.present} slots"
        text += f" (formula {uptime.formula}); observed in time {in_time}"
    if uptime.left_out:
        text += "; left out: " + ", ".join(f"{count} {reason}" for reason, count in uptime.left_out.items())
    if uptime.availability is not None:
        times = f"{seconds_cell(uptime.down_s)} down in {seconds_cell(uptime.accountable_s)}"
        text += f"; availability {percent_cell(uptime.availability)} %, {times}"
    return text + "."


def _series_parts(
    series: Sequence[tuple[str, Sequence[UptimePoint | FleetPoint]]],
    window: Uptime | FleetUptime,
    step_s: int,
    *,
    by: str,
) -> list[Part]:
    """A table of all points of the named series, and a graph for each."""
    rows = [
        [name, time_cell(point.at), percent_cell(known(point.uptime)), *_slots(point)]
        for name, points in series
        for point in points
    ]
    columns = [left(by), left("at"), right("uptime %"), right("present"), right("expected")]
    span, timezone = {"start": window.start, "end": window.end}, known(window.timezone)
    parts: list[Part] = [table_of(columns, rows)]
    for name, points in series:
        values = ((point.at, known(point.uptime)) for point in points)
        parts.append(f"{name or 'uptime'}  {sparkline(step_values(values, **span, step_s=step_s, timezone=timezone))}")
    return parts


def _slots(point: UptimePoint | FleetPoint) -> list[str]:
    return [str(known(point.present) or 0), str(known(point.expected) or 0)]
