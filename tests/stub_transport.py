"""A transport without a socket, which records what a protocol does with it, and the server around such a protocol."""

import asyncio
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from fleetpulse.access.device_limits import DeviceLimits, Lanes
from fleetpulse.access.gate import Auth, Gate
from fleetpulse.access.rate import Rate
from fleetpulse.errors import UnknownDevice
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.limits import IngestLimits
from fleetpulse.model.access import Scope
from fleetpulse.model.device import unknown_id_advice
from fleetpulse.model.metric import BUILT_IN, MetricDefinition
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.telemetry.counters import Counters

NUMBERS = {"a": 0, "b": 1}


class StubTransport(asyncio.Transport):
    """Written bytes in `written`; `protocol` is the last that was set."""

    def __init__(self, peer: str = "10.0.0.1") -> None:
        super().__init__({"peername": (peer, 50_000), "sockname": ("10.0.0.9", 6_733)})
        self.written = b""
        self.protocol: Any = None
        self.is_reading = True
        self.is_closed = self.is_aborted = self.has_ended = False

    def write(self, data: Any) -> None:
        if not self.is_closing():  # what is written later never leaves
            self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    @property
    def statuses(self) -> list[int]:
        """The status of every answer that was written."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.written)]


def intake_of(
    numbers: dict[str, int] | None = None, *, events_waiting_max: int = 100, wake: Callable[[], object] = int
) -> Intake:
    """An open intake that knows devices a and b, and the metrics upload_time (0) and cpu (1)."""
    metrics = KnownMetrics(report_metrics_max=3)
    metrics.replace([(0, BUILT_IN), (1, MetricDefinition(name="cpu", lowest=0, highest=100))])
    known = dict(NUMBERS) if numbers is None else numbers
    intake = Intake(
        numbers=known,
        metrics=metrics,
        earliest_ns=IngestLimits().earliest_ns,
        events_waiting_max=events_waiting_max,
        wake=wake,
    )
    intake.open()
    intake.latest_ns = parse_rfc3339_ns("2026-12-31T00:00:00Z")
    return intake


def gate_of(counters: Counters, auth: Auth, labels: Mapping[int, Mapping[str, str]] | None = None) -> Gate:
    """A gate without keys; `labels` are those of devices, by number."""

    def has_labels(device: int, scope: Scope) -> bool:
        return all((labels or {}).get(device, {}).get(name) == value for name, value in scope)

    return Gate(
        counters=counters, auth=auth, is_at_machine=True, has_labels=has_labels, id_of=lambda number: f"press-{number}"
    )


class StubServer:
    """What connections share: the door, and uvicorn's configuration and state, as far as protocols look at them."""

    def __init__(self, config: Any = None, *, limits: IngestLimits | None = None, **door: Any) -> None:
        self.counters = Counters()
        self.connections = Connections(limits or IngestLimits(), self.counters)
        self.intake = door.pop("intake", None) or intake_of()
        self.lanes = door.pop("lanes", None) or DeviceLimits(lambda _device: Lanes(Rate(0, 1), Rate(0, 1)))
        self.gate = door.pop("gate", None) or gate_of(self.counters, "off")
        self.door = Door(
            intake=self.intake,
            connections=self.connections,
            gate=self.gate,
            unknown=lambda device_id: UnknownDevice(unknown_id_advice(device_id)),
            lanes=self.lanes,
            **door,
        )
        self.config = config
        self.state: Any = SimpleNamespace(connections=set(), default_headers=[(b"server", b"stub")], tasks=set())

    def connect(self, peer: str = "10.0.0.1") -> tuple[FrontDoor, StubTransport]:
        """A new connection at the front door."""
        transport = StubTransport(peer)
        protocol = FrontDoor(door=self.door, config=cast(Any, self.config), server_state=self.state, app_state={})
        protocol.connection_made(transport)
        return protocol, transport

    def commit(self, error: Any = None) -> int:
        """Make what waits durable, or fail it with `error`, and answer; the number of events."""
        batch = self.intake.take()
        self.intake.settle()
        for waiter in batch.waiters:
            waiter.acknowledge() if error is None else waiter.fail(error)
        return len(batch)


def request(
    device: str = "a",
    route: str = "heartbeat",
    body: bytes | None = None,
    *,
    headers: bytes = b"",
    method: str = "POST",
) -> bytes:
    """A request of a device in plain form."""
    content = b'{"sent_at": "2026-01-01T00:00:00Z"}' if body is None else body
    line = f"{method} /api/v1/devices/{device}/{route} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return line.encode() + b"Content-Length: %d\r\n" % len(content) + headers + b"\r\n" + content
