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
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.declaration_answers import DeclaredFiles as PreviewedFiles
from fleetpulse.query.declaration_answers import MaintenanceWindow, MaintenanceWindows, Message, Metric, Metrics
from fleetpulse.query.describe import deletion_text, describe_metric, describe_window


@route("GET /api/v1/metrics/definitions", group="definitions", operation="listMetrics")
async def get_definitions(metric_definitions: MetricDefinitions) -> Metrics:
    """List all metrics that may be reported."""
    return Metrics([_described(metric_definitions, name) for name in metric_definitions.known.names])


@route(
    "POST /api/v1/metrics/definitions",
    group="definitions",
    operation="defineMetric",
    refusals=(409, 422),
    status=HTTPStatus.CREATED,
)
async def post_definition(metric_definitions: MetricDefinitions, payload: Definition) -> Metric:
    """Define a metric."""
    metric = new_metric(payload)
    await metric_definitions.add(metric)
    return _described(metric_definitions, metric.name)


@route("GET /api/v1/metrics/definitions/{name:str}", group="definitions", operation="getMetric", refusals=(404,))
async def get_definition(metric_definitions: MetricDefinitions, name: MetricNamePath) -> Metric:
    """Show one definition."""
    return _described(metric_definitions, name)


@route(
    "PATCH /api/v1/metrics/definitions/{name:str}", group="definitions", operation="changeMetric", refusals=(404, 422)
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
    refusals=(404, 422),
)
async def delete_definition(metric_definitions: MetricDefinitions, name: MetricNamePath) -> Message:
    """Accept no more reports of a metric; its samples stay until their retention."""
    metric = await metric_definitions.remove(name)
    coming = [deletion_text(name, deletion) for deletion in metric_definitions.coming_deletions(name)]
    text = f"metric {name} is no longer taken; its samples stay for {metric.retention_days} days, and can be asked for"
    return Message("; ".join([text, *coming]))


def _described(metric_definitions: MetricDefinitions, name: str) -> Metric:
    return describe_metric(metric_definitions.get(name), metric_definitions.coming_deletions(name))


@route("GET /api/v1/files", group="definitions", operation="previewFiles")
async def get_files(declared_files: DeclaredFiles) -> PreviewedFiles:
    """Show what reading devices.csv and metrics.json again would change; nothing is changed."""
    return await declared_files.preview()


@route("GET /api/v1/maintenance", group="definitions", operation="listWindows")
async def get_windows(planned_downtime: PlannedDowntime, registry: Registry, clock: Clock) -> MaintenanceWindows:
    """List all maintenance windows, and when each comes next."""
    windows = planned_downtime.windows.values()
    return MaintenanceWindows(
        [
            describe_window(window, now_ns=clock.now_ns(), known=registry.numbers, roster=registry.roster)
            for window in windows
        ]
    )


@route(
    "POST /api/v1/maintenance", group="definitions", operation="addWindow", refusals=(422,), status=HTTPStatus.CREATED
)
async def post_window(
    planned_downtime: PlannedDowntime, registry: Registry, clock: Clock, payload: WindowBody
) -> MaintenanceWindow:
    """Declare a maintenance window.

    It may lie in the past, for figures that should leave it out.
    """
    window = new_window(payload, window_id=secrets.token_hex(8), now_ns=clock.now_ns())
    await planned_downtime.put_window(window)
    return describe_window(window, now_ns=clock.now_ns(), known=registry.numbers, roster=registry.roster)


@route("DELETE /api/v1/maintenance/{window_id:str}", group="definitions", operation="deleteWindow", refusals=(404,))
async def delete_window(planned_downtime: PlannedDowntime, window_id: WindowIdPath) -> Message:
    """Take a maintenance window back, as if it had never been declared."""
    if not await planned_downtime.delete_window(window_id):
        raise NotFound(f"no maintenance window has the id {window_id[:100]}", reason="unknown_window")
    return Message(f"maintenance window {window_id} is deleted; past figures count its time again")
