"""What holds for the answers of all routes, around the application: HEAD, Allow, entity tags, and compression.

Here it is also said who asks, for the turns of questions and so that nobody works for a client that has hung up.

    client ── HEAD becomes GET ────────────────────────────────────────────────────────────────────────> application
           <── Allow complete; 304 where the client has it; compressed where it offers that; no body for HEAD ──

It stands outside of the framework, so that answers of handlers, refusals and answers of the framework itself are
treated alike.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPMethod, HTTPStatus
from typing import Any

import structlog

from fleetpulse.api.compression import Compressor, compress_at_once, compress_piece, compressor, is_compressible, vary
from fleetpulse.api.long_body import LONG_BYTES, LongBody, Rendering, provide_place, tag_of
from fleetpulse.api.origins import Origins
from fleetpulse.api.request_id import HEADER as REQUEST_ID
from fleetpulse.api.request_id import give_id, request_id_of
from fleetpulse.api.routes import METHODS, RouteFacts
from fleetpulse.api.watched import Watched
from fleetpulse.errors import Answerable, BrokenOff, NotAcceptable, QuestionStopped
from fleetpulse.ingest.accept import IDENTITY, choose_coding, matches_tag, problem_media, refuses_identity
from fleetpulse.ingest.asgi_protocol import CUT
from fleetpulse.ingest.peer import EXTENSION, Peer
from fleetpulse.ingest.problem_response import problem_body, problem_headers
from fleetpulse.ingest.security_headers import POLICY
from fleetpulse.key_shape import without_secrets
from fleetpulse.limits import QuestionLimits
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.pace import Pace
from fleetpulse.pipeline.tail import HEADER, Tail
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("api")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Headers = dict[bytes, bytes]
_ABOUT_CONTENT = (b"content-type", b"content-length", b"content-disposition")


class Manners:
    """An ASGI application around another one."""

    def __init__(
        self,
        application: Application,
        *,
        methods: Mapping[str, Iterable[str]],
        counters: Counters,
        rendering: Rendering,
        limits: QuestionLimits,
        origins: Origins,
        charge: Callable[[Any], Answerable | None],
        monotonic_s: Callable[[], float] = time.monotonic,
        tail: Tail | None = None,
    ) -> None:
        """`methods`: those of each path, which has the names of its parameters in braces.

        `charge`: charges a request that is answered here, by its scope, or says why it is not answered.
        """
        self.application = application
        self._charge = charge
        self._common = _Common(
            allow={path: _complete([*names, HTTPMethod.OPTIONS]) for path, names in methods.items()},
            counters=counters,
            limits=limits,
            origins=origins,
            rendering=rendering,
            monotonic_s=monotonic_s,
            tail=tail,
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, and count it. The server cancels it where its time is over when the service stops."""
        watched = Watched(scope, send, monotonic_s=self._common.monotonic_s)
        try:
            await self._answer(scope, receive, watched)
        except asyncio.CancelledError:
            log.info(
                "a request was cut off, since the service stops",
                method=scope["method"],
                path=without_secrets(scope["path"]),
            )
        finally:
            watched.count(self._common.counters.requests)

    async def _answer(self, scope: Message, receive: Receive, send: Watched) -> None:
        peer: Peer | None = scope.get("extensions", {}).get(EXTENSION)
        address, _ = scope.get("client") or ("", 0)
        asker = Asker(address, bool if peer is None else peer.has_hung_up, keeps_turns=True)
        set_asker(asker)
        give_id(scope)
        method = scope.get("method")
        if method == HTTPMethod.OPTIONS and scope["path"] == "*":
            refusal = self._charge(scope)
            if refusal is not None:
                await _Answer(self._common, asker, scope, receive, send).refuse(refusal, is_counted=True)
                return
            await _send_whole(send, HTTPStatus.NO_CONTENT, {b"allow": _complete([*METHODS, HTTPMethod.OPTIONS])}, b"")
            return
        inner = {**scope, "method": "GET"} if method == HTTPMethod.HEAD else scope
        send.inner = inner
        answer = _Answer(self._common, asker, inner, receive, send)
        answer.is_head = inner is not scope
        if inner.get("method") == HTTPMethod.GET and choose_coding(answer.header(b"accept-encoding")) is None:
            await answer.refuse(NotAcceptable("Accept-Encoding refuses the answer as it is, and as gzip and zstd"))
            return
        try:
            await self.application(inner, answer.receive, answer.send)
        finally:
            answer.close()


