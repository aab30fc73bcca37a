"""Which proxies are trusted, and whose address both HTTP paths take for that of the client."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config

from fleetpulse.errors import SettingsError
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.proxies import HOPS_MAX, NO_PROXIES, Client, TrustedProxies, plain_address
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters
from stub_transport import StubServer, gate_of, request

PROXIES = TrustedProxies("10.0.0.0/8, 127.0.0.1,2001:db8::/32")
BY_FORWARDED = TrustedProxies("10.0.0.0/8, 2001:db8::/32", header="forwarded")
PROXY, OTHER = "10.0.0.1", "192.0.2.1"
CASES = [
    (PROXY, b"", PROXY),
    (PROXY, b"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", "192.0.2.7"),
    (OTHER, b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", OTHER),
]


def client(proxies: TrustedProxies, *lines: tuple[str, str]) -> Client:
    return proxies.client_of([(name.encode(), value.encode()) for name, value in lines], "10.0.0.1")


@pytest.mark.parametrize("address", ["10.0.0.0", "10.255.255.255", "127.0.0.1", "2001:db8::7"])
def test_listed_addresses_and_networks_are_trusted(address: str) -> None:
    assert PROXIES.trusts(address)
    assert not NO_PROXIES.trusts(address)


@pytest.mark.parametrize("address", ["11.0.0.0", "127.0.0.2", "2001:db9::", "", "localhost", "10.0.0.1:80", "10.0.0"])
def test_nothing_else_is(address: str) -> None:
    assert not PROXIES.trusts(address)


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "*"])
def test_what_is_no_address_and_no_network_is_refused_by_its_setting(wrong: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        TrustedProxies(f"10.0.0.1, {wrong}")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], Client("10.0.0.1", is_https=False)),
        ([("x-forwarded-for", "192.0.2.7")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6, 192.0.2.7")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6, 192.0.2.7 , 10.0.0.3,127.0.0.1")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "192.0.2.7:4711")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "[2001:db9::1]:4711")], Client("2001:db9::1", is_https=False)),
        ([("x-forwarded-for", "::ffff:192.0.2.7")], Client("192.0.2.7", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6, unknown")], Client("10.0.0.1", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6, nonsense, 10.0.0.3")], Client("10.0.0.3", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6,")], Client("10.0.0.1", is_https=False)),
        ([("x-forwarded-for", "")], Client("10.0.0.1", is_https=False)),
        ([("forwarded", "for=6.6.6.6;proto=https")], Client("10.0.0.1", is_https=False)),
        ([("x-forwarded-proto", "https")], Client("10.0.0.1", is_https=True)),
        ([("x-forwarded-proto", "https, http")], Client("10.0.0.1", is_https=False)),
        ([("x-real-ip", "6.6.6.6")], Client("10.0.0.1", is_https=False)),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    lines: list[tuple[str, str]], expected: Client
) -> None:
    assert client(PROXIES, *lines) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("forwarded", 'for=6.6.6.6, For="[2001:db9::1]:4711";Proto=HTTPS')], Client("2001:db9::1", is_https=True)),
        ([("forwarded", "for=192.0.2.7;by=10.0.0.1, for=10.0.0.3")], Client("192.0.2.7", is_https=False)),
        ([("forwarded", "for=6.6.6.6"), ("forwarded", "for=192.0.2.7")], Client("192.0.2.7", is_https=False)),
        ([("forwarded", "for=6.6.6.6, for=_hidden")], Client("10.0.0.1", is_https=False)),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")], Client("10.0.0.1", is_https=False)),
    ],
)
def test_only_the_header_that_is_set_counts(lines: list[tuple[str, str]], expected: Client) -> None:
    assert client(BY_FORWARDED, *lines) == expected


@given(st.lists(st.text('0123456789.:, abc[]"=;', max_size=30), max_size=5), st.ip_addresses(v=4))
def test_what_a_client_writes_itself_changes_nothing(written: list[str], address: object) -> None:
    if not PROXIES.trusts(str(address)):
        lines = [("x-forwarded-for", text) for text in written]
        assert client(PROXIES, *lines, ("x-forwarded-for", f"1.2.3.4, {address}")).address == str(address)


def test_a_chain_without_end_is_cut() -> None:
    assert client(PROXIES, ("x-forwarded-for", ",".join(["192.0.2.7", *["10.0.0.3"] * HOPS_MAX]))).address == "10.0.0.3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("fe80::1%eth0", "fe80::1"), ('"[::1]:80"', "::1"), ("1.2.3.4", "1.2.3.4"), ("1.2.3", ""), ("x" * 9_999, "")],
)
def test_an_address_is_read_without_what_is_around_it(text: str, expected: str) -> None:
    assert plain_address(text) == expected


def server_of(config: Any = None, **door: Any) -> StubServer:
    server = StubServer(config, **door)
    server.connections.proxies = TrustedProxies("10.0.0.1")
    return server


@pytest.mark.parametrize(("peer", "headers", "client"), CASES)
def test_the_front_door_refuses_in_the_name_of_the_client(peer: str, headers: bytes, client: str) -> None:
    addresses: list[str] = []
    gate = gate_of(Counters(), "required")
    gate.watchers.append(lambda _error, attempt: addresses.append(attempt.address))
    protocol, transport = server_of(gate=gate).connect(peer)
    protocol.data_received(request(headers=headers) * 2)
    assert (transport.statuses, addresses) == ([401, 401], [client, client])


@pytest.mark.parametrize(("peer", "headers", "client"), CASES)
def test_the_asgi_path_tells_the_application_the_client(peer: str, headers: bytes, client: str) -> None:
    scopes: list[Any] = []

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        config = Config(application, lifespan="off", log_config=None)
        config.load()
        server = server_of(config)
        server.state.total_requests = 0
        protocol, transport = server.connect(peer)
        protocol.data_received(request(headers=headers, method="GET"))
        transport.protocol.data_received(request(method="GET"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert transport.statuses == [200, 200]

    asyncio.run(run())
    first, second = scopes
    assert (first["client"][0], second["client"][0]) == (client, peer)
    assert (first["scheme"], second["scheme"]) == ("https" if client == "192.0.2.7" else "http", "http")


def test_connections_of_a_trusted_proxy_are_bounded_by_their_number_alone() -> None:
    limits = replace(IngestLimits(), connections_per_address_max=1, connections_max=3)
    connections = Connections(limits, Counters(), proxies=TrustedProxies("10.0.0.1"))
    peers = [OTHER, OTHER, PROXY, PROXY, PROXY]
    admitted: list[bool] = [connections.admit(object(), peer) for peer in peers]  # type: ignore[arg-type]  # any object
    assert admitted == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("peer", "address"), [("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::1", "2001:db8::1"), ("192.0.2.7", "192.0.2.7")]
)
def test_an_address_is_written_in_one_way(peer: str, address: str) -> None:
    protocol, _ = StubServer().connect(peer)
    assert protocol._address == address
