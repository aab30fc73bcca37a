"""Errors of handlers and of the framework to answers; the map itself is `ingest.problem_response`."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.ingest.problem_response import problem_body, problem_headers

log = structlog.get_logger("api")
AnyRequest = Request[Any, Any, Any]
_REASONS = {404: "no_route", 405: "method", 400: "malformed", 500: "failed"}


class _Framework(Answerable):
    """What the framework refused: no such route, no such method."""

    def __init__(self, msg: str, *, status: int, title: str) -> None:
        super().__init__(msg, reason=_REASONS.get(status, "failed"))
        self.status = status  # type: ignore[misc]  # elsewhere a class has one status; the framework has many
        self.title = title  # type: ignore[misc]  # the same


def answer(request: AnyRequest, error: Answerable) -> Response[bytes]:
    """An error of ours."""
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    return Response(problem_body(error), status_code=error.status, media_type="application/json", headers=headers)


def answer_framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """An error of the framework's, in our shape."""
    known = {
        404: f"no such route: {request.method} {request.url.path}; /docs lists all",
        405: f"{request.method} is not for this route",
    }
    msg = known.get(error.status_code, error.detail)
    response = answer(request, _Framework(msg, status=error.status_code, title=error.detail))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def answer_damaged(request: AnyRequest, error: OperatorError) -> Response[bytes]:
    """Something on disk is damaged: what was asked cannot be told, and the operator must act."""
    log.error("a request could not be answered", method=request.method, path=request.url.path, error=str(error))
    return answer(request, _Framework(str(error), status=500, title="Damaged data"))


def answer_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
    """A defect of ours: logged with its trace, answered without it."""
    log.error("a request failed by a defect of ours", method=request.method, path=request.url.path, exc_info=error)
    return answer(request, _Framework("internal error: it is in the log", status=500, title="Internal error"))
