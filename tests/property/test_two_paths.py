"""The front door and the ASGI path agree on arbitrary bytes; the OpenAPI document agrees with both."""

import json
import re
import socket
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conftest import PUBLISHED, Server
from examples import examples
from fleetpulse.api.app import describe_api
from http_client import Client

OK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
QUICK = ["--header-s", "0.1", "--body-s", "0.1", "--idle-s", "0.1"]

BODIES = [
    b'{"sent_at":"2026-01-01T00:00:00.123456789+01:00","upload_time":7}',
    b'{"sent_at":"2026-01-01T00:00:00Z"}',
    b'{"sent_at":"2026-01-01T00:00:00Z","metrics":{"upload_time":7}}',
    b'{"sent_at":"2026-01-01T00:00:00Z","metrics":{"nobody":7}}',
    b'{"sent_at":"1999-01-01T00:00:00Z","upload_time":-7}',
    b"{}",
    b"",
    b'\xef\xbb\xbf{"sent_at":"2026-01-01 00:00:00,5+0100","upload_time":1e3}',
    b'{"sent_at":"2026-01-01T00:00:00+01","upload_time":5.5}',
    b'{"sent_at":"2026-01-01T00:00:60Z","upload_time":5.0}',
    b'{"sent_at":"2026-01-01T00:00:00Z","upload_time":1e400,"metrics":{"upload_time":null}}',
    b'{"sent_at":"2026-01-01T00:00:00Z","metrics":{"upload_time":null,"nobody":null}}',
    b'{"sent_at":"2026-01-01T00:00:00Z","metrics":{"upload_time":5.0}}',
    b'{"sent_at":"2026-01-01T00:00:00Z","metrics":{"upload_time":nan}}',
    b'{"sent_at":"\\ud800"}',
    b'{"sent_at":"2026-01-01T00:00:00Z","upload_time":1,"note":"caf\xe9"}',
    b"\xff" * 300,
]
NAMES = [PUBLISHED[0], PUBLISHED[1], "nobody", "a%20b", "a b", "a/b", "", "x" * 200, "caf\u00e9"]
ODD_HEADERS = [
    b"Content-Type: text/plain",
    b"content-type: application/json; charset=utf-8",
    b"Content-Length: 5",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"X: " + b"y" * 300,
    b" folded",
    b"no colon",
    b"Upgrade: websocket",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA",
    b"Transfer-Encoding: gzip, chunked",
    b"Host: y",
    b"Host: a b",
]


def mostly(usual: list[bytes], *odd: bytes) -> st.SearchStrategy[bytes]:
    """One of `usual` four times out of five."""
    return st.integers(0, 4).flatmap(lambda number: st.sampled_from(list(odd) if number == 4 else usual))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request that is nearly right: here and there something is odd, or bytes are replaced, put in, or left out."""
    body = draw(mostly(BODIES[:3], *BODIES[3:]))
    name = draw(mostly([name.encode() for name in NAMES[:2]], *(name.encode() for name in NAMES[2:])))
    what = draw(mostly([b"heartbeat", b"stats", b"metrics"], b"heartbeat?x=1", b"other", b"heartbeat/"))
    line = draw(mostly([b"POST"], b"PUT", b"GET")) + b" /api/v1/devices/" + name + b"/" + what
    line += b" " + draw(mostly([b"HTTP/1.1"], b"HTTP/1.0", b"HTTP/2.0"))
    lines = [line, b"Host: localhost", b"Content-Type: application/json"]
    if draw(st.integers(0, 9)):
        lines.append(b"Content-Length: %d" % len(body))
    if draw(st.integers(0, 2)) == 0:
        lines.append(draw(st.sampled_from(ODD_HEADERS)))
    text = bytearray(b"\r\n".join([*draw(st.permutations(lines[1:])), b"", body]))
    text[:0] = lines[0] + b"\r\n"
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(text)


def answers(port: int, first: bytes, data: bytes) -> list[tuple[bytes, bytes]]:
    """(status line, body) of every answer until the server closes, the answer to `first` left out."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        # In one piece: a pause between the two on a busy machine would be a silence that the server ends.
        connection.sendall(first + data)
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
    if first:
        received = received.partition(b'"OK."')[2]
    received = re.sub(rb"and [0-9T:-]+Z, not", b"and NOW, not", received)  # the server's clock, to the second
    received = re.sub(rb'\{"uptime":[^}]*\}', b"FIGURES", received)  # they change with what was sent before
    parts = re.split(rb"(?=HTTP/1\.1 \d\d\d )", received)[1:]
    return [(part.split(b"\r\n", 1)[0], part.partition(b"\r\n\r\n")[2]) for part in parts]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = Server(tmp_path_factory.mktemp("paths") / "data", *QUICK)
    yield server.port
    server.stop()


EMPTY = f"POST /api/v1/devices/{NAMES[0]}/heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n".encode()


@example(EMPTY + b"Connection: close\r\n\r\n" + EMPTY + b"\r\n")
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        requests(), st.lists(requests(), min_size=2, max_size=3).map(b"".join), st.binary(min_size=1, max_size=80)
    )
)
def test_the_two_paths_answer_any_bytes_alike(port: int, data: bytes) -> None:
    assert answers(port, b"", data) == answers(port, OK, data)


