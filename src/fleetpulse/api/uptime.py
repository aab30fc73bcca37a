"""Questions about uptime, availability and status, of one device and of the fleet."""

from functools import partial

from litestar import Response, get

from fleetpulse.api.metrics import read_labels, within_retention
from fleetpulse.api.parameters import WINDOW, answer, device_number, read_query, ready, truth, window_of
from fleetpulse.api.problems import AnyRequest
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.pipeline.service import Service
from fleetpulse.query.status import device_transitions
from fleetpulse.query.uptime import device_uptime


@get("/api/v1/devices/{device_id:str}/uptime")
async def get_uptime(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Uptime and availability of a device over a window, with numerator and denominator; `explain=true` lists the intervals."""
    device_number(node, device_id)
    parameters = read_query(request, "explain", *WINDOW)
    window, is_explained = window_of(parameters, node, default="24h"), truth(parameters, "explain")
    question = partial(device_uptime, device_id=device_id, window=window, is_explained=is_explained)
    return answer(await node.questions.device(device_id, question, start_ns=window.start_ns))


@get("/api/v1/devices/{device_id:str}/transitions")
async def get_transitions(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Every change of a device's status in a window, oldest first; `more_from` says where to go on where they are too many."""
    device_number(node, device_id)
    window = window_of(read_query(request, "window", "from", "to"), node, default="24h")
    question = partial(device_transitions, device_id=device_id, window=window)
    return answer(await node.questions.device(device_id, question, start_ns=window.start_ns))


@get("/api/v1/fleet/uptime")
async def get_fleet_uptime(request: AnyRequest, node: Service) -> Response[bytes]:
    """Uptime and availability by the values of a label, or of all devices together; `step=` gives a series."""
    ready(node)
    parameters = read_query(request, "group_by", *WINDOW, repeated=("label",))
    window, by = window_of(parameters, node, default="24h"), parameters.get("group_by", "")
    return answer(await node.questions.fleet_uptime(window, by=by, labels=read_labels(request)))


@get("/api/v1/fleet/stats")
async def get_fleet_stats(request: AnyRequest, node: Service) -> Response[bytes]:
    """The fleet at a glance: devices by status, uptime, upload time, and the ten devices that were there least."""
    ready(node)
    window = window_of(read_query(request, "window", "from", "to", repeated=("label",)), node, default="24h")
    metric = node.metric_definitions.metrics[UPLOAD_TIME]
    kept = within_retention(window, metric, node.clock.now_ns())
    labels = read_labels(request)
    return answer(await node.questions.fleet_stats(window, labels=labels, upload_time=metric, upload_window=kept))
