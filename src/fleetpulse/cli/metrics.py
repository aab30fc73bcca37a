"""`fleetpulse metrics`: values over a window; `metric_definitions.py` holds the actions on definitions."""

from collections.abc import Mapping, Sequence

from cyclopts import App
from msgspec import UNSET

from fleetpulse.cli import metric_definitions
from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import DeviceId, Grouping, IncludeDeleted, Service, StepWindow, Types, action, types_query
from fleetpulse.cli.metric_definitions import Aggregation
from fleetpulse.cli.tables import (
    Column,
    Part,
    known,
    left,
    right,
    sparkline,
    step_values,
    table_of,
    time_cell,
    value_cell,
)
from fleetpulse.cli.uptime import group_name, missing_lines
from fleetpulse.query.answers import DeviceMetric, DeviceMetrics, FleetMetrics, GroupMetric, MetricMethod, MetricPoint

app = App(name="metrics")
app.command(metric_definitions.app, name="*")


@action(app, "fleetpulse metrics get press-07 --types cpu,memory --window 6h --step 15m")
def get(
    device: DeviceId,
    /,
    *,
    types: Types,
    aggregation: Aggregation = None,
    window: StepWindow = StepWindow(),
    include_deleted: IncludeDeleted = False,
    service: Service = Service(),
) -> None:
    """Show values of a device's metrics over a window."""
    query = [*types_query(types), ("aggregation", aggregation), *window.query(default="1h")]
    query.append(("include_deleted", include_deleted or None))
    service.ask(f"/api/v1/devices/{segment(device)}/metrics", query, shape=DeviceMetrics, parts=device_parts)


def device_parts(answer: DeviceMetrics) -> list[Part]:
    """A table with a line a metric, the series where there are any, and notes."""
    columns = [left("metric"), left("how"), *_figure_columns(answer)]
    rows = [
        [name, metric.aggregation, *_figure_cells(metric, metric, answer)] for name, metric in answer.metrics.items()
    ]
    parts: list[Part] = [
        f"{answer.device_id}, {time_cell(answer.start)} to {time_cell(answer.end)}",
        table_of(columns, rows),
    ]
    if answer.step_s is not UNSET:
        parts += _points_parts(answer.metrics)
    return [*parts, *_notes(answer.metrics), *missing_lines(answer.missing)]


@action(app, "fleetpulse metrics fleet --types upload_time --aggregation p95 --group-by site --window 1d")
def fleet(
    *,
    types: Types,
    aggregation: Aggregation = None,
    grouping: Grouping = Grouping(),
    window: StepWindow = StepWindow(),
    service: Service = Service(),
) -> None:
    """Show values of metrics over all devices together, or with --group-by for each value of a label."""
    query = [*types_query(types), ("aggregation", aggregation), *grouping.query(), *window.query(default="1h")]
    service.ask("/api/v1/fleet/metrics", query, shape=FleetMetrics, parts=fleet_parts, csv_parts=fleet_rows)


def fleet_parts(answer: FleetMetrics) -> list[Part]:
    """A table with a line a group and metric, and notes."""
    by = answer.group_by
    columns = [*([left(by)] if by else []), right("devices"), left("metric"), left("how"), *_figure_columns(answer)]
    rows = [
        [
            *([group_name(group.group)] if by else []),
            str(group.devices),
            name,
            answer.metrics[name].aggregation,
            *_figure_cells(metric, answer.metrics[name], answer),
        ]
        for group in answer.groups
        for name, metric in group.metrics.items()
    ]
    window = f"{time_cell(answer.start)} to {time_cell(answer.end)}"
    return [window, table_of(columns, rows), *_notes(answer.metrics), *missing_lines(answer.missing)]


def fleet_rows(answer: FleetMetrics) -> list[Part]:
    """`fleet_parts`, and with a step a table with a line a group, metric and step."""
    parts = fleet_parts(answer)
    if answer.step_s is not UNSET:
        rows = [
            [
                group.group,
                name,
                time_cell(point.at),
                value_cell(point.value, answer.metrics[name].unit),
                str(point.count),
            ]
            for group in answer.groups
            for name, metric in group.metrics.items()
            for point in known(metric.series) or ()
        ]
        parts.append(
            table_of(
                [left(answer.group_by or "group"), left("metric"), left("at"), right("value"), right("count")], rows
            )
        )
    return parts


def _figure_columns(answer: DeviceMetrics | FleetMetrics) -> list[Column]:
    if answer.step_s is UNSET:
        return [right("value"), left("unit"), right("samples")]
    figures = map(right, ("lowest", "highest", "newest"))
    return [*figures, left("unit"), right("samples"), left(f"in steps of {answer.step_s} s")]


def _figure_cells(
    metric: DeviceMetric | GroupMetric, method: MetricMethod, answer: DeviceMetrics | FleetMetrics
) -> list[str]:
    """The cells of `_figure_columns`."""
    unit = method.unit
    shown_unit = "" if unit == "ns" else unit  # durations are written with theirs
    if answer.step_s is UNSET:
        return [value_cell(known(metric.value), unit), shown_unit, str(metric.count)]
    points = known(metric.series) or []
    values = [point.value for point in points if point.value is not None]
    figures = [min(values, default=None), max(values, default=None), values[-1] if values else None]
    steps = step_values(
        ((point.at, point.value) for point in points),
        start=answer.start,
        end=answer.end,
        step_s=answer.step_s,
        timezone=known(answer.timezone),
    )
    return [*(value_cell(value, unit) for value in figures), shown_unit, str(metric.count), sparkline(steps)]


def _points_parts(metrics: Mapping[str, DeviceMetric]) -> list[Part]:
    """A table with a line a step and a column a metric."""
    values = {name: _by_time(known(metric.series) or ()) for name, metric in metrics.items()}
    rows = [
        [time_cell(at), *(value_cell(values[name].get(at), metric.unit) for name, metric in metrics.items())]
        for at in sorted({at for points in values.values() for at in points})
    ]
    return [table_of([left("at"), *map(right, metrics)], rows)]


def _by_time(points: Sequence[MetricPoint]) -> dict[str, int | float | None]:
    return {point.at: point.value for point in points}


def _notes(metrics: Mapping[str, MetricMethod]) -> list[str]:
    lines = []
    for name, metric in metrics.items():
        retention = f"kept from {metric.kept_from} on" if metric.kept_from else None
        lines += [f"{name}: {note}" for note in (known(metric.method), known(metric.note), retention) if note]
    return lines
