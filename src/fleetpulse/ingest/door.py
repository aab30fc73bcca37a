"""What all connections of the front door share."""

import asyncio
from collections.abc import Callable

from uvicorn.server import ServerState

from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.header_cache import HeaderCache
from fleetpulse.ingest.intake import Intake


class Door:
    """State that all connections of the front door share."""

    def __init__(
        self,
        *,
        intake: Intake,
        connections: Connections,
        register: Callable[[str], "asyncio.Future[None]"] | None = None,
        defines_unknown: bool = False,
    ) -> None:
        """`register` registers an unknown device; None where devices must not register themselves.

        `defines_unknown`: connections that report an undefined metric are handed over to the ASGI path, which defines
        it.
        """
        self.defines_unknown = defines_unknown
        self.intake = intake
        self.connections = connections
        self.register = register
        self.limits = connections.limits
        self.header_cache = HeaderCache(connections.limits)
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._no_content = b""

    def no_content(self, server_state: ServerState) -> bytes:
        """The answer 204, with the server's default headers, of which Date changes every second."""
        if server_state.default_headers is not self._headers:
            self._headers = server_state.default_headers
            lines = [b"HTTP/1.1 204 No Content", *(name + b": " + value for name, value in self._headers)]
            self._no_content = b"\r\n".join([*lines, b"", b""])
        return self._no_content
