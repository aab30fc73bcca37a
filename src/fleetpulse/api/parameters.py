"""What questions share: their parameters, read strictly, so that a misspelt one is not silently ignored."""

import difflib
from typing import Any

import msgspec
from litestar import Response

from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import Malformed, NotAccepting, OutOfRange, UnknownDevice
from fleetpulse.pipeline.service import Service
from fleetpulse.query.window import Window, read_window

WINDOW = ("window", "from", "to", "step")


def read_query(request: AnyRequest, *known: str, repeated: tuple[str, ...] = ()) -> dict[str, str]:
    """The parameters of a request, each given once, but for those that may be repeated. Raises: Malformed: says which."""
    asked: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known and name not in repeated:
            close = difflib.get_close_matches(name, [*known, *repeated], 1)
            names = ", ".join([*known, *repeated])
            hint = f"did you mean {close[0]}?" if close else f"known are {names}" if names else "there are none here"
            raise Malformed(f"unknown parameter `{name[:50]}`; {hint}")
        if name in asked and name not in repeated:
            raise Malformed(f"parameter `{name}` is given twice")
        asked[name] = value
    return asked


def window_of(asked: dict[str, str], node: Service, *, default: str) -> Window:
    """The window that is asked for. Raises: Malformed; OutOfRange."""
    window = read_window(
        asked, now_ns=node.clock.now_ns(), default=default, days_max=node.questions.limits.window_days_max
    )
    if window.buckets > node.questions.limits.cells_max:
        raise OutOfRange(
            f"{window.buckets} steps in the window are more than {node.questions.limits.cells_max} (cells_max): ask for a longer step",
            reason="cells",
        )
    return window


def truth(asked: dict[str, str], name: str) -> bool:
    """A parameter that is true or false. Raises: Malformed."""
    value = asked.get(name, "false").lower()
    if value not in ("true", "false", "1", "0", ""):
        raise Malformed(f"`{name}` must be true or false")
    return value in ("true", "1", "")


def ready(node: Service) -> Service:
    """The node, where it can answer. Raises: NotAccepting: it is starting."""
    if not node.readiness.is_ready:
        raise NotAccepting("starting: the journal is being replayed", reason="starting")
    return node


def device_number(node: Service, device_id: str) -> int:
    """Raises: NotAccepting; UnknownDevice."""
    number = ready(node).registry.numbers.get(device_id)
    if number is None:
        raise UnknownDevice
    return number


def answer(value: Any, status: int = 200) -> Response[bytes]:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
