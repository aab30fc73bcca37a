"""Questions about intervals: which one the beats of devices suggest, and whether the declared one fits."""

from functools import partial
from typing import Annotated

from litestar.openapi.spec.enums import OpenAPIType

from fleetpulse.api.parameters import (
    DeviceIdPath,
    GroupByQuery,
    LabelPairs,
    limit_parameter,
    query_parameter,
    read_count,
    read_labels,
    read_truth,
)
from fleetpulse.api.routes import route
from fleetpulse.api.window_parameters import read_plain_window
from fleetpulse.pipeline.questions import Questions
from fleetpulse.query.devices import Listing
from fleetpulse.query.fit import FitQuestion, device_fit, fleet_fit
from fleetpulse.query.fit_answers import DeviceFitByDay, FleetFit
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

LIMIT_DEFAULT, LIMIT_HIGHEST = 100, 10_000
_TRUTH = {"type": OpenAPIType.BOOLEAN, "default": False}


def read_fit_question(
    *,
    labels: LabelPairs,
    group_by: GroupByQuery = None,
    unfit: Annotated[str, query_parameter("list only devices whose interval does not fit", **_TRUTH)] = "false",
    limit: Annotated[str, limit_parameter(LIMIT_DEFAULT, LIMIT_HIGHEST)] = str(LIMIT_DEFAULT),
    cursor: Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)] = None,
) -> FitQuestion:
    """Which devices are meant, and which of them are listed. Raises: Malformed; OutOfRange."""
    count = read_count(limit, LIMIT_HIGHEST)
    is_unfit_only = read_truth("unfit", unfit)
    return FitQuestion(labels, group_by or "", is_unfit_only=is_unfit_only, limit=count, cursor=cursor)


@route(
    "GET /api/v1/fleet/fit",
    group="questions",
    operation="fleetFit",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={"labels": read_labels, "question": read_fit_question, "window": read_plain_window},
)
async def get_fleet_fit(window: Window, question: FitQuestion, questions: Questions) -> FleetFit:
    """Which interval the beats of devices suggest, and whether the declared one fits."""

    def about(seen: tuple[FleetView, Listing]) -> FleetFit:
        return fleet_fit(*seen, window=window, question=question, limits=questions.limits)

    return await questions.devices(about, start_ns=window.start_ns, is_uptime_wanted=True)


@route(
    "GET /api/v1/devices/{device_id:str}/fit",
    group="questions",
    operation="deviceFit",
    permission="read",
    scope="device",
    limit="key",
    refusals=(404, 422),
    readers={"window": read_plain_window},
)
async def get_device_fit(device_id: DeviceIdPath, window: Window, questions: Questions) -> DeviceFitByDay:
    """Which interval the beats of a device suggest, in all and by day, and whether the declared one fits."""
    question = partial(device_fit, device_id=device_id, window=window)
    return await questions.device(device_id, question, start_ns=window.start_ns)
