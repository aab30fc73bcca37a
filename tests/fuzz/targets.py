"""What is fuzzed: all that reads bytes of strangers before it is known who they are.

Each target takes any bytes, and fails where they do what no bytes may do. The oracle of the front door is the parser of
HTTP itself, and that it does not matter into which pieces a connection was cut.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import httptools
import structlog
from uvicorn.config import Config

from fleetpulse.access.credentials import check_query, shown_in
from fleetpulse.access.key_text import hash_key, make_key, read_key
from fleetpulse.errors import Answerable
from fleetpulse.ingest.bulk import BulkReader
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.decompress import decompress
from fleetpulse.ingest.devices_import import read_import
from fleetpulse.ingest.proxies import TrustedProxies, plain_address
from fleetpulse.ingest.proxy_protocol import HEAD_BYTES, rest_bytes, source_address
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters
from stub_transport import NUMBERS, StubServer, gate_of, intake_of, request

BEAT = b'{"sent_at": "2026-01-01T00:00:00Z"}'
REPORT = b'{"sent_at": "2026-01-01T00:00:00.5+01:00", "metrics": {"cpu": 5, "upload_time": 7e0}}'
KEY = make_key("device", 1, random_bits=lambda _bits: 7).encode()
BEARER = b"Authorization: Bearer " + KEY + b"\r\n"


class Target(NamedTuple):
    """`words` are what inputs are made of."""

    run: Callable[[bytes], None]
    seeds: list[bytes]
    words: list[bytes]


def _fail_on_defects(_logger: object, method: str, event: dict[str, Any]) -> str:
    if method in ("error", "critical", "exception"):
        raise AssertionError(f"a defect was logged: {event}")
    raise structlog.DropEvent


structlog.configure(processors=[_fail_on_defects], cache_logger_on_first_use=False)
LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


async def _application(_scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and answers 200."""
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        is_more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


CONFIG = Config(_application, lifespan="off", log_config=None, ws="none")
CONFIG.load()


class Life(NamedTuple):
    """What became of the bytes of one connection."""

    answers: int
    is_closed: bool
    beats: list[tuple[int, int]]
    """(device, sent_at) of the heartbeats that the front door accepted."""


async def _live(pieces: list[bytes], *, is_protected: bool) -> Life:
    gate = gate_of(Counters(), "required" if is_protected else "off")
    gate.keys.put(1, hash_key(KEY), device=0)
    server = StubServer(CONFIG, gate=gate)
    server.state.total_requests = 0
    protocol, transport = server.connect()
    transport.protocol = protocol
    beats: list[tuple[int, int]] = []
    for piece in pieces:
        transport.protocol.data_received(piece)
        for _ in range(200):
            waiting = server.intake.take() if server.intake.waiting else None
            if waiting is not None:
                beats += zip(waiting.heartbeat_devices, waiting.heartbeat_sent_at_ns, strict=True)
                server.intake.settle()
                for waiter in waiting.waiters:
                    waiter.acknowledge()
            await asyncio.sleep(0)
            if not server.intake.waiting and not server.state.tasks and not server.connections.slices._waiting:
                break
    life = Life(len(transport.statuses), transport.is_closing() or transport.has_ended, beats)
    transport.protocol.connection_lost(None)
    await asyncio.sleep(0)
    return life


