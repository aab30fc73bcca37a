"""Receivers that are slow, down, answer garbage, redirect or are addresses that must not be reached: real sockets."""

import json
import socket
import ssl
import time
from pathlib import Path

import pytest

from authority import Authority
from fleetpulse.alert.message_text import Links, text_of
from fleetpulse.alert.receivers import alertmanager, webhook
from fleetpulse.alert.receivers.apprise_sender import AppriseSender
from fleetpulse.alert.receivers.http_post import post
from fleetpulse.alert.receivers.letter import Letter, Terms
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver, ReceiverKind
from receiving_server import Behaviour, HookServer, answer, hook_server, status

TERMS = Terms(timeout_s=0.5, allows_private=True)
SECOND = 1_000_000_000


def letter(url: str, kind: ReceiverKind = "webhook", secret: str = "") -> Letter:
    receiver = Receiver(name="hook", kind=kind, url=url, secret=secret)
    message = Message(key="key-1", receiver="hook", kind="test", at_ns=1_700_000_000 * SECOND)
    return Letter(message, receiver, url, secret, text_of(message, receiver, Links()), Links(), message.at_ns)


@pytest.mark.parametrize(
    ("behaviour", "text", "is_refused"),
    [
        (status(500), "answered 500", False),
        (status(429, "Retry-After: 7"), "answered 429", False),
        (status(404), "answered 404", True),
        (status(302, "Location: http://169.254.169.254/latest"), "redirects are not followed", True),
        (answer(b"garbage\r\n\r\n"), "no HTTP", False),
        (answer(b""), "closed the connection", False),
        (answer(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1_000 + b"\r\n"), "no HTTP", False),
        (answer(b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000 + b"\r\n\r\n"), "no HTTP", False),
        # Whichever comes first: the time of the socket, or the end that a thread makes of the connection.
        ("hang", "within 0.5 s|in time", False),
        ("drip", "within 0.5 s|in time", False),
        (answer(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000), "", False),
    ],
)
def test_a_receiver_that_misbehaves_has_failed_in_time(behaviour: Behaviour | str, text: str, is_refused: bool) -> None:
    server = HookServer()
    try:
        server.behaviours = [getattr(server, behaviour) if isinstance(behaviour, str) else behaviour]
        started_s = time.monotonic()
        outcome = webhook.send(letter(server.url), TERMS)
        assert time.monotonic() - started_s < 2
        is_said = any(part in outcome.text for part in text.split("|"))
        assert not outcome.is_delivered and is_said and outcome.is_refused == is_refused, outcome
        assert outcome.retry_after_s == (7.0 if text == "answered 429" else 0.0)
        assert len(server.requests) == 1
    finally:
        server.close()


@pytest.mark.parametrize("behaviour", ["flood", "hang_in_body"])
def test_the_body_of_an_answer_is_not_waited_for(behaviour: str) -> None:
    server = HookServer()
    try:
        server.behaviours = [getattr(server, behaviour)]
        assert webhook.send(letter(server.url), TERMS).is_delivered
    finally:
        server.close()


def test_a_receiver_that_is_down_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert "refuses connections" in webhook.send(letter(f"http://127.0.0.1:{port}"), TERMS).text


def test_what_is_sent_is_signed_with_its_time_and_has_the_key() -> None:
    with hook_server() as server:
        sent = letter(f"{server.url}/hook?a=b%20c&d", secret="key")  # noqa: S106  # of a test
        assert webhook.send(sent, TERMS).is_delivered
        first, headers, body = server.requests[0]
    assert first == "POST /hook?a=b%20c&d HTTP/1.1" and headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["idempotency-key"] == "key-1" == json.loads(body)["key"]
    assert headers["fleetpulse-timestamp"] == "1700000000"
    signed = webhook.signature(body, "key", at_s=1_700_000_000)
    assert headers["fleetpulse-signature"] == signed["Fleetpulse-Signature"]
    assert signed != webhook.signature(body, "key", at_s=1_700_000_001) != webhook.signature(body, "k", at_s=0)


