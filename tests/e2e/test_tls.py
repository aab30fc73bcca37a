"""TLS of the running command: its own certificate files, their renewal, and devices that are known by a certificate."""

import contextlib
import http.client
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from authority import Authority
from command import run_command
from conftest import PUBLISHED, Server

BEAT = b'{"sent_at": "2026-01-01T00:00:00Z"}'
JSON = {"Content-Type": "application/json"}
DEVICE, OTHER = PUBLISHED[:2]
PATHS = [{}, {"Expect": "100-continue"}]
"""Headers by which a request is read at the front door, and on the ASGI path."""


def heartbeat(device: str) -> str:
    return f"/api/v1/devices/{device}/heartbeat"


class TlsClient:
    """One connection, perhaps with a certificate."""

    def __init__(self, port: int, authority: Authority, certificate: Path | None = None) -> None:
        context = ssl.create_default_context(cafile=authority.path)
        if certificate is not None:
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        self.connection.request(method, path, body, {**JSON, **headers} if body else headers)
        response = self.connection.getresponse()
        response.read()
        return response

    def close(self) -> None:
        self.connection.close()

    def serial(self) -> str:
        """The number of the server's certificate."""
        self.ask("GET", "/healthz")
        return str(self.connection.sock.getpeercert()["serialNumber"])


Connect = Callable[..., TlsClient]
Serve = Callable[..., Server]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server", common_name="server", ip="127.0.0.1")
    return made


def flags(authority: Authority, *more: str) -> list[str]:
    folder = authority.folder
    return ["--tls-certificate", str(folder / "server.pem"), "--tls-key", str(folder / "server.key"), *more]


@pytest.fixture
def connect(authority: Authority) -> Iterator[Connect]:
    """Makes clients, and closes them after the test."""
    clients: list[TlsClient] = []

    def make(port: int, certificate: Path | None = None) -> TlsClient:
        clients.append(TlsClient(port, authority, certificate))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def once(port: int, authority: Authority, certificate: Path | None, device: str, **headers: str) -> int:
    client = TlsClient(port, authority, certificate)
    try:
        return client.ask("POST", heartbeat(device), BEAT, **headers).status
    finally:
        client.close()


def test_both_paths_and_the_commands_speak_tls(
    serve: Serve, authority: Authority, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(*flags(authority))
    client = connect(server.port)
    answers = [
        client.ask("POST", heartbeat(DEVICE), BEAT),
        client.ask("POST", heartbeat(DEVICE), b"nonsense"),
        client.ask("GET", "/api/v1/devices"),
        client.ask("POST", heartbeat(DEVICE), BEAT),
    ]
    assert [one.status for one in answers] == [204, 400, 200, 204]
    assert {one.headers["strict-transport-security"] for one in answers} == {"max-age=31536000"}
    url = f"https://127.0.0.1:{server.port}"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    assert DEVICE in run_command("devices", "list", "--url", url).stdout


def test_certificates_that_change_are_read_again_and_wrong_ones_are_not(
    serve: Serve, authority: Authority, connect: Connect
) -> None:
    server = serve(*flags(authority, "--tls-check-s", "0.1"))
    open_before = connect(server.port)
    first = open_before.serial()
    key = (authority.folder / "server.key").read_bytes()
    (authority.folder / "server.key").write_bytes(b"nonsense")
    server.wait_for_log("the new certificate files cannot be used")
    assert connect(server.port).serial() == first
    (authority.folder / "server.key").write_bytes(key)
    server.wait_for_log("certificate files were read again")
    authority.issue("server", common_name="server", ip="127.0.0.1")
    deadline_s = time.monotonic() + 20
    while connect(server.port).serial() == first:
        assert time.monotonic() < deadline_s
    assert open_before.ask("GET", "/healthz").status == 200


def test_sighup_reads_certificates_at_once(serve: Serve, authority: Authority, connect: Connect) -> None:
    server = serve(*flags(authority, "--tls-check-s", "80000"))
    first = connect(server.port).serial()
    authority.issue("server", common_name="server", ip="127.0.0.1")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("certificate files were read again")
    assert connect(server.port).serial() != first


@pytest.mark.parametrize("headers", PATHS)
def test_a_certificate_stands_for_its_device_alone(serve: Serve, authority: Authority, headers: dict[str, str]) -> None:
    named, common = authority.issue("dns", dns=(DEVICE,)), authority.issue("common", common_name=DEVICE)
    several = authority.issue("several", common_name=DEVICE, dns=(DEVICE, OTHER))
    unknown = authority.issue("unknown", common_name="unknown")
    (authority.folder / "foreign").mkdir()
    foreign = Authority(authority.folder / "foreign").issue("foreign", common_name=DEVICE)
    server = serve(*flags(authority, "--tls-client-ca", str(authority.path)))
    for certificate, device, status in (
        (named, DEVICE, 204), (named, OTHER, 403), (named, "unknown", 403), (common, DEVICE, 204),
        (several, DEVICE, 401), (unknown, DEVICE, 401), (unknown, "unknown", 401), (None, DEVICE, 401),
    ):  # fmt: skip
        assert (once(server.port, authority, certificate, device, **headers), certificate, device) == (
            status, certificate, device
        )  # fmt: skip
    assert once(server.port, authority, named, DEVICE, Authorization="Bearer fp_wrong", **headers) == 401
    with pytest.raises((ssl.SSLError, ConnectionError)):
        once(server.port, authority, foreign, DEVICE, **headers)


def test_a_revoked_certificate_and_where_required_none_gets_no_connection(serve: Serve, authority: Authority) -> None:
    good, revoked = authority.issue("good", common_name=DEVICE), authority.issue("bad", common_name=OTHER)
    listed = authority.revoke(revoked)
    server = serve(
        *flags(authority, "--tls-client-ca", str(authority.path), "--tls-client-crl", str(listed)),
        "--tls-client-required",
    )
    assert once(server.port, authority, good, DEVICE) == 204
    for certificate in (revoked, None):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            once(server.port, authority, certificate, OTHER)


def test_a_handshake_that_never_ends_is_cut_and_one_that_is_none_is_refused(
    serve: Serve, authority: Authority, connect: Connect
) -> None:
    server = serve(*flags(authority, "--first-byte-s", "0.5", "--header-s", "0.5", "--connections-max", "20"))
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for one in silent[:10]:
        one.sendall(b"\x16\x03\x01")
    one_too_many = socket.create_connection(("127.0.0.1", server.port))
    for one in [one_too_many, *silent]:
        one.settimeout(20)
        assert one.recv(10) == b""
        one.close()
    with socket.create_connection(("127.0.0.1", server.port), 20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.recv(100)
    server.wait_for_log("a connection ended before its first request")
    assert connect(server.port).ask("GET", "/healthz").status == 200


def test_a_peer_that_ends_its_side_under_tls_harms_nobody(serve: Serve, authority: Authority, connect: Connect) -> None:
    server = serve(*flags(authority))
    context = ssl.create_default_context(cafile=authority.path)
    request = f"POST {heartbeat(DEVICE)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BEAT)}\r\n\r\n".encode() + BEAT
    for sent in (request, request * 3, request[:-3], b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"):
        raw = socket.create_connection(("127.0.0.1", server.port), 20)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            tls.sendall(sent)
            if sent is request:
                # The answer may come after our end of the TLS connection, which OpenSSL reports to us as an error.
                with contextlib.suppress(ssl.SSLError):
                    tls.unwrap().close()
    client = connect(server.port)
    assert client.ask("GET", "/healthz").status == 200
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
    assert "no effect when using ssl" not in server.log.read_text()
