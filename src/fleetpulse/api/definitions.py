"""What people define beside devices: metrics and maintenance windows; and the files in which they declare."""

import secrets
from functools import partial
from http import HTTPStatus

from fleetpulse.api.parameters import MetricNamePath, WindowIdPath
from fleetpulse.api.routes import route
from fleetpulse.clock import Clock
from fleetpulse.errors import NotFound
from fleetpulse.ingest.metric_declarations import Definition, DefinitionChange, changed_metric, new_metric
from fleetpulse.ingest.window_declarations import WindowBody, new_window
from fleetpulse.model.maintenance import MaintenanceWindow as Window
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.seen_windows import check_own, seen_window, window_within
from fleetpulse.query.declaration_answers import DeclaredFiles as PreviewedFiles
from fleetpulse.query.declaration_answers import MaintenanceWindow, MaintenanceWindows, Message, Metric, Metrics
from fleetpulse.query.describe import deletion_text, describe_metric, describe_window


@route(
    "GET /api/v1/metrics/definitions",
    group="definitions",
    operation="listMetrics",
    permission="read",
    scope="none",
    limit="key",
)
async def get_definitions(metric_definitions: MetricDefinitions) -> Metrics:
    """List all metrics that may be reported."""
    return Metrics([_described(metric_definitions, name) for name in metric_definitions.known.names])


@route(
    "POST /api/v1/metrics/definitions",
    group="definitions",
    operation="defineMetric",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(409, 422),
    status=HTTPStatus.CREATED,
)
async def post_definition(metric_definitions: MetricDefinitions, payload: Definition) -> Metric:
    """Define a metric."""
    metric = new_metric(payload)
    await metric_definitions.add(metric)
    return _described(metric_definitions, metric.name)


@route(
    "GET /api/v1/metrics/definitions/{name:str}",
    group="definitions",
    operation="getMetric",
    permission="read",
    scope="none",
    limit="key",
    refusals=(404,),
)
async def get_definition(metric_definitions: MetricDefinitions, name: MetricNamePath) -> Metric:
    """Show one definition."""
    return _described(metric_definitions, name)


@route(
    "PATCH /api/v1/metrics/definitions/{name:str}",
    group="definitions",
    operation="changeMetric",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def patch_definition(
    metric_definitions: MetricDefinitions, name: MetricNamePath, payload: DefinitionChange
) -> Metric:
    """Change a definition; a field that is not given stays.

    A shorter retention deletes nothing for a day (retention_grace_s), and can be taken back until then; the answer says
    what it will delete.
    """
    metric = await metric_definitions.change(name, partial(changed_metric, change=payload))
    return describe_metric(metric, metric_definitions.coming_deletions(name))


@route(
    "DELETE /api/v1/metrics/definitions/{name:str}",
    group="definitions",
    operation="undefineMetric",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(404, 422),
)
async def delete_definition(metric_definitions: MetricDefinitions, name: MetricNamePath) -> Message:
    """Accept no more reports of a metric; its samples stay until their retention."""
    metric = await metric_definitions.remove(name)
    coming = [deletion_text(name, deletion) for deletion in metric_definitions.coming_deletions(name)]
    days = count_text(metric.retention_days, "day")
    text = f"metric {name} is no longer taken; its samples stay for {days}, and can be asked for"
    return Message("; ".join([text, *coming]))


def _described(metric_definitions: MetricDefinitions, name: str) -> Metric:
    return describe_metric(metric_definitions.get(name), metric_definitions.coming_deletions(name))


@route(
    "GET /api/v1/files", group="definitions", operation="previewFiles", permission="admin", scope="whole", limit="key"
)
async def get_files(declared_files: DeclaredFiles) -> PreviewedFiles:
    """Show what reading devices.csv, metrics.json and alerts.toml again would change; nothing is changed."""
    return await declared_files.preview()


@route(
    "GET /api/v1/maintenance",
    group="definitions",
    operation="listWindows",
    permission="read",
    scope="labels",
    limit="key",
)
async def get_windows(planned_downtime: PlannedDowntime, registry: Registry, clock: Clock) -> MaintenanceWindows:
    """List all maintenance windows, and when each comes next."""
    seen = [seen_window(window, registry) for window in planned_downtime.windows.values()]
    return MaintenanceWindows([_described_window(window, registry, clock) for window in seen if window is not None])


@route(
    "POST /api/v1/maintenance",
    group="definitions",
    operation="addWindow",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(422,),
    status=HTTPStatus.CREATED,
)
async def post_window(
    planned_downtime: PlannedDowntime, registry: Registry, clock: Clock, payload: WindowBody
) -> MaintenanceWindow:
    """Declare a maintenance window.

    It may lie in the past, for figures that should leave it out.
    """
    window = new_window(payload, window_id=secrets.token_hex(8), now_ns=clock.now_ns())
    window = window_within(window, registry)
    await planned_downtime.put_window(window)
    return _described_window(window, registry, clock)


@route(
    "DELETE /api/v1/maintenance/{window_id:str}",
    group="definitions",
    operation="deleteWindow",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404,),
)
async def delete_window(planned_downtime: PlannedDowntime, registry: Registry, window_id: WindowIdPath) -> Message:
    """Take a maintenance window back, as if it had never been declared."""
    window = planned_downtime.windows.get(window_id)
    is_seen = window is not None and seen_window(window, registry) is not None
    if window is not None and is_seen:
        check_own(window, registry)
    if not is_seen or not await planned_downtime.delete_window(window_id):
        raise NotFound(f"no maintenance window has the id {window_id[:100]}", reason="unknown_window")
    return Message(f"maintenance window {window_id} is deleted; past figures count its time again")


def _described_window(window: Window, registry: Registry, clock: Clock) -> MaintenanceWindow:
    now_ns, numbers, roster = clock.now_ns(), registry.seen_numbers, registry.seen_roster
    return describe_window(window, now_ns=now_ns, known=numbers, roster=roster)
