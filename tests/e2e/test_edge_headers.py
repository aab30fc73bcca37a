"""What proxies and browsers get of the running command, over real sockets, at the front door and behind it."""

import http.client
from collections.abc import Callable

import pytest

from conftest import PUBLISHED, Server

BEAT = b'{"sent_at": "2026-01-01T00:00:00Z"}'
HEARTBEAT = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
JSON = {"Content-Type": "application/json"}


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, JSON | named if body else named)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_every_answer_has_the_security_headers_once(serve: Callable[..., Server]) -> None:
    port = serve().port
    answers = [
        ask(port, "POST", HEARTBEAT, BEAT),
        ask(port, "POST", HEARTBEAT, b"nonsense"),
        ask(port, "POST", HEARTBEAT, BEAT, expect="100-continue"),
        ask(port, "POST", HEARTBEAT, BEAT, transfer_encoding="gzip"),
        ask(port, "GET", "/", accept="text/html"),
        ask(port, "GET", "/docs"),
        ask(port, "GET", "/api/v1/devices"),
        ask(port, "GET", "/nowhere"),
        ask(port, "OPTIONS", HEARTBEAT),
    ]
    assert [one.status for one in answers] == [204, 400, 204, 501, 200, 200, 200, 404, 204]
    for one in answers:
        assert {name: one.headers.get_all(name) for name in HEADERS} == {n: [value] for n, value in HEADERS.items()}
        (policy,) = one.headers.get_all("content-security-policy") or [""]
        assert policy.startswith("default-src 'none'; ")


@pytest.mark.parametrize("headers", [{}, {"expect": "100-continue"}])
def test_a_page_of_another_origin_sends_no_heartbeat(headers: dict[str, str], serve: Callable[..., Server]) -> None:
    port = serve("--cors-origins", "https://kiosk.example").port
    for origin, status in (
        ("https://evil.example", 403), ("null", 403), (f"http://127.0.0.1:{port}", 204), ("https://kiosk.example", 204),
    ):  # fmt: skip
        answer = ask(port, "POST", HEARTBEAT, BEAT, origin=origin, **headers)
        assert (answer.status, origin) == (status, origin)
        assert answer.headers["access-control-allow-origin"] == (origin if "kiosk" in origin else None)
    assert ask(port, "POST", HEARTBEAT, BEAT, sec_fetch_site="cross-site", **headers).status == 403


def test_a_listed_proxy_ends_the_open_mode_and_another_one_is_refused_in_it(serve: Callable[..., Server]) -> None:
    forwarded = {"x_forwarded_for": "192.0.2.7"}
    server = serve()
    at_machine = server.port
    assert ask(at_machine, "GET", "/api/v1/devices").status == 200
    assert ask(at_machine, "GET", "/api/v1/devices", **forwarded).status == 403
    server.stop()
    behind = serve("--trusted-proxies", "127.0.0.1").port
    for headers in ({}, forwarded):
        assert ask(behind, "GET", "/api/v1/devices", **headers).status == 401
    assert ask(behind, "GET", "/healthz", **forwarded).status == 200
