"""Questions about uptime, availability and status, of one device and of the fleet."""

from functools import partial

from fleetpulse.api.parameters import (
    DeviceIdPath,
    GroupByQuery,
    LabelPairs,
    read_explain,
    read_include_deleted,
    read_labels,
)
from fleetpulse.api.routes import route
from fleetpulse.api.window_parameters import read_day_window, read_plain_window
from fleetpulse.pipeline.questions import Questions
from fleetpulse.query.answers import FleetStats, FleetUptime, Transitions, Uptime
from fleetpulse.query.cost import device_uptime_cost_ms
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.window import Window


@route(
    "GET /api/v1/devices/{device_id:str}/uptime",
    group="questions",
    operation="deviceUptime",
    refusals=(404, 422),
    readers={"window": read_day_window, "is_explained": read_explain, "is_deleted_included": read_include_deleted},
)
async def get_uptime(
    *, device_id: DeviceIdPath, window: Window, is_explained: bool, is_deleted_included: bool, questions: Questions
) -> Uptime:
    """Uptime and availability of a device over a window."""
    question = partial(
        device_uptime,
        device_id=device_id,
        window=window,
        is_explained=is_explained,
        intervals_max=questions.limits.intervals_listed_max,
    )
    return await questions.device(
        device_id,
        question,
        start_ns=window.start_ns,
        more_ms=device_uptime_cost_ms(window, is_explained=is_explained),
        is_deleted_included=is_deleted_included,
    )


@route(
    "GET /api/v1/devices/{device_id:str}/transitions",
    group="questions",
    operation="transitions",
    refusals=(404, 422),
    readers={"window": read_plain_window, "is_deleted_included": read_include_deleted},
)
async def get_transitions(
    device_id: DeviceIdPath, window: Window, is_deleted_included: bool, questions: Questions
) -> Transitions:
    """Every change of a device's status in a window, oldest first."""
    limit = questions.limits.transitions_listed_max
    question = partial(device_transitions, device_id=device_id, window=window, limit=limit)
    return await questions.device(
        device_id, question, start_ns=window.start_ns, is_deleted_included=is_deleted_included
    )


@route(
    "GET /api/v1/fleet/uptime",
    group="questions",
    operation="fleetUptime",
    refusals=(422,),
    readers={"window": read_day_window, "labels": read_labels, "is_deleted_included": read_include_deleted},
)
async def get_fleet_uptime(
    *,
    window: Window,
    labels: LabelPairs,
    is_deleted_included: bool,
    questions: Questions,
    group_by: GroupByQuery = None,
) -> FleetUptime:
    """Uptime and availability of all devices, or by the values of a label."""
    return await questions.fleet_uptime(
        window, by=group_by or "", labels=labels, is_deleted_included=is_deleted_included
    )


@route(
    "GET /api/v1/fleet/stats",
    group="questions",
    operation="fleetStats",
    refusals=(422,),
    readers={"window": read_plain_window, "labels": read_labels, "is_deleted_included": read_include_deleted},
)
async def get_fleet_stats(
    *, window: Window, labels: LabelPairs, is_deleted_included: bool, questions: Questions
) -> FleetStats:
    """The fleet at a glance: devices by status, uptime, upload times, and the ten devices that were there least."""
    return await questions.fleet_stats(window, labels=labels, is_deleted_included=is_deleted_included)
