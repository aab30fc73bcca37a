"""Reports with keys at the front door."""

import asyncio

import pytest
from uvicorn.config import Config

from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access.rate_rules import RateRules
from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.model.access import Principal
from fleetpulse.rate_settings import RateSettings
from fleetpulse.telemetry.counters import Counters
from stub_transport import StubServer, gate_of, request


def protected_server(config: Config | None = None) -> tuple[StubServer, dict[str, bytes]]:
    """A server of which everybody needs a key, and keys by what they are."""
    gate = gate_of(Counters(), "required", {0: {"site": "paris"}})
    keys = {name: make_key("device", number).encode() for number, name in enumerate(("a", "b"), start=1)}
    for number, name in enumerate(keys, start=1):
        gate.keys.put(number, hash_key(keys[name]), device=number - 1)
    for number, role in ((3, "ingest"), (4, "read")):
        keys[role] = make_key(role, number).encode()
        holder = Principal(kind="key", name=f"key {number}", role=role, scope=(("site", "paris"),), key=number)
        gate.keys.put(number, hash_key(keys[role]), principal=holder)
    server = StubServer(config, gate=gate)
    return server, keys


def keyed(key: bytes, device: str = "a", form: bytes = b"Authorization: Bearer %b") -> bytes:
    return request(device, headers=form % key + b"\r\n")


@pytest.mark.parametrize("form", [b"Authorization: Bearer %b", b"authorization: bearer %b", b"X-API-Key: %b"])
def test_a_device_reports_with_its_key(form: bytes) -> None:
    server, keys = protected_server()
    protocol, transport = server.connect()
    protocol.data_received(keyed(keys["a"], form=form) + keyed(keys["b"], "b", form=form))
    assert server.commit() == 1
    assert server.commit() == 1
    assert transport.statuses == [204, 204]
    assert len(server.door.header_cache.known_keyed) == 1


def test_what_may_not_report_is_refused_and_the_connection_goes_on() -> None:
    server, keys = protected_server()
    protocol, transport = server.connect()
    wrong = keys["a"][:-1] + (b"x" if keys["a"][-1:] != b"x" else b"y")
    sent = [request(), keyed(wrong), keyed(keys["a"], "b"), keyed(keys["read"]), keyed(keys["ingest"], "b")]
    protocol.data_received(b"".join([*sent, keyed(keys["ingest"])]))
    server.commit()
    assert transport.statuses == [401, 401, 403, 403, 404, 204]
    refused = {"no_key": 1, "wrong_key": 1, "other_device": 1, "role": 1, "unknown_device": 1}
    assert server.gate._counters.requests_refused == refused
    assert (server.intake.received, server.counters.events_refused) == (1, {})
    assert transport.written.count(b"www-authenticate: Bearer") == 2


def test_a_gateway_above_the_rate_of_its_key_is_refused_and_so_is_an_address_with_wrong_keys() -> None:
    server, keys = protected_server()
    rules = RateRules("", has_labels=lambda _device, _scope: False, id_of=str)
    settings = RateSettings(ingest_key_burst=2, failure_burst=1, address_burst=1)
    limits = RateLimits(settings, rules, monotonic_s=lambda: 7.0)
    server.gate.take_key = limits.take_key
    server.gate.watchers.append(lambda error, attempt: limits.refusal_of_refused(error, attempt.address))
    protocol, transport = server.connect()
    wrong = keys["a"][:-1] + (b"x" if keys["a"][-1:] != b"x" else b"y")
    for sent in [keyed(keys["ingest"])] * 3 + [keyed(wrong)] * 2 + [request()] * 2 + [keyed(keys["a"])] * 3:
        protocol.data_received(sent)
        server.commit()
    assert transport.statuses == [204, 204, 429, 401, 429, 401, 429, 204, 204, 204]
    assert server.gate._counters.requests_refused == {
        "ingest_key_rate": 1, "wrong_key": 1, "failure_rate": 1, "no_key": 1, "address_rate": 1,
    }  # fmt: skip


def test_a_key_that_is_revoked_between_two_requests_is_refused() -> None:
    server, keys = protected_server()
    protocol, transport = server.connect()
    protocol.data_received(keyed(keys["a"]))
    server.commit()
    server.gate.keys.remove(1)
    protocol.data_received(keyed(keys["a"]))
    assert transport.statuses == [204, 401]


@pytest.mark.parametrize(
    "headers",
    [
        b"Authorization: Bearer %b\nContent-Length: 0\r\n",
        b"Authorization: Bearer %b \r\n",
        b"Authorization: Bearer %b\r\nAuthorization: Bearer %b\r\n",
        b"Authorization: Bearer %b\r\nX-API-Key: %b\r\n",
        b"Authorization: Basic %b\r\n",
        b"User-Agent: %b\r\n",
        b"Authorization: Bearer \0%b\r\n",
        b"Authorization: Bearer eyJhbGciOi\r\n",
        b"Cookie: fleetpulse_session=x\r\n",
    ],
)
def test_a_header_that_shows_anything_else_is_for_the_asgi_path_to_judge(headers: bytes) -> None:
    async def application(scope: object, receive: object, send: object) -> None:
        """An ASGI application that never answers."""

    async def run() -> None:
        config = Config(application, lifespan="off")
        config.load()
        server, keys = protected_server(config)
        protocol, transport = server.connect()
        protocol.data_received(request(headers=headers.replace(b"%b", keys["a"])))
        assert isinstance(transport.protocol, AsgiProtocol)
        assert server.intake.waiting == 0

    asyncio.run(run())


def test_a_malformed_header_does_not_wait_for_its_body() -> None:
    async def application(scope: object, receive: object, send: object) -> None:
        """An ASGI application that never answers."""

    async def run() -> None:
        config = Config(application, lifespan="off")
        config.load()
        server, _ = protected_server(config)
        protocol, transport = server.connect()
        whole = request(headers=b"Authorization: Bearer fp_de\x05\0\r\n")
        protocol.data_received(whole[: whole.index(b"\r\n\r\n") + 4])
        assert isinstance(transport.protocol, AsgiProtocol)

    asyncio.run(run())
