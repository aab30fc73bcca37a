"""Every route, tried by every role, inside and outside its scope, and with every kind of key that is none.

What is expected is written down here a second time, on purpose: who may do what must not change by an edit in one
place. A request that is let in is one that the route then refuses for an unknown parameter, so that nothing changes;
only reports, which take any parameter, are taken.
"""

import asyncio
import json
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fleetpulse.api.app import ROUTES, build_api
from fleetpulse.api.routes import Route
from fleetpulse.app import build_parts
from fleetpulse.ingest.arrival import Before
from fleetpulse.model.access import Scope
from fleetpulse.model.device import Device
from fleetpulse.pipeline.service import Service
from fleetpulse.server import build_server, listen
from fleetpulse.settings import Settings
from memory_service import World
from protected_service import add_key

MAY: dict[str, set[str]] = {
    "open": {"device", "ingest", "read", "operate", "admin", "scrape", "enrol"},
    "known": {"device", "ingest", "read", "operate", "admin", "scrape", "enrol"},
    "report": {"device", "ingest", "admin"},
    "settings": {"device", "read", "operate", "admin"},
    "read": {"read", "operate", "admin"},
    "operate": {"operate", "admin"},
    "admin": {"admin"},
    "scrape": {"scrape", "read", "operate", "admin"},
    "enrol": {"enrol"},
}
SCOPES: dict[str, Scope] = {"whole": (), "inside": (("site", "paris"),), "outside": (("site", "rome"),)}
BODY = b'{"sent_at":"2024-10-04T12:00:00Z"}'
BODIES = {
    "heartbeat": BODY,
    "stats": b'{"sent_at":"2024-10-04T12:00:00Z","upload_time":5}',
    "reportMetrics": b'{"sent_at":"2024-10-04T12:00:00Z","metrics":{"upload_time":5}}',
    "events": b'{"device_id":"p1","sent_at":"2024-10-04T12:00:00Z"}',
    "ping": b"",
    "postPing": b"",
}
"""What is sent to the routes that take any parameter, and so cannot be asked without taking something."""
UNLIMITED: dict[str, Any] = dict.fromkeys(
    ["device_per_s", "key_per_s", "ingest_key_per_s", "address_per_s", "failure_per_s"], 0.0
)
SHOWN = (b"Authorization: Bearer %s\r\n", b"X-API-Key: %s\r\n")
DEVICES = {"inside": "p1", "outside": "r1", "neighbour": "p2"}
"""The device whose key a device shows: that of the path, one of another site, one of the same."""
VALUES = {"device_id": "p1", "name": "upload_time", "window_id": "0123456789abcdef"}


class Who(NamedTuple):
    """Who asks: by which key, or, where `kind` is not "good", by what else."""

    kind: str
    role: str
    whose: str
    headers: bytes
    query: str = ""


class Answer(NamedTuple):
    """Status, and the reason of the refusal, or how many lines were accepted."""

    status: int
    reason: str


class Connection:
    """One connection, kept alive; `begins_with` decides which path serves it."""

    def __init__(self, port: int, begins_with: bytes) -> None:
        self._port, self._begins_with = port, begins_with
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, headers: bytes, body: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            if self._begins_with:
                await self._exchange(self._begins_with)
        head = b"%s %s HTTP/1.1\r\nHost: localhost\r\n" % (method.encode(), target.encode())
        content = b"Content-Type: application/json\r\n" if body else b""
        return await self._exchange(b"%s%s%sContent-Length: %d\r\n\r\n%s" % (head, headers, content, len(body), body))

    async def _exchange(self, request: bytes) -> Answer:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        body, status = await reader.readexactly(length), int(head[9:12])
        assert (status == 401) == (b"www-authenticate: bearer" in head)
        if b"connection: close" in head:
            await self.close()
        found = json.loads(body) if body.startswith(b"{") else {}
        return Answer(status, str(found.get("accepted", found.get("type", "").rpartition(":")[2])))

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
            self._streams = None


