"""Requests as telemetry sees them: what they are for, and with which status they are answered."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fleetpulse.telemetry.requests import NO_ROUTE, RequestTelemetry, Target

Message = MutableMapping[str, Any]
STREAM = b"text/event-stream"


class Watched:
    """The way of an answer to its client, which notes the status, and how long the answer took.

    An answer that has no end, the live feed, took as long as it took to begin.
    """

    __slots__ = ("_began_s", "_monotonic_s", "_send", "_took_s", "code", "inner", "method")

    def __init__(
        self, scope: Message, send: Callable[[Message], Awaitable[None]], *, monotonic_s: Callable[[], float]
    ) -> None:
        self._send = send
        self._monotonic_s = monotonic_s
        self._began_s = monotonic_s()
        self._took_s: float | None = None
        self.method = str(scope.get("method"))
        self.inner = scope
        """The scope that the application was given, which notes there what it found."""
        self.code: int | None = None
        """None until the answer has begun."""

    async def __call__(self, message: Message) -> None:
        """The next message of the application."""
        if message["type"] == "http.response.start":
            self.code = int(message["status"])
            if any(name == b"content-type" and value.startswith(STREAM) for name, value in message.get("headers", ())):
                self._took_s = self._monotonic_s() - self._began_s
        await self._send(message)

    def target(self) -> Target:
        """What the request is for, after the framework has looked for its handler.

        The path that a stranger made up is not told: it would become a series of its own.
        """
        return Target(self.method, str(self.inner.get("path_template") or NO_ROUTE))

    def count(self, requests: RequestTelemetry) -> None:
        """Count the request, which has ended."""
        target, took_s = self.target(), self._took_s
        took_s = self._monotonic_s() - self._began_s if took_s is None else took_s
        requests.count(target, self.code, took_s)
        if requests.observer is not None:
            requests.observer(target, self.code, took_s, self.inner.get("headers", ()))