@pytest.mark.parametrize("what", ["heartbeat", "stats", "metrics"])
@pytest.mark.parametrize("body", BODIES)
def test_the_two_paths_read_each_shape_alike(port: int, body: bytes, what: str) -> None:
    line = f"POST /api/v1/devices/{NAMES[0]}/{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    request = line + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answer = answers(port, b"", request)
    assert len(answer) == 1
    assert answer[0][0][9:12] in (b"204", b"400", b"422")
    assert answer == answers(port, OK, request)


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_it_is(_: object, value: object) -> bytes:
    """NDJSON and CSV are strings to the document."""
    return str(value).encode(errors="replace")


DOCUMENT = deepcopy(describe_api().document)  # bodies that are made of it are changed here
# What is there must not be deleted before it is asked for.
STREAM = "/api/v1/stream"
"""Its answer has no end: see tests/e2e/test_stream.py."""
OPERATIONS = sorted(
    ((path, method) for path, operations in DOCUMENT["paths"].items() for method in operations if path != STREAM),
    key=lambda pair: pair[1] == "delete",
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Things that are there, so that not every answer is a 404.
KNOWN = {
    "device_id": st.sampled_from(PUBLISHED[2:]),
    "name": st.sampled_from(["cpu", "boots", "upload_time"]),
    "types": st.sampled_from(["cpu", "boots,cpu", "upload_time"]),
    "device": st.lists(st.sampled_from(PUBLISHED[2:]), max_size=2),
}
LENGTHS = st.sampled_from(["1m", "1h", "1d", "30d", "400d", "1h30m"])
CSV = st.lists(st.sampled_from(["a,5m,x,paris", "b,,,lyon", "a b,,,", "'=c,1x,,"])).map(
    lambda lines: "\n".join(["device_id,interval,note,site", *lines])
)
WINDOWS = st.fixed_dictionaries(
    {"start": st.just("2026-01-01T00:00:00Z")},
    optional={
        "all": st.just(True),
        "labels": st.just({"site": "paris"}),
        "end": st.just("2026-03-01T00:00:00Z"),
        "recurrence": st.fixed_dictionaries(
            {"at": st.just("02:30"), "duration": LENGTHS, "weekdays": st.just(["friday"])}
        ),
    },
)
REPORTS = st.dictionaries(
    st.sampled_from(["cpu", "boots", "undefined"]), st.integers(-5, 50) | st.floats(-5, 50), min_size=1
)


@pytest.fixture(scope="module")
def busy_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of which there is something to ask."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "metrics.json").write_text(
        '[{"name": "cpu"}, {"name": "boots", "kind": "integer", "aggregation": "p95"}]'
    )
    server = Server(folder / "data", "--metrics", str(folder / "metrics.json"))
    client, now = Client(server.port), datetime.now(UTC)
    for minutes in range(0, 3_000, 7):
        line = {"device_id": PUBLISHED[2 + minutes % 3], "sent_at": (now - timedelta(minutes=minutes)).isoformat()}
        lines = [line, {**line, "metrics": {"cpu": minutes / 9, "boots": minutes}}, {**line, "upload_time": minutes}]
        assert client.ask("POST", "/api/v1/events", "\n".join(map(json.dumps, lines)).encode())[1]["accepted"] == 4
    client.close()
    yield server.port
    assert server.stop() == 0


def made_likelier(case: schemathesis.Case, draw: st.DataObject) -> None:
    """Put what is known, or plausible, in the place of some of what was made up, so that handlers are reached."""
    for values in (case.path_parameters, case.query):
        for name in values or {}:
            if draw.draw(st.integers(0, 4)):
                values[name] = draw.draw(
                    KNOWN.get(name, LENGTHS if name in ("window", "step", "uptime_window") else st.just(values[name]))
                )
    query = case.query
    if query and draw.draw(st.integers(0, 3)):
        for name in ("from", "to", "cursor"):
            query.pop(name, None)
    if case.path.endswith("metrics") and case.method == "GET" and query is not None:
        query.setdefault("types", "cpu")
    if case.media_type == "text/csv" and draw.draw(st.integers(0, 3)):
        case.body = draw.draw(CSV)
    if case.path == "/api/v1/maintenance" and isinstance(case.body, dict) and draw.draw(st.booleans()):
        case.body = draw.draw(WINDOWS)
    if isinstance(case.body, dict) and "metrics" in case.body and draw.draw(st.booleans()):
        case.body["metrics"] = draw.draw(REPORTS)
    if isinstance(case.body, dict) and "sent_at" in case.body and draw.draw(st.booleans()):
        case.body["sent_at"] = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_document_describes(busy_port: int, path: str, method: str) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    is_fixed = path.count("/") < 3

    @settings(max_examples=5 if is_fixed else examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(operation.as_strategy(), st.data())
    def conforms(case: schemathesis.Case, draw: st.DataObject) -> None:
        made_likelier(case, draw)
        case.call_and_validate(base_url=f"http://127.0.0.1:{busy_port}", checks=CHECKS)

    conforms()
