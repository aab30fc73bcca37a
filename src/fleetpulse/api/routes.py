"""How a route is declared: its path, group and refusals; the rest is read from the handler's signature and docstring.

Litestar makes the OpenAPI document from what stands here. A handler names what it needs as parameters: values of the
query (`api.parameters`), a `payload` whose struct is decoded strictly, and parts of the service (`api.app.Parts`);
`api.bind` hands all of these to it.
"""

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import UnionType
from typing import Any, Literal, get_args

import msgspec
from litestar import delete, get, patch, post, put
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler

from fleetpulse.api.bind import AnyRequest, Handler, Reader, Render, bind
from fleetpulse.api.request_body import is_body_announced, whole_body
from fleetpulse.errors import UnsupportedMedia
from fleetpulse.ingest.malformed import malformed, without_bom
from fleetpulse.model.access import Access, LimitRule, Permission, ScopeRule

METHODS: dict[str, Any] = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}
_TAGGED = ("devices", "questions", "definitions", "alerts")
GROUPS = {
    "ingest": "What devices report",
    "devices": "Devices as people manage them",
    "questions": "Uptime, status and metrics",
    "definitions": "Metrics and maintenance windows",
    "alerts": "Alerts, and who is told of them",
    "access": "Keys, people and what they may do",
    "service": "The service itself",
}


@dataclass(frozen=True, slots=True)
class Media:
    """A body that is no struct: type, content and an example. `lines` is the struct of each line, if these are JSON."""

    media_type: str
    description: str
    example: str | None = None
    lines: type[msgspec.Struct] | None = None
    kind: Literal["string", "object", "array"] = "string"


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What the OpenAPI document says of a route beyond what the framework knows."""

    status: int
    answer: type[msgspec.Struct] | None
    media: tuple[Media, ...]
    takes: type[msgspec.Struct] | Media | None
    is_body_required: bool
    refusals: tuple[int, ...]
    failures: dict[int, type[msgspec.Struct] | Media]
    is_strict: bool
    is_tagged: bool
    headers: dict[bytes, bytes]
    """Of every answer of the route, refusals included."""
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A declared route. `readers` make parameters of the function out of the query and of parts of the service."""

    method: str
    path: str
    group: str
    operation: str
    function: Handler
    readers: Mapping[str, Reader]
    read_payload: Callable[[AnyRequest], Awaitable[Any]] | None
    facts: RouteFacts

    def handler(
        self,
        parts: Mapping[str, Any],
        *,
        render: Render | None = None,
        in_time: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]] | None = None,
    ) -> HTTPRouteHandler:
        """The handler of the framework.

        Args:
            parts: the parts of the service, by the names that functions give them.
            render: makes a response of an answer.
            in_time: awaits a change, but not longer than a client should wait.

        Parts are bound here, once: what the framework has to provide with each request costs a task for each part.
        """
        summary, _, description = inspect.cleandoc(self.function.__doc__ or "").partition("\n\n")
        made: HTTPRouteHandler = METHODS[self.method](
            self.path,
            operation_id=self.operation,
            summary=" ".join(summary.split()).removesuffix("."),
            description=description or None,
            tags=[self.group],
            status_code=self.facts.status,
            opt={"facts": self.facts},
        )(
            bind(
                self.function,
                parts=parts,
                readers=self.readers,
                read_payload=self.read_payload,
                render=render,
                # Reports are written to the journal, which has a deadline of its own.
                in_time=None if self.method == "GET" or self.group == "ingest" else in_time,
            )
        )
        return made


