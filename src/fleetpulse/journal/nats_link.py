"""A connection to the NATS servers that is made anew as long as it is wanted, in an event loop and a thread of its own.

The client's own reconnecting is not used: it would send again, after a reconnect, what was published before it, and it
waits for a server that stands still. Here a connection that does not answer a ping is given up, and the next server of
the list is tried; what was in flight gets `Unanswered`, and whoever sent it decides what to do.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import nats.errors
import structlog
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleetpulse.errors import SettingsError
from fleetpulse.journal_settings import JournalSettings, StreamPlace
from fleetpulse.storage_causes import Away

log = structlog.get_logger("nats")
PING_S = 1.0
"""Between two looks whether the server answers."""
ANSWER_S = 2.0
"""The longest that a server may take to accept a connection or to answer a ping, before the next one is tried."""
RETRY_S = 0.2
END_S = 0.05
"""Between the end of all that ran in the loop and its own."""
AGAIN_S = 1.0
"""What failed by a defect begins anew after so long."""
NOBODY = "503"
"""The status of an answer that the server gives where nobody listens."""
BROKEN = (nats.errors.Error, OSError, EOFError, TimeoutError, RuntimeError)
"""What comes of using a connection that is no use any more. uvloop says RuntimeError where it closed it itself."""
_Result = TypeVar("_Result")


class Unanswered(Away):
    """A request got no answer: whether it was carried out is not known."""


class NotAsked(Away):
    """A request was certainly not carried out."""


class ApiError(OSError):
    """JetStream refused a request. `code` is the number of its error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"NATS refuses: {text} (error {code})")
        self.code, self.text = code, text