@pytest.mark.parametrize("kind", ["webhook", "alertmanager"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"])
def test_the_own_machine_is_not_reached_unless_it_is_allowed(kind: ReceiverKind, host: str) -> None:
    with hook_server() as server:
        sender = webhook if kind == "webhook" else alertmanager
        outcome = sender.send(letter(f"http://{host}:{server.port}/"), TERMS._replace(allows_private=False))
        assert not outcome.is_delivered and outcome.is_refused and "not connected" in outcome.text, outcome
        assert not server.requests


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[fe80::1]", "224.0.0.1"])
def test_metadata_of_clouds_is_never_reached(host: str) -> None:
    outcome = webhook.send(letter(f"http://{host}/latest/meta-data"), TERMS)
    assert "no receiver may have" in outcome.text and outcome.is_refused


def test_a_name_is_resolved_once_and_that_very_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]]

    def resolve(*_: object, **__: object) -> object:
        return answers.pop()  # a second look would get another answer, or here, fail

    with hook_server() as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert webhook.send(letter(f"http://rebinding.example:{server.port}/"), TERMS).is_delivered
        assert server.requests[0][1]["host"] == f"rebinding.example:{server.port}"


def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = authority.issue("server", common_name="localhost", dns=("localhost",))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(path, path.with_suffix(".key"))

    class TlsServer(HookServer):
        def take(self, connection: socket.socket) -> None:
            with server_side.wrap_socket(connection, server_side=True) as tls:
                super().take(tls)

    server = TlsServer()
    try:
        url = f"https://localhost:{server.port}/"
        outcome = post(url, b"{}", {}, timeout_s=2, allows_private=True)
        assert "certificate" in outcome.text and not server.requests
        trusted = ssl.create_default_context(cafile=str(authority.path))
        assert post(url, b"{}", {}, timeout_s=2, allows_private=True, context=trusted).is_delivered
        wrong = post(
            url.replace("localhost", "127.0.0.1"), b"{}", {}, timeout_s=2, allows_private=True, context=trusted
        )
        assert "certificate" in wrong.text
    finally:
        server.close()


def test_apprise_reaches_no_address_that_is_not_allowed_and_starts_nothing(tmp_path: Path) -> None:
    sender = AppriseSender()
    with hook_server(answer()) as server:
        url = f"json://127.0.0.1:{server.port}/hidden-token"
        outcome = sender.send(letter(url, "apprise"), TERMS._replace(allows_private=False, timeout_s=10))
        assert outcome.is_refused and "private network" in outcome.text and not server.requests
        outcome = sender.send(letter(url, "apprise"), TERMS._replace(timeout_s=10))
        assert outcome.is_delivered and server.bodies()[0]["title"].startswith("[TEST]")
        server.behaviours = [status(302, f"Location: {server.url}/elsewhere")]
        assert not sender.send(letter(url, "apprise"), TERMS._replace(timeout_s=10)).is_delivered
        assert len(server.requests) == 2
        server.behaviours = [status(500)]
        failure = sender.send(letter(url, "apprise"), TERMS._replace(timeout_s=10))
        assert not failure.is_delivered and "500" in failure.text and "hidden" not in failure.text


def test_apprise_that_hangs_is_killed() -> None:
    sender = AppriseSender()
    server = HookServer()
    try:
        server.behaviours = [server.drip]
        started_s = time.monotonic()
        url = f"json://127.0.0.1:{server.port}/?rto=60"
        outcome = sender.send(letter(url, "apprise"), TERMS._replace(timeout_s=1.0))
        assert not outcome.is_delivered and time.monotonic() - started_s < 9
    finally:
        server.close()


def test_apprise_says_which_urls_it_knows() -> None:
    sender = AppriseSender()
    assert sender.check("mailto://user:password@example.com", timeout_s=10) == ""
    assert "knows no such URL" in sender.check("pigeon://loft", timeout_s=10)
    sender.close()
    assert "stops" in sender.check("mailto://user:password@example.com", timeout_s=10)
