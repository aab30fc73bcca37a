"""Errors of handlers and of the framework to answers; their bytes are made by `ingest.problem_response`."""

from collections.abc import Callable
from typing import Any

import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from fleetpulse.api.bind import AnyRequest
from fleetpulse.errors import Answerable, OperatorError, Refusal
from fleetpulse.ingest.accept import problem_media
from fleetpulse.ingest.problem_response import problem_body, problem_headers
from fleetpulse.key_shape import without_secrets
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("api")
_REASONS = {404: "no_route", 405: "method", 400: "malformed", 500: "failed"}
DAMAGED = "damaged_data"
"""The reason of a request that what is on disk keeps from being answered."""


def forgetting(answer: Callable[[AnyRequest, Any], Response[bytes]]) -> Callable[[AnyRequest, Any], Response[bytes]]:
    """An answer to errors after which an error does not know any more through which frames it came.

    A frame that waited for a future refers to it, the future to its error, and the error to the frame: a cycle, that
    would keep all that a question has read until the garbage collector looks at old objects.
    """

    def answer_and_forget(request: AnyRequest, error: Exception) -> Response[bytes]:
        try:
            return answer(request, error)
        finally:
            one: BaseException | None = error
            while one is not None and one.__traceback__ is not None:  # an error may be its own cause
                one.__traceback__ = None
                one = one.__cause__ or one.__context__

    return answer_and_forget


class _Framework(Answerable):
    """What the framework refused: no such route, no such method; and what has no class of its own."""

    def __init__(self, msg: str, *, status: int, title: str, reason: str = "") -> None:
        super().__init__(msg, reason=reason or _REASONS.get(status, "failed"))
        self.status = status  # type: ignore[misc]  # elsewhere a class has one status; the framework has many
        self.title = title  # type: ignore[misc]  # the same


def answer_refusal(request: AnyRequest, error: Answerable) -> Response[bytes]:
    """Answer an error of ours."""
    media = problem_media(", ".join(request.headers.getall("accept", [])))
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    return Response(problem_body(error), status_code=error.status, media_type=media, headers=headers)


def count_refusal(counters: Counters, request: AnyRequest, error: Answerable) -> None:
    """Count what a person or a program has to ask otherwise; what devices report is counted as events."""
    handler = request.scope.get("route_handler")
    groups = set(handler.tags or ()) if isinstance(handler, HTTPRouteHandler) else set()
    if isinstance(error, Refusal) and groups and not {"ingest", "service"} & groups:
        counts = counters.questions_refused if request.method == "GET" else counters.changes_refused
        counts[error.reason] += 1


def answer_framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer an error of the framework's, in our shape."""
    if error.status_code >= 500:
        log.error("the framework failed", method=request.method, path=without_secrets(request.url.path), exc_info=error)
    method, path = request.method, request.url.path
    texts = {
        404: f"no such route: {method} {path}; /docs lists all",
        405: f"the method {method} is not for this route: {path}; /docs lists those that are",
    }
    msg = texts.get(error.status_code, error.detail)
    response = answer_refusal(request, _Framework(msg, status=error.status_code, title=error.detail))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def answer_damaged(request: AnyRequest, error: OperatorError) -> Response[bytes]:
    """Answer that data on disk is damaged, so that the operator must act; it is no defect, so it is no 500."""
    log.error(
        "a request could not be answered",
        method=request.method,
        path=without_secrets(request.url.path),
        error=str(error),
    )
    return answer_refusal(request, _Framework(str(error), status=503, title="Damaged data", reason=DAMAGED))


def answer_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer that the service has a defect; the trace goes to the log and not to the client."""
    log.error(
        "a request failed by a defect of ours",
        method=request.method,
        path=without_secrets(request.url.path),
        exc_info=error,
    )
    return answer_refusal(request, _Framework("internal error: it is in the log", status=500, title="Internal error"))