class _Reference:
    """Reads requests by the parser alone."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.url, self.body = b"", b""
        self.keys: list[bytes] = []
        self.beats: list[tuple[int, int]] = []
        self.is_protected = False

    def on_message_begin(self) -> None:
        self.url, self.body, self.keys = b"", b"", []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"authorization", b"x-api-key"):
            self.keys.append(value.partition(b" ")[2] if name.lower() == b"authorization" else value)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        device = self.url.removeprefix(b"/api/v1/devices/").removesuffix(b"/heartbeat").decode("latin-1")
        is_right = not self.is_protected or (self.keys == [KEY] and device == "a")
        if device in NUMBERS and self.url.endswith(b"/heartbeat") and is_right:
            limits = IngestLimits()
            with contextlib.suppress(Answerable):
                sent_at_ns = decode_heartbeat(
                    self.body, earliest_ns=limits.earliest_ns, latest_ns=intake_of().latest_ns
                )
                self.beats.append((NUMBERS[device], sent_at_ns))


def front_door(data: bytes) -> None:
    """No beat is accepted that is none to the parser of HTTP, or without its key; cuts change nothing."""
    if len(data) < 3:
        return
    cut, is_protected, data = data[0] | (data[1] & 3) << 8, bool(data[1] & 4), data[2:]
    whole = LOOP.run_until_complete(_live([data], is_protected=is_protected))
    pieces = [data[:cut], data[cut:]] if 0 < cut < len(data) else [data]
    cut_up = LOOP.run_until_complete(_live(pieces, is_protected=is_protected))
    reference = _Reference()
    reference.is_protected = is_protected
    with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        reference.parser.feed_data(data)
    assert (whole.answers, whole.is_closed) == (cut_up.answers, cut_up.is_closed), (whole, cut_up)
    if b"pgrade" not in data.lower():  # where the reference stops
        for life in (whole, cut_up):
            assert life.beats == reference.beats[: len(life.beats)], (life.beats, reference.beats)


def decoder(data: bytes) -> None:
    """A body is decoded, or refused."""
    intake = intake_of()
    for decode, more in ((decode_heartbeat, {}), (decode_stats, {}), (decode_metrics, {"known": intake.metrics})):
        with contextlib.suppress(Answerable):
            decode(data, earliest_ns=intake.earliest_ns, latest_ns=intake.latest_ns, **more)  # type: ignore[operator]  # of any shape


def bulk(data: bytes) -> None:
    """Each line is accepted or refused, and the events that were accepted are whole; bombs are refused."""
    if not data:
        return
    limits, intake = IngestLimits(), intake_of()
    coding = ("", "gzip", "zstd")[data[0] % 3]
    data = data[1:]
    with contextlib.suppress(Answerable):
        data = decompress(data, coding, limits) if coding else data
        reader = BulkReader(data, numbers=NUMBERS, metrics=intake.metrics, latest_ns=intake.latest_ns, limits=limits)
        for _ in reader.pieces():
            pass
        events = reader.events
        assert len(events.heartbeat_devices) == len(events.heartbeat_sent_at_ns)
        assert len(events.sample_devices) == len(events.sample_values) == len(events.sample_metrics)
        assert all(device in (0, 1) for device in [*events.heartbeat_devices, *events.sample_devices])


def keys(data: bytes) -> None:
    """No text but the key itself is that key; what a header or a query shows is read, or refused."""
    gate = gate_of(Counters(), "required")
    gate.keys.put(1, hash_key(KEY), device=0)
    refusal = gate.refusal_of(data, 0)
    assert (refusal is None) == (data == KEY), data
    with contextlib.suppress(ValueError):
        role, number = read_key(data.decode("latin-1"))
        assert data.startswith(f"fp_{role}_".encode()), number
    for name in (b"authorization", b"x-api-key", b"cookie"):
        with contextlib.suppress(Answerable):
            shown_in([(name, data)])
    with contextlib.suppress(Answerable):
        check_query(data)
        assert KEY not in data


def proxies(data: bytes) -> None:
    """An address is one, whatever a header or a proxy says."""
    for header in ("x-forwarded-for", "forwarded"):
        trusted = TrustedProxies("10.0.0.0/8", header=header)
        address = trusted.client_of([(header.encode(), data)], "10.0.0.1").address
        assert plain_address(address) == address
    with contextlib.suppress(ValueError):
        if len(data) >= HEAD_BYTES + rest_bytes(data[:HEAD_BYTES]):
            source_address(data)


def devices(data: bytes) -> None:
    """A CSV of devices is read, or refused."""
    with contextlib.suppress(Answerable):
        read_import(data, lines_max=1_000)


_HTTP = [
    b"POST /api/v1/devices/a/heartbeat HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n\r\n", b"\r\n", b"Content-Length: 35\r\n",
    b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n", BEARER, KEY,
    b"X-API-Key: ", b"Origin: null\r\n", b"\n", b" ", b"\t", b"\0", b"%2e", b"%00", b"/b/", b"0\r\n\r\n", BEAT,
    b"HTTP/1.0", b"Expect: 100-continue\r\n",
]  # fmt: skip
_JSON = [b'"sent_at"', b'"metrics"', b'"cpu"', b'"upload_time"', b'"device_id"', b"{", b"}", b"[", b":", b",", b"null",
         b"1e400", b"-0", b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"2026-01-01T00:00:00Z", b"\n"]  # fmt: skip
_LINE = b'{"device_id":"a","sent_at":"2026-01-01T00:00:00Z"}\n'
_FIRST = [b"\0\0", b"\x50\0", b"\0\4", b"\xa0\4"]
_SENT = [
    request(),
    request(headers=BEARER),
    request(headers=BEARER) * 2 + request("b"),
    request("a", "metrics", REPORT),
    request(method="GET"),
    request(headers=b"Transfer-Encoding: chunked\r\n"),
    request(headers=b"Expect: 100-continue\r\n"),
]
TARGETS = {
    "front_door": Target(front_door, [first + sent for first in _FIRST for sent in _SENT], _HTTP),
    "decoder": Target(decoder, [BEAT, REPORT, BEAT[:-1] + b', "upload_time": 7}'], _JSON),
    "bulk": Target(
        bulk,
        [b"\0" + _LINE * 3, b"\1" + zlib.compress(_LINE, wbits=31), b"\0" + b'{"device_id":"b",' + REPORT[1:] + b"\n"],
        _JSON,
    ),
    "keys": Target(
        keys, [KEY, b"Bearer " + KEY, b"fleetpulse_session=x; a=b", b"a=" + KEY], [b"fp_", b"device", b"_", KEY]
    ),
    "proxies": Target(
        proxies, [b"1.2.3.4, 10.0.0.2", b'for="[::1]:80";proto=https'], [b"for=", b",", b"[::1]", b":", b'"']
    ),
    "devices": Target(
        devices, [b"device_id,site\na,paris\n", b'device_id,interval\n"a",60\n'], [b"device_id", b",", b'"', b"\r\n"]
    ),
}