class NatsLink:
    """The connection. `call` is for other threads; the coroutines run in the thread of the link."""

    def __init__(self, place: StreamPlace, settings: JournalSettings) -> None:
        """Nothing is connected before `start`. Raises: SettingsError: a file of TLS or credentials is no use."""
        self._servers = list(place.servers)
        self._options = _options(place, settings)
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="journal-nats", daemon=True)
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._connected = asyncio.Event()
        self._requests: dict[str, asyncio.Future[Msg]] = {}
        """Who waits for an answer, by the last part of the subject that it comes to."""
        self._inbox, self._count = "", 0
        self._supervising: asyncio.Task[None] | None = None
        self.connections = 0
        """How many were made so far."""
        self.trouble = "no server of NATS was reached yet"
        """Why there is no connection, or why there was none."""
        self.has_changed: Callable[[], None] = lambda: None
        """Called in the thread of the link with each new connection, before it is used."""

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()
        self._loop.call_soon_threadsafe(self._begin)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self) -> None:
        self._supervising = self._loop.create_task(self._supervise())

    def call(self, work: Callable[[], Coroutine[Any, Any, _Result]], *, within_s: float) -> _Result:
        """The result of `work`, which runs in the thread of the link. Blocks. Raises: Unanswered; what it raises."""
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return future.result(within_s)
        except TimeoutError as error:
            future.cancel()
            raise Unanswered(f"NATS has not answered for {within_s:g} s") from error
        except concurrent.futures.CancelledError as error:
            raise Unanswered("the journal was closed meanwhile") from error

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Run `work` in the thread of the link, again where it fails; the result ends it, from any thread."""
        future = asyncio.run_coroutine_threadsafe(_again(work), self._loop)

        def end() -> None:
            with contextlib.suppress(RuntimeError):  # the link is closed already, and so is all that ran in it
                future.cancel()

        return end

    @property
    def server(self) -> dict[str, Any]:
        """What the connected server says of itself; empty where none is connected."""
        return {} if self._client is None else dict(self._client._server_info)  # noqa: SLF001  # no other way to it

    async def connected(self, end_s: float) -> Client:
        """The connection, once there is one. Raises: NotAsked: none was made until `end_s` of the monotonic clock."""
        while self._client is None:
            try:
                await asyncio.wait_for(self._connected.wait(), max(0.0, end_s - time.monotonic()))
            except TimeoutError:
                raise NotAsked(f"NATS does not answer: {self.trouble}") from None
        return self._client

    async def request(
        self,
        subject: str,
        body: bytes,
        *,
        end_s: float,
        answer_s: float = ANSWER_S,
        headers: dict[str, str] | None = None,
    ) -> Msg:
        """The answer to one message.

        Raises: Unanswered: none came within `answer_s`, or until `end_s`. NotAsked: it was not sent, or nobody listens.
        """
        client = self._client or await self.connected(end_s)
        within_s = min(answer_s, end_s - time.monotonic())
        if within_s <= 0:
            raise NotAsked(f"NATS does not answer: {self.trouble}")
        self._count += 1
        name, answer = str(self._count), self._loop.create_future()
        self._requests[name] = answer
        expiry = self._loop.call_later(within_s, self._expire, answer, f"NATS has not answered for {within_s:.2g} s")
        try:
            await client.publish(subject, body, f"{self._inbox}.{name}", headers)
            message: Msg = await answer
        except nats.errors.MaxPayloadError as error:
            raise ApiError(0, "the entry is larger than the server's max_payload") from error
        except BROKEN as error:
            raise Unanswered(f"the connection to NATS broke: {error}") from error
        finally:
            expiry.cancel()
            self._requests.pop(name, None)
        if not message.data and (message.headers or {}).get("Status") == NOBODY:
            raise NotAsked(f"no server of NATS leads what {subject} is for")
        return message

    @staticmethod
    def _expire(answer: asyncio.Future[Msg], text: str) -> None:
        if not answer.done():
            answer.set_exception(Unanswered(text))

    async def _answered(self, message: Msg) -> None:
        answer = self._requests.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _lose(self) -> None:
        """The connection is lost, with all that was in flight."""
        self._lost.set()
        for answer in self._requests.values():
            self._expire(answer, f"the connection to NATS broke: {self.trouble}")

    async def api(
        self, subject: str, body: object = None, *, end_s: float, answer_s: float = ANSWER_S
    ) -> dict[str, Any]:
        """The answer of JetStream's API; a request without an answer is repeated, so it must be one that may be.

        Raises: ApiError: it is refused. Unanswered, NotAsked: until `end_s` there was no answer.
        """
        encoded = b"" if body is None else msgspec.json.encode(body)
        while True:
            try:
                answer = await self.request(f"$JS.API.{subject}", encoded, end_s=end_s, answer_s=answer_s)
                decoded: dict[str, Any] = msgspec.json.decode(answer.data)
                error = decoded.get("error")
                if error is None:
                    return decoded
                if error.get("code") != 503:  # no leader now, as after a crash: it may be asked again
                    raise ApiError(int(error.get("err_code", 0)), str(error.get("description", "")))
                trouble: Away = NotAsked(f"NATS is not ready: {error.get('description', '')}")
            except Away as away:
                trouble = away
            if time.monotonic() + RETRY_S >= end_s:
                raise trouble
            await asyncio.sleep(RETRY_S)

    async def _supervise(self) -> None:
        """Connect, and see that the connection answers, again and again."""
        number = 0
        while True:
            client = Client()
            self._lost.clear()
            try:
                await asyncio.wait_for(self._connect(client, self._servers[number % len(self._servers)]), ANSWER_S * 2)
                self._client, self.connections = client, self.connections + 1
                self.has_changed()
                self._connected.set()
                await self._watch(client)
            except BROKEN as error:
                server = self._servers[number % len(self._servers)]
                self.trouble = f"{server}: {str(error) or type(error).__name__}"
            number += 1
            if self._client is not None:
                log.warning("the connection to NATS is lost", because=self.trouble)
            self._client = None
            self._connected.clear()
            self._lose()
            self._loop.create_task(_end(client))
            await asyncio.sleep(RETRY_S)

    async def _connect(self, client: Client, server: str) -> None:
        async def lost() -> None:
            if self._client in {None, client}:  # and not one that was given up before
                self._lose()

        async def failed(error: Exception) -> None:
            self.trouble = f"{server}: {error}"

        await client.connect(
            f"nats://{server}",
            allow_reconnect=False,
            connect_timeout=int(ANSWER_S),
            max_reconnect_attempts=0,
            disconnected_cb=lost,
            closed_cb=lost,
            error_cb=failed,
            pending_size=64 << 20,
            **self._options,
        )
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def _watch(self, client: Client) -> None:
        """Return when the connection is lost. Raises: nats.errors.TimeoutError: it does not answer; EOFError."""
        while not self._lost.is_set():
            await client.flush(int(ANSWER_S))
            # An error in the client ends what reads for it, which it only logs; `flush` asks nobody then.
            if client._reading_task is None or client._reading_task.done():  # noqa: SLF001  # no other way to it
                raise EOFError("the connection is not read any more")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._lost.wait(), PING_S)

    def close(self) -> None:
        """End the connection and the thread."""

        async def end() -> None:
            if self._supervising is not None:
                self._supervising.cancel()
            if self._client is not None:
                await _end(self._client)

        if self._thread.is_alive():
            with contextlib.suppress(Away):
                self.call(end, within_s=ANSWER_S * 2)
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join()
        self._loop.close()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        # A connection in the midst of its handshake is closed in further turns of the loop, and a loop that still has
        # one cannot be closed.
        self._loop.call_later(END_S, self._loop.stop)


async def _again(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` to its end; after a defect of ours in it, which must not end a watch for good, it begins anew."""
    while True:
        try:
            return await work()
        except Exception as error:
            log.error("what watches NATS failed by a defect of ours, and begins anew", exc_info=error)
        await asyncio.sleep(AGAIN_S)


async def _end(client: Client) -> None:
    """Close a connection, also one whose server does not read."""
    with contextlib.suppress(*BROKEN, AttributeError):
        await asyncio.wait_for(client.close(), ANSWER_S)


def _options(place: StreamPlace, settings: JournalSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"name": "fleetpulse"}
    if settings.nats_user:
        options |= {"user": settings.nats_user, "password": settings.nats_password}
    if place.is_tls or settings.nats_tls_ca or settings.nats_tls_certificate:
        options["tls"] = tls_context(settings)
    return options


def tls_context(settings: JournalSettings) -> ssl.SSLContext:
    """For connections to the servers and to their monitoring ports.

    Raises: SettingsError: a file of TLS is no use.
    """
    try:
        context = ssl.create_default_context(cafile=settings.nats_tls_ca or None)
        if settings.nats_tls_certificate:
            context.load_cert_chain(settings.nats_tls_certificate, settings.nats_tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"nats_tls_ca, nats_tls_certificate or nats_tls_key cannot be used: {error}") from error
    return context
