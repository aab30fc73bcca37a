"""Hostile shapes through nginx and HAProxy, and whom the real server takes for the client behind them."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from authority import Authority
from conftest import PUBLISHED, Server
from front_proxy import PROXIES, Proxy, command_of, free_port
from hostile import AMBIGUOUS, ODD_IDS

DEVICE = PUBLISHED[0]
CLIENT = "127.0.0.2"
"""An address of this machine that is no trusted proxy."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    command = command_of(tmp_path / "data", free_port())
    started = Server.run(command, log=tmp_path / "serve.log", folder=tmp_path / "data")
    yield started
    assert started.stop() == 0
    assert "Traceback" not in started.log.read_text()


def key_of(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {(server.folder / 'admin.key').read_text().strip()}"}


def exchange(connection: socket.socket, sent: bytes, *, idle_s: float = 2.0) -> bytes:
    """What comes back until the other side ends, or is silent for a moment."""
    received = b""
    with contextlib.suppress(OSError), connection:
        connection.settimeout(idle_s)
        connection.sendall(sent)
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("kind", PROXIES)
def test_whatever_one_client_sends_the_next_gets_its_own_answer(kind: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    proxy = Proxy(kind, tmp_path / "proxy", backend=server.port)
    headers = key_of(server)
    line = f"Authorization: {headers['Authorization']}\r\n".encode()
    try:
        # The proxy shares its connections to the server: a rest of an attack on one would spoil the next answer.
        with contextlib.closing(proxy.connection()) as victim:
            for name, sent in AMBIGUOUS.items():
                for attack in (sent, sent.replace(b"Content-Type", line + b"Content-Type", 1)):
                    exchange(proxy.tls_socket(), attack, idle_s=0.05)
                for path in (f"/api/v1/devices/{DEVICE}", "/api/v1/whoami", f"/api/v1/devices/{PUBLISHED[1]}"):
                    victim.request("GET", path, headers=headers)
                    answer = victim.getresponse()
                    text = answer.read().decode()
                    assert (answer.status, path.rpartition("/")[2] in text or "admin" in text) == (200, True), (
                        name,
                        text,
                    )
            for odd in ODD_IDS:
                sent = f"GET /api/v1/devices/{odd}/stats HTTP/1.1\r\nHost: x\r\n".encode() + line + b"\r\n"
                assert b" 200 " not in exchange(proxy.tls_socket(), sent, idle_s=0.2)[:20], odd
    finally:
        proxy.stop()


@pytest.mark.parametrize("kind", PROXIES)
def test_refused_requests_are_those_of_the_client_and_not_of_the_proxy(
    kind: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "proxy").mkdir()
    proxy = Proxy(kind, tmp_path / "proxy", backend=server.port)
    head = f"POST /api/v1/devices/{DEVICE}/heartbeat HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n"
    try:
        for more in ("", "Expect: 100-continue\r\n"):
            plain = socket.create_connection(("127.0.0.1", proxy.port), 20, source_address=(CLIENT, 0))
            tls = proxy.context().wrap_socket(plain, server_hostname="127.0.0.1")
            sent = f"{head}{more}X-API-Key: fp_device_1_wrong\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            assert b" 401 " in exchange(tls, sent.encode())
    finally:
        proxy.stop()
    addresses = audited_addresses(server)
    assert (CLIENT in addresses, "6.6.6.6" in addresses) == (True, False), addresses


def audited_addresses(server: Server) -> str:
    """What the audit log says of refused requests; they are in it after a moment."""
    end_s = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/api/v1/audit", headers=key_of(server))
            text = connection.getresponse().read().decode()
        if "wrong_key" in text:
            return text
        assert time.monotonic() < end_s, text
        time.sleep(0.1)


TCP = """
defaults
    mode tcp
    timeout client 20s
    timeout server 20s
    timeout connect 5s
frontend passing
    bind 127.0.0.1:{port}
    default_backend node
backend node
    server node 127.0.0.1:{backend} send-proxy-v2
"""


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy (Debian: haproxy)")
@pytest.mark.parametrize("is_tls", [False, True])
def test_haproxy_says_by_the_proxy_protocol_who_the_client_is(is_tls: bool, tmp_path: Path) -> None:
    authority, more = Authority(tmp_path), ["--proxy-protocol"]
    if is_tls:
        path = authority.issue("server", common_name="server", ip="127.0.0.1")
        more += ["--tls-certificate", str(path), "--tls-key", str(path.with_suffix(".key"))]
    command = [*command_of(tmp_path / "data", free_port()), *more]
    server = Server.run(command, log=tmp_path / "serve.log", folder=tmp_path / "data")
    port, configuration = free_port(), tmp_path / "tcp.cfg"
    configuration.write_text(TCP.format(port=port, backend=server.port))
    haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(configuration)])
    try:
        end_s = time.monotonic() + 20
        while True:
            try:
                plain = socket.create_connection(("127.0.0.1", port), 20, source_address=(CLIENT, 0))
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end_s
                time.sleep(0.05)
        context = ssl.create_default_context(cafile=authority.path)
        connection = context.wrap_socket(plain, server_hostname="127.0.0.1") if is_tls else plain
        assert b" 400 " in exchange(connection, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n")
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"peer"' in line]
        assert [line["peer"] for line in lines] == [CLIENT]
        with socket.create_connection(("127.0.0.1", server.port), 20) as bare:
            bare.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert bare.recv(100) == b""
    finally:
        haproxy.terminate()
        haproxy.wait(20)
        assert server.stop() == 0