@asynccontextmanager
async def served(folder: Path, **settings_given: Any) -> AsyncGenerator[tuple[Service, int]]:
    """A protected service in memory, with both HTTP paths on a socket; the port."""
    given = {"auth": "required", **UNLIMITED, **settings_given}
    settings, service = Settings(**given), await World(folder).started(**given)
    await service.registry.register_many(
        [Device("p1", {"site": "paris"}), Device("r1", {"site": "rome"}), Device("p2", {"site": "paris"})]
    )
    service.gate.set_time(service.clock.now_ns() / 1e9)
    with listen("127.0.0.1", 0) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as uvloop does, and asyncio does not
        application = build_api(build_parts(settings, service))
        server = build_server(
            application,
            service.door,
            before=Before(tls=None, proxy_header=False),
            hsts_s=0,
            idle_s=60,
            shutdown_s=1,
            waiting=100,
            stop_work=service.questions.lanes.stop,
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield service, listener.getsockname()[1]
        server.should_exit = True
        await serving
    await service.node.stop()


def holders(service: Service) -> list[Who]:
    """Holders of keys of all roles and scopes."""
    keys = [
        (role, whose, add_key(service, role, scope=scope))  # type: ignore[arg-type]  # the roles, by their names
        for role in sorted(MAY["open"] - {"device"})
        for whose, scope in SCOPES.items()
    ]
    keys += [("device", whose, add_key(service, "device", device_id=one)) for whose, one in DEVICES.items()]
    return [
        Who("good", role, whose, SHOWN[place % len(SHOWN)] % key.encode())
        for place, (role, whose, key) in enumerate(keys)
    ]


def strangers(service: Service) -> list[Who]:
    """All ways to be nobody, with keys that would be let in everywhere if they were right."""
    right, revoked = add_key(service, "admin"), add_key(service, "admin")
    own, other = add_key(service, "device", device_id="p1"), add_key(service, "device", device_id="p1")
    expired = add_key(service, "admin", expires_s=1.0)
    service.gate.keys.remove(int(revoked.split("_")[2], 36))
    service.gate.keys.remove(int(other.split("_")[2], 36))
    shown = {
        "wrong": [right[:-7] + "0000000", own[:-7] + "0000000", right.replace("admin", "read")],
        "revoked": [revoked, other],
        "expired": [expired],
        "cut": [right[:-1], own[:20], "fp_admin_", "fp_"],
        "mistyped": [right[:-1] + ("A" if right[-1] != "A" else "B"), own[:20] + "-" + own[21:]],
        "unknown": ["fp_admin_zzzzz_" + right.split("_")[3], "fp_admin_0_" + right.split("_")[3]],
        "longer": [right + "0", own * 3],
        "upper": [right.upper()],
    }
    found = [Who("none", "", "", b"")]
    for kind, keys in shown.items():
        for key in keys:
            found += [Who(kind, "", "", header % key.encode()) for header in SHOWN]
    found.append(Who("scheme", "", "", b"Authorization: Basic %s\r\n" % right.encode()))
    found.append(Who("two", "", "", b"".join(SHOWN) % (right.encode(), right.encode())))
    return [*found, Who("query", "", "", b"X-API-Key: %s\r\n" % right.encode(), query=f"key={right}")]


REASONS = {
    "none": Answer(401, "no_key"),
    "expired": Answer(401, "expired_key"),
    "upper": Answer(401, "wrong_token"),
    "scheme": Answer(401, "wrong_scheme"),
    "two": Answer(400, "two_keys"),
    "query": Answer(401, "key_in_query"),
}


def expected(route: Route, who: Who) -> Answer:
    """The one answer to a request."""
    permission, scope, _ = route.facts.access
    if permission == "open":
        return REASONS["query"] if who.query else let_in(route, who)
    if who.kind != "good":
        return REASONS.get(who.kind, Answer(401, "wrong_key"))
    if who.role not in MAY[permission]:
        return Answer(403, "role")
    if scope == "whole" and who.role != "device" and who.whose != "whole":
        return Answer(403, "scope")
    if scope == "device" and who.role == "device" and who.whose != "inside":
        return Answer(403, "other_device")
    if scope == "device" and who.whose == "outside":
        return Answer(404, "unknown_device")
    return let_in(route, who)


def let_in(route: Route, who: Who) -> Answer:
    """How a route answers a request that is let in."""
    if route.facts.is_strict:
        return Answer(400, "malformed")
    if route.operation == "events":
        return Answer(200, "1" if who.whose in ("whole", "inside") else "0")
    return Answer(route.facts.status, "")


def target_of(route: Route, who: Who) -> str:
    path = route.path.replace(":str", "").format_map(defaultdict(lambda: "1", VALUES))
    queries = [*(["no-such-parameter=1"] if route.facts.is_strict else []), *([who.query] if who.query else [])]
    return path + ("?" + "&".join(queries) if queries else "")


def cases(everybody: list[Who]) -> Iterator[tuple[Route, Who]]:
    for route in ROUTES:
        for who in everybody:
            yield route, who


async def try_all(connection: Connection, tried: list[tuple[Route, Who]]) -> list[str]:
    """What was answered otherwise than expected."""
    wrong = []
    for route, who in tried:
        body = b"" if route.facts.is_strict else BODIES[route.operation]
        answer = await connection.ask(route.method, target_of(route, who), who.headers, body)
        if answer != expected(route, who):
            wrong.append(f"{route.method} {route.path} by {who}: {answer}, not {expected(route, who)}")
    await connection.close()
    return wrong


def test_every_route_answers_everybody_as_it_should_on_both_paths(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path) as (service, port):
            everybody = [*holders(service), *strangers(service)]
            before = service.registry.declared, service.planned_downtime.version
            at_the_door = Connection(port, b"")
            handed_over = Connection(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await try_all(handed_over, list(cases(everybody))) == []
            reports = [one for one in cases(everybody) if one[0].operation in ("heartbeat", "stats", "reportMetrics")]
            refused: list[Counter[str]] = []
            for connection in (at_the_door, handed_over):
                counted = Counter(service.counters.requests_refused)
                assert await try_all(connection, reports) == []
                refused.append(service.counters.requests_refused - counted)
            assert refused[0] == refused[1]
            assert (service.registry.declared, service.planned_downtime.version) == before

    asyncio.run(test())


def test_what_a_gateway_brings_comes_into_its_scope_on_both_paths(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, auto_register=True) as (service, port):
            await service.registry.register_many([Device("r2", {"site": "rome"})])
            await service.registry.delete([service.registry.numbers["r2"]])
            key = add_key(service, "ingest", scope=SCOPES["inside"])
            for path, begins_with in (("door", b""), ("asgi", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")):
                connection = Connection(port, begins_with)
                answers = [
                    await connection.ask("POST", f"/api/v1/devices/{one}/heartbeat", SHOWN[0] % key.encode(), BODY)
                    for one in ("p1", f"new-{path}", "r1", "r2", f"new-{path}", "p2")
                ]
                assert [answer.status for answer in answers] == [204, 204, 404, 404, 204, 204]
                assert answers[2] == answers[3]
                await connection.close()
                number = service.registry.numbers[f"new-{path}"]
                assert service.registry.roster.labels_of(number) == {"site": "paris"}

    asyncio.run(test())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_route_is_in_the_matrix(route: Route) -> None:
    assert route.facts.access.permission in MAY
    assert route.facts.is_strict or route.operation in BODIES, "say in BODIES what is sent to it"
