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
from fleetpulse.api.uptime_parameters import read_below, read_formula, read_limit, read_mean, read_measure
from fleetpulse.api.window_parameters import read_day_window, read_plain_window
from fleetpulse.model.uptime import SLOT_FORMULA, Measure
from fleetpulse.pipeline.questions import Questions
from fleetpulse.query.answers import Transitions
from fleetpulse.query.cost import device_uptime_cost_ms
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import FleetStats, FleetUptime, Uptime, WorstDevices
from fleetpulse.query.window import Window
from fleetpulse.query.worst import WorstQuestion


@route(
    "GET /api/v1/devices/{device_id:str}/uptime",
    group="questions",
    operation="deviceUptime",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404, 422),
    readers={
        "window": read_day_window,
        "is_explained": read_explain,
        "by_formula": read_formula,
        "is_deleted_included": read_include_deleted,
    },
)
async def get_uptime(
    *,
    device_id: DeviceIdPath,
    window: Window,
    is_explained: bool,
    by_formula: str,
    is_deleted_included: bool,
    questions: Questions,
) -> Uptime:
    """Uptime and availability of a device over a window."""
    is_of_slots = by_formula == SLOT_FORMULA
    question = partial(
        device_slot_uptime if is_of_slots else device_uptime,
        device_id=device_id,
        window=window,
        is_explained=is_explained,
        intervals_max=questions.limits.intervals_listed_max,
    )
    return await questions.device(
        device_id,
        question,
        start_ns=window.start_ns,
        more_ms=device_uptime_cost_ms(window, is_explained=is_explained and is_of_slots),
        is_deleted_included=is_deleted_included,
    )


@route(
    "GET /api/v1/devices/{device_id:str}/transitions",
    group="questions",
    operation="transitions",
    permission="read",
    scope="device",
    limit="key",
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
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={
        "window": read_day_window,
        "labels": read_labels,
        "by_formula": read_formula,
        "is_mean_wanted": read_mean,
        "is_deleted_included": read_include_deleted,
    },
)
async def get_fleet_uptime(
    *,
    window: Window,
    labels: LabelPairs,
    by_formula: str,
    is_mean_wanted: bool,
    is_deleted_included: bool,
    questions: Questions,
    group_by: GroupByQuery = None,
) -> FleetUptime:
    """Uptime and availability of all devices, or by the values of a label."""
    return await questions.fleet_uptime(
        window,
        by=group_by or "",
        labels=labels,
        is_deleted_included=is_deleted_included,
        formula=by_formula,
        is_mean_wanted=is_mean_wanted,
    )


@route(
    "GET /api/v1/fleet/worst",
    group="questions",
    operation="worstDevices",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={
        "window": read_plain_window,
        "labels": read_labels,
        "measure": read_measure,
        "count_max": read_limit,
        "promise": read_below,
        "is_deleted_included": read_include_deleted,
    },
)
async def get_worst(
    *,
    window: Window,
    labels: LabelPairs,
    measure: Measure,
    count_max: int,
    promise: float | None,
    is_deleted_included: bool,
    questions: Questions,
) -> WorstDevices:
    """The devices that were up least, or all that are below a promise."""
    question = WorstQuestion(labels, measure, count_max, promise, is_deleted_included)
    return await questions.worst_devices(window, question)


@route(
    "GET /api/v1/fleet/stats",
    group="questions",
    operation="fleetStats",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={"window": read_plain_window, "labels": read_labels, "is_deleted_included": read_include_deleted},
)
async def get_fleet_stats(
    *, window: Window, labels: LabelPairs, is_deleted_included: bool, questions: Questions
) -> FleetStats:
    """The fleet at a glance: devices by status, uptime, upload times, and the ten devices that were up least."""
    return await questions.fleet_stats(window, labels=labels, is_deleted_included=is_deleted_included)
