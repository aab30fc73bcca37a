"""What all connections of the front door share."""

import asyncio
from collections.abc import Callable

from uvicorn.server import ServerState

from fleetpulse.errors import Answerable, UnknownDevice
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.header_cache import HeaderCache
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report_gate import ReportGate, ReportLanes
from fleetpulse.ingest.security_headers import POLICY


class Door:
    """State that all connections of the front door share."""

    def __init__(
        self,
        *,
        intake: Intake,
        connections: Connections,
        gate: ReportGate,
        lanes: ReportLanes,
        unknown: Callable[[str], UnknownDevice],
        register: Callable[[str], "asyncio.Future[None]"] | None = None,
        defines_unknown: bool = False,
        hands_over: Callable[[Answerable, bytes], bool] = lambda _error, _key: False,
    ) -> None:
        """`unknown` makes the refusal of an id that no device has.

        `register` registers an unknown device; None where devices must not register themselves.

        `defines_unknown`: connections that report an undefined metric are handed over to the ASGI path, which defines
        it.

        `hands_over`: whether a refusal of a key is left to the ASGI path.
        """
        self.hands_over = hands_over
        self.defines_unknown = defines_unknown
        self.intake = intake
        self.connections = connections
        self.unknown = unknown
        self.register = register
        self.limits = connections.limits
        self.gate = gate
        self.lanes = lanes
        self.header_cache = HeaderCache(connections.limits, gate)
        self._position: list[tuple[bytes, bytes]] = []
        self._headers: list[tuple[bytes, bytes]] | None = None
        self._no_content = b""

    def no_content(self, server_state: ServerState) -> bytes:
        """The answer 204, with the server's default headers, of which Date changes every second."""
        if server_state.default_headers is not self._headers:
            self._headers = server_state.default_headers
            lines = [
                b"HTTP/1.1 204 No Content",
                *(name + b": " + value for name, value in [*self._headers, *self._position, POLICY]),
            ]
            self._no_content = b"\r\n".join([*lines, b"", b""])
        return self._no_content

    def show_position(self, position: int) -> None:
        """Name in further answers 204 the entry of the shared journal that holds their events, or a later one."""
        self._position = [(b"fleetpulse-position", b"%d" % position)]
        self._headers = None
