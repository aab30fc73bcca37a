"""Heads that no request may have, and heads that are rare and right, get one answer each."""

import pytest

from conftest import Server
from wire_requests import (
    BEAT,
    HEARTBEAT,
    LINE,
    counted,
    request,
    server_fixture,  # noqa: F401  # a fixture
    statuses,
    talk,
)

BEFORE = [b"", request("GET /"), request(f"POST {HEARTBEAT}", BEAT), request("POST /nowhere", b"x")]
"""What was answered on the connection before."""


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n", 400, "request_target"),
        (b"GET http:// HTTP/1.1\r\nHost: x\r\n", 400, "request_target"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n", 400, "request_target"),
        (b"GET http://a:99999999/x HTTP/1.1\r\nHost: x\r\n", 400, "request_target"),
        (b"GET * HTTP/1.1\r\nHost: x\r\n", 400, "request_target"),
        (b"GET  HTTP/1.1\r\nHost: x\r\n", 400, "not_http"),
        (b"GET x HTTP/1.1\r\nHost: x\r\n", 400, "not_http"),
        (f"POST {HEARTBEAT} HTTP/1.1\r\nContent-Length: 0\r\n".encode(), 400, "host"),
        (f"POST {HEARTBEAT} HTTP/1.1\r\nHost: x\r\nHost: x\r\nContent-Length: 0\r\n".encode(), 400, "host"),
        (f"POST {HEARTBEAT} HTTP/1.1\r\nHost: x/y\r\nContent-Length: 0\r\n".encode(), 400, "host"),
        (b"GET / HTTP/1.1\r\n", 400, "host"),
        (b"GET / HTTP/1.0\r\nHost: x\r\nhost: x\r\n", 400, "host"),
        (f"POST {HEARTBEAT} HTTP/2.0\r\nHost: x\r\nContent-Length: 0\r\n".encode(), 505, "http_version"),
        (b"GET / HTTP/2.0\r\n", 505, "http_version"),
        (b"GET / HTTP/1.2\r\nHost: x\r\n", 505, "http_version"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", 505, "http_version"),
        (
            f"POST {HEARTBEAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n".encode(),
            501,
            "transfer_coding",
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n", 501, "transfer_coding"),
    ],
)
def test_a_head_that_no_request_may_have_gets_one_answer_and_one_line_in_the_log(
    server: Server, before: bytes, head: bytes, status: int, reason: str
) -> None:
    lines = server.log.read_text().count(f'"reason": "{reason}"')
    name = f'requests_refused_total{{reason="{reason}"}}'
    count = counted(server.port, name)
    answers = talk(server.port, before, head + b"\r\n" + request("GET /"))
    assert (statuses(answers)[-1], len(answers)) == (status, 1 + bool(before))
    assert answers[-1][1]["type"] == f"urn:fleetpulse:problem:{reason}"
    assert counted(server.port, name) == count + 1
    assert server.log.read_text().count(f'"reason": "{reason}"') == lines + 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET http://x HTTP/1.1\r\nHost: y\r\n\r\n", 200),
        (b"GET http://localhost/api/v1/fleet/stats?window=1h HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 204),
        (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (
            b"POST http://localhost/api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n"
            + LINE.ljust(90),
            200,
        ),
    ],
)
def test_a_head_that_is_rare_and_right_is_answered(server: Server, sent: bytes, status: int) -> None:
    answers = statuses(talk(server.port, sent, is_half_closed=True))
    # An answer that takes a while comes after a 100: it tells whether a client that sends no more still reads.
    assert [one for one in answers if one != 100] == [status]
