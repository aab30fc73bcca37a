"""A real OpenID provider on loopback signs tokens, turns its keys and goes away; and what answers like none at all."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from conftest import Server
from fleetpulse.pipeline.issuer_reading import IssuerAddress, IssuerAway

FLEET = "device_id,site\npress-1,paris\npress-2,rome\n"
PEOPLE = [
    {"sub": "1", "preferred_username": "alice", "groups": ["paris"]},
    {"sub": "2", "preferred_username": "bob", "groups": ["ops"]},
    {"sub": "3", "preferred_username": "eve", "groups": ["visitors"]},
]
SCRIPT = Path(__file__).parent / "serve_by_clock.py"


class Provider:
    """A process of oidc-provider-mock; each start has a key of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        users = [word for person in PEOPLE for word in ("--user-claims", json.dumps(person))]
        command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen([*command, *users], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                httpx.get(f"{self.url}/jwks").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("the provider did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def token(self, subject: str, audience: str = "fleetpulse") -> str:
        """What a person gets who signs in there by the code flow."""
        questions = {
            "client_id": audience,
            "response_type": "code",
            "redirect_uri": "http://127.0.0.1/back",
            "scope": "openid profile",
        }
        answer = httpx.post(f"{self.url}/oauth2/authorize", params=questions, data={"sub": subject})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": questions["redirect_uri"]}
        form |= {"client_id": audience, "client_secret": "of-nobody"}
        return str(httpx.post(f"{self.url}/oauth2/token", data=form).json()["id_token"])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    started = Provider()
    yield started
    started.stop()


def settings_of(provider: Provider) -> dict[str, str]:
    return {
        "auth": "required",
        "oidc_issuer": provider.url,
        "oidc_audience": "fleetpulse",
        "oidc_roles": "ops=admin; paris=read site:paris",
        "device_issuer": provider.url,
        "device_audience": "presses",
        "issuer_retry_s": "0.1",
    }


def ask(server: Server, method: str, path: str, token: str, body: object = None) -> tuple[int, str]:
    """Status and reason of an answer."""
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"http://127.0.0.1:{server.port}{path}", json=body, headers=headers)
    kind = answer.headers.get("content-type", "")
    return answer.status_code, answer.json()["type"].rpartition(":")[2] if "problem" in kind or answer.is_error else ""


def test_clocks_that_differ_are_named(provider: Provider, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    flags = [f"{name}={value}" for name, value in settings_of(provider).items()]
    clock.write_text("-90")
    command = [sys.executable, str(SCRIPT), str(clock), str(tmp_path / "data"), *flags]
    server = Server.run(command, log=tmp_path / "log", folder=tmp_path / "data")
    try:
        token = provider.token("2")
        for wrong_s, outcome in (("-90", (401, "token_not_yet")), ("-50", (200, "")), ("3700", (401, "expired_token"))):
            clock.write_text(wrong_s)
            assert ask(server, "GET", "/api/v1/devices", token) == outcome
    finally:
        server.stop()


def test_people_and_devices_of_a_provider_are_let_in_through_rotation_and_outage(
    provider: Provider, serve: Callable[..., Server], tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.csv"
    fleet.write_text(FLEET)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings_of(provider).items()]
    server = serve(*flags, devices=fleet)
    alice, bob, eve = (provider.token(subject) for subject in "123")
    press = provider.token("press-1", "presses")
    assert ask(server, "GET", "/api/v1/devices/press-1", alice) == (200, "")
    assert ask(server, "GET", "/api/v1/devices/press-2", alice) == (404, "unknown_device")
    assert ask(server, "DELETE", "/api/v1/devices/press-1", alice) == (403, "role")
    assert ask(server, "GET", "/api/v1/users", bob) == (200, "")
    assert ask(server, "GET", "/api/v1/devices", eve) == (403, "no_role")
    assert ask(server, "GET", "/api/v1/devices", provider.token("1", "other")) == (401, "wrong_audience")
    beat = {"sent_at": "2026-01-01T00:00:00Z"}
    assert ask(server, "POST", "/api/v1/devices/press-1/heartbeat", press, beat) == (204, "")
    assert ask(server, "POST", "/api/v1/devices/press-2/heartbeat", press, beat) == (403, "other_device")
    assert ask(server, "GET", "/api/v1/devices", press) == (403, "role")
    assert ask(server, "POST", "/api/v1/devices/press-1/heartbeat", alice, beat) == (403, "role")
    provider.stop()
    assert ask(server, "GET", "/api/v1/devices/press-1", alice) == (200, "")
    server.stop()
    server = serve(*flags, devices=fleet)  # while the provider is away
    assert ask(server, "GET", "/api/v1/devices/press-1", alice) == (200, "")
    provider.start()
    assert ask(server, "GET", "/api/v1/devices/press-1", alice) == (200, "")
    again = provider.token("1")  # signed with the key of the second start
    time.sleep(0.1)  # issuer_retry_s
    assert ask(server, "GET", "/api/v1/devices/press-1", again) == (200, "")
    assert ask(server, "GET", "/api/v1/devices/press-1", alice) == (401, "wrong_token")
    assert "eyJ" not in server.log.read_text()


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server on loopback that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def read(url: str, *, keys_url: str = "", timeout_s: float = 2) -> bytes:
    address = IssuerAddress(issuer=url, keys_url=keys_url, timeout_s=timeout_s, bytes_max=4_096, allows_http=False)
    return address.read()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda handler: send(handler, b"{}"), "discovery is no JSON object"),
        (lambda handler: send(handler, b"[" * 4_000), "discovery is no JSON object"),
        (
            lambda handler: send(handler, b'{"issuer": "https://other", "jwks_uri": "https://other/k"}'),
            "another issuer",
        ),
        (lambda handler: send(handler, b"x" * 5_000), "issuer_bytes_max"),
        (lambda handler: send(handler, b"", 302, Location="http://127.0.0.1:9/"), "redirects are not followed"),
        (lambda handler: send(handler, b"", 500), "it answered 500"),
        (lambda handler: handler.wfile.write(b"\x00\xff nonsense\r\n\r\n"), "127.0.0.1"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), "127.0.0.1"),
        (drip, "issuer_timeout_s"),
    ],
    ids=["empty", "deep", "other", "long", "redirect", "failed", "nonsense", "cut", "drip"],
)
def test_what_does_not_answer_as_an_issuer_is_named_in_time(answer: Answer, text: str) -> None:
    with answering(answer) as url:
        began_s = time.monotonic()
        with pytest.raises(IssuerAway, match=text):
            read(url, timeout_s=0.3)
        assert time.monotonic() - began_s < 2


def test_keys_are_read_where_the_issuer_is_and_nowhere_else() -> None:
    paths: list[str] = []
    with answering(lambda handler: (paths.append(handler.path), send(handler, b"{}"))[1]) as other:  # type: ignore[func-returns-value]  # both are wanted
        keys_urls = [""]

        def discovery(handler: BaseHTTPRequestHandler) -> None:
            is_discovery = handler.path.endswith("openid-configuration")
            send(handler, json.dumps({"issuer": issuer, "jwks_uri": keys_urls[-1]}).encode() if is_discovery else b"k")

        with answering(discovery) as issuer:
            keys_urls.append(f"{issuer}/keys")
            assert read(issuer) == b"k"
            https = issuer.replace("http", "https")
            for url in (f"{other}/keys", "file:///etc/passwd", "http://[", "//127.0.0.1/", https):
                keys_urls.append(url)
                with pytest.raises(IssuerAway, match="at another address"):
                    read(issuer)
            assert paths == []
            assert read(issuer, keys_url=f"{other}/keys") == b"{}"
            assert paths == ["/keys"]
    with pytest.raises(IssuerAway, match="127"):
        read(issuer)