@dataclass(frozen=True, slots=True)
class _Common:
    """What all answers share."""

    allow: Mapping[str, bytes]
    """The value of Allow, by path."""
    counters: Counters
    limits: QuestionLimits
    origins: Origins
    rendering: Rendering
    monotonic_s: Callable[[], float]
    tail: Tail | None


class _Answer:
    """The answer to one request, on its way from the application to the client."""

    __slots__ = (
        "_asker", "_common", "_compressor", "_has_asked", "_is_over", "_place", "_receive", "_scope", "_send",
        "_start", "is_head",
    )  # fmt: skip

    def __init__(self, common: _Common, asker: Asker, scope: Message, receive: Receive, send: Send) -> None:
        self._common = common
        self._asker = asker
        self._scope = scope
        self._receive = receive
        self._send = send
        self._place = provide_place()
        """Where a long body is left, which does not pass through the framework."""
        self._start: Message | None = None
        self._compressor: Compressor | None = None
        self._has_asked = False
        self._is_over: asyncio.Event | None = None
        self.is_head = False

    def close(self) -> None:
        """Hold nothing any more: the answer is sent, or nobody waits for it."""
        self._asker.end_turn()
        self._place.close()

    def header(self, name: bytes) -> str:
        """The values of a header of the request, with commas between."""
        return ", ".join([value.decode("latin-1") for key, value in self._scope["headers"] if key == name])

    async def receive(self) -> Message:
        """The next message of the client. After the answer to HEAD, its body need not be made: the client has left."""
        if not self.is_head:
            return await self._receive()
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self._is_over = self._is_over or asyncio.Event()
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The next message of the application."""
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self._start = message
        elif self._start is not None:
            start, self._start = self._start, None
            await self._begin(start, body, is_whole=is_last)
        elif not self.is_head:
            if self._compressor is not None:
                body = await self._compressed(self._compressor, body, is_last=is_last)
            await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def _begin(self, start: Message, body: bytes, *, is_whole: bool) -> None:
        """Send the header, and the body or its first piece."""
        status, headers = int(start["status"]), dict(start["headers"])
        handler = self._scope.get("route_handler")
        facts: RouteFacts | None = None if handler is None else handler.opt.get("facts")
        self._asker.end_turn()
        long, self._place.body = self._place.body, None
        size_bytes = len(body) if long is None else long.size_bytes
        if handler is not None and facts is not None:
            headers |= facts.headers
            if "ingest" not in (handler.tags or ()):  # reports are answered by the front door too, which gives no ids
                headers[REQUEST_ID] = request_id_of(self._scope).encode()
            elif self._common.tail is not None and status < HTTPStatus.BAD_REQUEST:
                headers[HEADER.lower().encode()] = b"%d" % self._common.tail.acked
            if facts.is_tagged and status == HTTPStatus.OK and is_whole:
                tag = tag_of(body) if long is None else long.tag
                if self._has(headers, tag, size_bytes):
                    status, body, long, size_bytes = HTTPStatus.NOT_MODIFIED, b"", None, 0
        if b"allow" in headers:
            # The framework forgets some methods of a path with several handlers, but only in answers to OPTIONS.
            known = self._common.allow.get(self._scope.get("path_template", ""))
            headers[b"allow"] = known or _complete(headers[b"allow"].decode().split(", "))
        self._guard(headers)
        coding = self._coding(status, headers, size_bytes, is_whole=is_whole) if size_bytes else None
        if long is not None:
            await self._send_long(status, headers, long, coding)
            return
        if coding is not None:
            body = await self._encode(headers, body, coding, is_whole=is_whole)
        if self.is_head:
            await self._send_head(status, headers)
            return
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_whole})

    def _guard(self, headers: Headers) -> None:
        """Add what keeps caches and browsers from doing more with the answer than its client asked for."""
        headers.setdefault(*POLICY)
        if self._scope["method"] == HTTPMethod.GET:
            headers.setdefault(b"cache-control", b"no-store")
        origins = self._common.origins
        if origins.are_listed:
            vary(headers, b"Origin")
            headers |= origins.headers_of(self._scope["method"], self._scope["headers"], headers.get(b"allow", b""))

    def _has(self, headers: Headers, tag: str, size_bytes: int) -> bool:
        """Whether the client has the answer with a tag already; changes `headers` to those of 200 or 304."""
        headers[b"etag"] = tag.encode()
        headers[b"cache-control"] = b"private, no-cache"  # the client may store it, but must ask again
        if not matches_tag(self.header(b"if-none-match"), tag):
            return False
        self._common.counters.answers_not_modified += 1
        if self._can_shrink(headers, size_bytes):
            vary(headers)
        for name in _ABOUT_CONTENT:
            headers.pop(name, None)
        return True

    def _can_shrink(self, headers: Headers, size_bytes: int, *, is_whole: bool = True) -> bool:
        """Whether compression would make an answer smaller by much."""
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        return (size_bytes >= self._common.limits.compress_bytes_lowest or not is_whole) and is_compressible(
            content_type
        )

    def _coding(self, status: int, headers: Headers, size_bytes: int, *, is_whole: bool) -> str | None:
        """The coding that the client likes best, None for the body as it is; changes `headers`.

        A refusal stays as it is, so that the front door, which does not compress, gives the same.
        """
        accepted = self.header(b"accept-encoding")
        coding = choose_coding(accepted)
        can_shrink = status < HTTPStatus.BAD_REQUEST and self._can_shrink(headers, size_bytes, is_whole=is_whole)
        if can_shrink:
            vary(headers)
        if coding in (None, IDENTITY) or not (can_shrink or refuses_identity(accepted)):
            return None
        self._common.counters.answers_compressed[str(coding)] += 1
        headers[b"content-encoding"] = str(coding).encode()
        headers.pop(b"content-length", None)
        return coding

    async def _encode(self, headers: Headers, body: bytes, coding: str, *, is_whole: bool) -> bytes:
        """The body, or its first piece, in a coding; changes `headers`."""
        self._compressor = compressor(coding)
        if self.is_head and not is_whole:
            return b""
        body = await self._compressed(self._compressor, body, is_last=is_whole)
        if is_whole:
            headers[b"content-length"] = b"%d" % len(body)
        return body

    async def _compressed(self, into: Compressor, body: bytes, *, is_last: bool) -> bytes:
        if len(body) <= LONG_BYTES:
            return await compress_piece(into, body, is_last=is_last)
        made: bytes = await self._common.rendering.run(partial(compress_at_once, into, body, is_last=is_last))
        return made

    async def _send_long(self, status: int, headers: Headers, body: LongBody, coding: str | None) -> None:
        """Send an answer piece by piece, each when the client has read enough of those before."""
        if coding is not None:
            try:
                await self._common.rendering.compress(body, coding)
            except QuestionStopped as stop:
                await self.refuse(stop)
                return
        headers[b"content-length"] = b"%d" % body.size_bytes
        if self.is_head:
            await self._send_head(status, headers)
            return
        lowest, monotonic_s = self._common.limits.answer_bytes_per_s_lowest, self._common.monotonic_s
        pace = Pace(lowest, "answer_bytes_per_s_lowest", monotonic_s)
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
        is_last = False
        while not is_last:
            piece, is_last = body.next()
            pace.give(len(piece))
            await self._send({"type": "http.response.body", "body": piece, "more_body": not is_last})
            await asyncio.sleep(0)  # a client that reads quickly must not keep the loop
            try:
                pace.take()
            except BrokenOff as error:
                self._cut(error)
                return

    def _cut(self, error: BrokenOff) -> None:
        self._common.counters.requests_refused["slow_reader"] += 1
        log.warning("an answer was broken off", path=without_secrets(self._scope["path"]), reason=str(error))
        cut = self._scope.get("extensions", {}).get(CUT)
        if cut is not None:
            cut()

    async def _send_head(self, status: int, headers: Headers) -> None:
        await _send_whole(self._send, status, headers, b"")
        self._is_over = self._is_over or asyncio.Event()
        self._is_over.set()

    async def refuse(self, error: Answerable, *, is_counted: bool = False) -> None:
        """Answer an error without the application. `is_counted`: it is counted already."""
        body = problem_body(error)
        media = problem_media(self.header(b"accept")).encode()
        headers = {b"content-type": media, b"content-length": b"%d" % len(body), **dict(problem_headers(error))}
        self._guard(headers)
        if not is_counted:
            self._common.counters.requests_refused[error.reason] += 1
        await _send_whole(self._send, error.status, headers, b"" if self.is_head else body)


async def _send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": body})


def _complete(methods: Sequence[str]) -> bytes:
    """The value of Allow: HEAD is allowed wherever GET is."""
    return ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])})).encode()
