"""The configurations of deploy/ for nginx and HAProxy, run by Debian's own before the real server."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import PUBLISHED, Server
from front_proxy import PROXIES, Proxy, command_of, free_port, gateway_key
from handed_socket import Beats, listener_on_loopback, with_socket

BEAT = b'{"sent_at": "2026-01-01T00:00:00Z"}'
Proxied = Callable[..., Proxy]


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    started: list[Proxy] = []

    def start(kind: str, **options: object) -> Proxy:
        folder = tmp_path / f"proxy-{len(started)}"
        folder.mkdir()
        started.append(Proxy(kind, folder, **options))  # type: ignore[arg-type]  # as they were given
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()


@pytest.mark.parametrize("kind", PROXIES)
def test_devices_report_over_tls_also_where_they_close_their_sending_side_and_none_without_a_key(
    kind: str, proxied: Proxied, tmp_path: Path
) -> None:
    command = command_of(tmp_path / "data", free_port())
    server = Server.run(command, log=tmp_path / "serve.log", folder=tmp_path / "data")
    try:
        proxy, key = proxied(kind, backend=server.port), gateway_key(server)
        path = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat"
        with contextlib.closing(proxy.connection()) as connection:
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {key}"}, 204), ({"X-API-Key": key}, 204)):
                connection.request("POST", path, BEAT, {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status
        head = f"POST {path} HTTP/1.1\r\nHost: fleet.example\r\nContent-Type: application/json\r\nX-API-Key: {key}\r\n"
        request = f"{head}Content-Length: {len(BEAT)}\r\n\r\n".encode() + BEAT
        with proxy.tls_socket() as half:
            half.sendall(request)
            socket.socket.shutdown(half, socket.SHUT_WR)
            assert half.recv(100).startswith(b"HTTP/1.1 204")
    finally:
        assert server.stop() == 0


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that it was sent."""

    def do_GET(self) -> None:
        text = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def echo() -> Generator[int, None, None]:
    """A server in the place of the service; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", PROXIES)
def test_a_client_is_whom_the_proxy_sees_whatever_it_says_of_itself(kind: str, proxied: Proxied) -> None:
    with echo() as backend, contextlib.closing(proxied(kind, backend=backend).connection()) as connection:
        forged = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Forwarded-Proto": "http"}
        connection.request("GET", "/", headers={**forged, "Host": "fleet.example"})
        headers = json.loads(connection.getresponse().read())
    given = {name: [value for other, value in headers if other == name] for name, _ in headers}
    assert given["x-forwarded-for"] == ["127.0.0.1"]
    assert given["x-forwarded-proto"] == ["https"]
    assert given["host"] == ["fleet.example"]
    assert "forwarded" not in given


@pytest.mark.parametrize("kind", PROXIES)
def test_a_client_that_is_slow_with_its_header_is_let_go(kind: str, proxied: Proxied) -> None:
    texts = {"client_header_timeout 10s": "client_header_timeout 1s", "http-request 10s": "http-request 1s"}
    with echo() as backend:
        proxy = proxied(kind, backend=backend, **texts)
        with proxy.tls_socket() as slow:
            began_s = time.monotonic()
            slow.sendall(b"GET / HTTP/1.1\r\nHost: fleet.exa")
            assert not slow.recv(100).startswith(b"HTTP/1.1 200")
            assert time.monotonic() - began_s < 10


@pytest.mark.parametrize("kind", PROXIES)
def test_no_beat_is_lost_in_a_restart_behind_the_proxy(kind: str, proxied: Proxied, tmp_path: Path) -> None:
    """Behind nginx the socket is handed over, as by systemd; HAProxy itself waits for a service that is away."""
    with listener_on_loopback() as listener:
        port = listener.getsockname()[1] if kind == "nginx" else free_port()
        if kind == "haproxy":
            listener.close()
        command = command_of(tmp_path / "data", port)

        def start(number: int) -> Server:
            run = partial(Server.run, log=tmp_path / f"serve-{number}.log", folder=tmp_path / "data")
            if kind == "haproxy":
                return run(command)
            return run(with_socket(listener, command), pass_fds=(listener.fileno(),))

        server = start(0)
        try:
            proxy = proxied(kind, backend=port)
            headers = {"Authorization": f"Bearer {gateway_key(server)}"}
            fresh = Beats(proxy.port, PUBLISHED, headers=headers, connect=proxy.connection, pause_s=0.02)
            # These keep their connections, which the proxy keeps during the restart: none is sent again.
            kept = Beats(proxy.port, PUBLISHED, True, headers, connect=proxy.connection, pause_s=0.02)
            with fresh, kept:
                for number in range(1, 2):
                    time.sleep(1)
                    assert server.stop(signal.SIGTERM) == 0
                    server = start(number)
                time.sleep(0.5)
            delay_s, count = max(*fresh.delays_s, *kept.delays_s), len(fresh.delays_s) + len(kept.delays_s)
            print(f"\n{kind}: 1 restart, {count} beats, none later than {delay_s:.2f} s; {kept.repeated} sent again")
            assert (fresh.failures, kept.failures, kept.repeated) == ([], [], 0)
            assert delay_s < 15
        finally:
            server.stop(signal.SIGKILL)
