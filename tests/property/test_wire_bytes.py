"""Odd bytes on connections, on both paths: nothing raises, and no connection outlives its deadlines."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from examples import examples
from fleetpulse.ingest.asgi_protocol import AsgiProtocol
from fleetpulse.ingest.connections import Phase
from stub_transport import StubServer
from wire_connections import BOTH, CUTS, Connect, Sent, deliver, handed_over, pieces_of, play, settle


class _CountsFirst(AsgiProtocol):
    """The old rule: count a request, and then do what may raise."""

    def on_headers_complete(self) -> None:
        self._move(Phase.BODY)
        self._unanswered += 1
        HttpToolsProtocol.on_headers_complete(self)


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"DELETE", b"G", b"", b"SOURCE"])
TARGETS = st.one_of(
    st.sampled_from([
        b"/", b"*", b"", b"a:80", b"http://", b"http://[", b"http://a:99999999/x", b"http://a", b"http://a/early",
        b"/early", b"//", b"/%", b"/api/v1/events", b"/%ff", b"?", b"#", b"/a#b", b"http://u@a:1/",
        b"/api/v1/devices/a/heartbeat",
    ]),
    st.binary(max_size=12),
    st.text("htp:/[]@*?#%.a1", max_size=12).map(str.encode),
)  # fmt: skip
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9.9", b"", b"RTSP/1.0"])
LINES = st.one_of(
    st.sampled_from([
        b"Host: x", b"Host: y", b"Host:", b"Host: a b", b"Content-Length: 5", b"Content-Length: 900000000",
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue",
        b"Connection: close",
        b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: " + b"0" * 5_000, b"Content-Type: application/json",
    ]),
    st.binary(max_size=12),
)  # fmt: skip
ODD = st.builds(
    lambda method, target, version, lines, body: (
        b"%s %s %s\r\n" % (method, target, version) + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    ),
    METHODS,
    TARGETS,
    VERSIONS,
    st.lists(LINES, max_size=4).map(lambda lines: [b"Host: x", *lines]) | st.lists(LINES, max_size=4),
    st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\nHost: y\r\nX: y\r\n\r\n"])
    | st.binary(max_size=9),
)
BEFORE = st.sampled_from(
    [
        b"",
        Sent(b"x").text(),
        Sent(is_beat=True).text(),
        b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    ]
)


def check_end(connect: Connect, data: list[bytes], cuts: list[int], *, has_end: bool) -> None:
    """Nothing raises, a refusal that ends the connection is the last answer, and deadlines end what stays open."""

    async def test(server: StubServer) -> None:
        transport = connect(server)
        first, *rest = data
        await deliver(server, transport, [first] if first else [], has_end=False)
        await deliver(server, transport, pieces_of(b"".join(rest), cuts), has_end=has_end)
        protocol = transport.protocol
        for now_s in (1_000.0, 2_000.0):
            server.connections.sweep(now_s)
            await settle(server)
        assert transport.is_closing(), (protocol.phase, transport.written)
        parts = re.split(rb"(?=HTTP/1\.1 \d{3} )", transport.written)[1:]
        is_last = [b"\r\nconnection: close\r\n" in part for part in parts]
        assert True not in is_last[:-1], parts
        protocol.connection_lost(None)
        await settle(server)
        assert (len(server.connections), server.connections.bulk_bytes_held) == (0, 0)

    play(test)


@BOTH
@settings(max_examples=examples(400), deadline=None)
@example(b"", [b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@example(b"", [b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@example(Sent(b"x").text(), [b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"], [], False)
@given(BEFORE, st.lists(ODD | st.binary(max_size=40), min_size=1, max_size=3), CUTS, st.booleans())
def test_no_bytes_raise_or_leave_a_connection_open_past_its_deadlines(
    connect: Connect, before: bytes, data: list[bytes], cuts: list[int], has_end: bool
) -> None:
    check_end(connect, [before, *data], cuts, has_end=has_end)


def test_the_control_of_counting_first_raises_or_leaves_a_connection_open() -> None:
    for target in (b"http://", b"http://["):
        sent = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target
        for before in (b"", Sent(b"x").text()):
            with pytest.raises((AssertionError, AttributeError)):
                check_end(handed_over(_CountsFirst), [before, sent], [], has_end=False)
    check_end(handed_over(_CountsFirst), [b"", Sent(b"x").text()], [], has_end=False)
