"""Questions about metrics, of one device and of the fleet."""

from functools import partial

from fleetpulse.api.bind import Reader
from fleetpulse.api.parameters import (
    DeviceIdPath,
    GroupByQuery,
    LabelPairs,
    read_include_deleted,
    read_labels,
    read_metrics,
)
from fleetpulse.api.routes import route
from fleetpulse.api.window_parameters import read_hour_window
from fleetpulse.clock import Clock
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.answers import DeviceMetrics, FleetMetrics
from fleetpulse.query.metric_answers import MetricQuestion, device_metrics
from fleetpulse.query.window import Window

_QUESTION: dict[str, Reader] = {
    "window": read_hour_window,
    "metrics": read_metrics,
    "is_deleted_included": read_include_deleted,
}


@route(
    "GET /api/v1/devices/{device_id:str}/metrics",
    group="questions",
    operation="deviceMetrics",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404, 422),
    readers=_QUESTION,
)
async def get_device_metrics(
    *,
    device_id: DeviceIdPath,
    window: Window,
    metrics: list[MetricQuestion],
    is_deleted_included: bool,
    questions: Questions,
    registry: Registry,
    clock: Clock,
) -> DeviceMetrics:
    """Metrics of a device over a window."""
    device = registry.number_of(device_id, is_deleted_included=is_deleted_included)
    question = partial(
        device_metrics, questions=metrics, device_id=device_id, device=device, window=window, now_ns=clock.now_ns()
    )
    return await questions.device_metrics(question, metrics, window)


@route(
    "GET /api/v1/fleet/metrics",
    group="questions",
    operation="fleetMetrics",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={**_QUESTION, "labels": read_labels},
)
async def get_fleet_metrics(
    *,
    window: Window,
    metrics: list[MetricQuestion],
    is_deleted_included: bool,
    labels: LabelPairs,
    questions: Questions,
    group_by: GroupByQuery = None,
) -> FleetMetrics:
    """Metrics of all devices, or by the values of a label."""
    return await questions.fleet_metrics(
        window, metrics, by=group_by or "", labels=labels, is_deleted_included=is_deleted_included
    )