def route(
    target: str,
    *,
    group: str,
    operation: str,
    permission: Permission,
    scope: ScopeRule,
    limit: LimitRule,
    refusals: tuple[int, ...] = (),
    status: int = HTTPStatus.OK,
    media: tuple[Media, ...] = (),
    takes: type[msgspec.Struct] | Media | None = None,
    failures: Mapping[int, type[msgspec.Struct] | Media] | None = None,
    readers: Mapping[str, Reader] | None = None,
    is_tagged: bool | None = None,
    headers: dict[bytes, bytes] | None = None,
) -> Callable[[Handler], Route]:
    """Declare a handler for `target`, such as `GET /api/v1/devices`.

    Args:
        operation: its name in generated clients.
        permission, scope, limit: who may use it, on which devices, and how often: see `model/access.py`.
        refusals: statuses of refusals beyond those that every route has.
        media: what is answered, where it is not the struct of the return annotation.
        takes: what the handler reads from the request itself; a `payload` is read for it, and not named here.
        failures: structs, or pages, of answers with an error status that are not the usual problem.
        readers: functions that read a parameter of the handler from the query, by its name.
        is_tagged: whether answers have an entity tag; as default those of GET about what is in `_TAGGED` have one.
        headers: of every answer, refusals included.
    """
    method, _, path = target.partition(" ")

    def declare(function: Handler) -> Route:
        answer, body_struct, is_body_required = _structs_of(function)
        facts = RouteFacts(
            status=int(status),
            answer=answer,
            media=media,
            takes=takes or body_struct,
            is_body_required=is_body_required,
            refusals=_with_refusals_of_bodies(refusals, takes=takes or body_struct, struct=body_struct),
            failures=dict(failures or {}),
            # Reports are taken with any query, because intermediaries may add to it.
            is_strict=method == "GET" or group != "ingest",
            is_tagged=is_tagged if is_tagged is not None else method == "GET" and group in _TAGGED,
            headers=headers or {},
            access=Access(permission, scope, limit),
        )
        return Route(
            method=method,
            path=path,
            group=group,
            operation=operation,
            function=function,
            readers=readers or {},
            read_payload=_body_reader(body_struct, is_required=is_body_required) if body_struct else None,
            facts=facts,
        )

    return declare


def _with_refusals_of_bodies(refusals: tuple[int, ...], *, takes: object, struct: object) -> tuple[int, ...]:
    """Any field of a JSON body may hold a number such as 1e400, which is 422 whatever the field is."""
    return tuple(dict.fromkeys(refusals + ((413, 415) if takes else ()) + ((422,) if struct else ())))


def _structs_of(function: Handler) -> tuple[type[msgspec.Struct] | None, type[msgspec.Struct] | None, bool]:
    """The struct of the answer and that of the body, None where there is none, and whether a body is required."""
    answer, body = function.__annotations__.get("return"), function.__annotations__.get("payload")
    answer = next(iter(get_args(answer)), answer)  # of Response[Struct], the struct
    struct, *nothing = get_args(body) if isinstance(body, UnionType) else (body,)
    return answer if isinstance(answer, type) and issubclass(answer, msgspec.Struct) else None, struct, not nothing


def _body_reader(struct: type[msgspec.Struct], *, is_required: bool) -> Callable[[AnyRequest], Awaitable[Any]]:
    decoder = msgspec.json.Decoder(struct)

    async def read(request: AnyRequest) -> Any:
        if not is_required:
            if not is_body_announced(request):
                return None  # whatever the headers say of a body: curl -d '' says that it is a form
            check_media(request.headers)  # of required bodies this was checked before anything was read
        return decode(await whole_body(request))

    def decode(body: bytes) -> Any:
        try:
            return decoder.decode(body)
        except (ValueError, RecursionError) as error:
            rest = without_bom(body)
            if rest is not None:
                return decode(rest)
            raise malformed(error, f"expected {', '.join(struct.__struct_fields__)}; see /docs", body) from error

    return read


def note_header(notes: Sequence[str]) -> dict[str, str]:
    """The notes of an answer that is a file, as a header with a list in JSON; none where there are no notes."""
    return {"fleetpulse-notes": json.dumps(notes)} if notes else {}


def check_media(headers: Headers, types: Sequence[str] = ("application/json",), *, is_coded: bool = False) -> None:
    """Refuse a body of another type than `types`, the first where none is named, or, unless `is_coded`, a coded one.

    Raises: UnsupportedMedia.
    """
    if not is_coded and headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("this route takes no Content-Encoding: send the body as it is")
    if headers.get("content-type", types[0]).split(";", 1)[0].strip().lower() not in types:
        raise UnsupportedMedia(f"Content-Type must be {types[0]}")
