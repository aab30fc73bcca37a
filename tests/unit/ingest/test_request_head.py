import httptools
import pytest

from fleetpulse.errors import Malformed, Refusal, UnsupportedCoding, UnsupportedVersion
from fleetpulse.ingest.request_head import check_head, is_host, local_target, refusal_of_parser

HOST = (b"host", b"x")


@pytest.mark.parametrize(
    "value",
    [
        b"", b"x", b"x:6733", b"x:", b"10.0.0.1:80", b"a_b.example", b"[::1]", b"[::1]:6733", b"[fe80::1%25eth0]:1",
        b"caf%C3%A9", b"x:65535",
    ],
)  # fmt: skip
def test_names_and_addresses_with_or_without_a_port_are_hosts(value: bytes) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value",
    [
        b"x y", b"x/y", b"http://x", b"u@x", b"x:y", b"x:65536", b"x:999999999", b"x:-1", b"::1", b"[::1", b"[]",
        b"a:1:2", b":80", b"caf\xc3\xa9", b"caf%", b"x?", b"x#", b"x\ty", b'"x"', b"x, y", b"x\\y",
    ],
)  # fmt: skip
def test_anything_else_is_no_host(value: bytes) -> None:
    assert not is_host(value)


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", [HOST]),
        ("1.0", []),
        ("1.0", [HOST]),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked")]),
        ("1.1", [HOST, (b"transfer-encoding", b"Chunked ")]),
        ("1.1", [HOST, (b"content-length", b"0")]),
    ],
)
def test_a_usual_head_passes(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    check_head(version, headers)


@pytest.mark.parametrize(
    ("version", "headers", "kind", "reason"),
    [
        ("2.0", [HOST], UnsupportedVersion, "http_version"),
        ("0.9", [], UnsupportedVersion, "http_version"),
        ("1.1", [], Malformed, "host"),
        ("1.1", [HOST, HOST], Malformed, "host"),
        ("1.0", [HOST, HOST], Malformed, "host"),
        ("1.0", [(b"host", b"x y")], Malformed, "host"),
        ("1.1", [HOST, (b"content-length", b"0" * 16)], Malformed, "not_http"),
        ("1.1", [HOST, (b"content-length", b"+1")], Malformed, "not_http"),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip")], UnsupportedCoding, "transfer_coding"),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], UnsupportedCoding, "transfer_coding"),
        ("1.1", [HOST, (b"transfer-encoding", b"identity")], UnsupportedCoding, "transfer_coding"),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked;q=1")], UnsupportedCoding, "transfer_coding"),
        ("1.1", [HOST, *[(b"transfer-encoding", b"chunked")] * 2], UnsupportedCoding, "transfer_coding"),
    ],
)
def test_a_head_that_breaks_a_rule_is_refused(
    version: str, headers: list[tuple[bytes, bytes]], kind: type[Refusal], reason: str
) -> None:
    with pytest.raises(kind) as refused:
        check_head(version, headers)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        (b"GET", b"/", b"/"),
        (b"GET", b"/a?b=c", b"/a?b=c"),
        (b"GET", b"//a", b"//a"),
        (b"GET", b"http://x", b"/"),
        (b"GET", b"http://x?b", b"/?b"),
        (b"POST", b"http://x:80/a/b?c", b"/a/b?c"),
        (b"OPTIONS", b"*", b"/"),
        (b"OPTIONS", b"http://x", b"/"),
    ],
)
def test_a_target_names_a_path_also_as_a_whole_url(method: bytes, target: bytes, path: bytes) -> None:
    assert local_target(method, target) == path


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"CONNECT", b"a:80"),
        (b"CONNECT", b"/"),
        (b"GET", b"a:80"),
        (b"GET", b"*"),
        (b"GET", b""),
        (b"GET", b"http://"),
        (b"GET", b"http://["),
        (b"GET", b"http://a:99999999/x"),
        (b"GET", b"http:///x"),
        (b"GET", b"/caf\xc3\xa9"),
    ],
)
def test_a_target_without_a_path_is_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        local_target(method, target)
    assert refused.value.reason == "request_target"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\n", 505),
        (b"GET / HTTP/3.0\r\n", 505),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\n", 400),
    ],
)
def test_what_the_parser_refuses_by_itself_has_the_status_of_its_kind(sent: bytes, status: int) -> None:
    with pytest.raises(httptools.HttpParserError) as refused:
        httptools.HttpRequestParser(object()).feed_data(sent)
    assert refusal_of_parser(refused.value).status == status


def test_a_defect_in_a_callback_refuses_the_request_and_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    error = httptools.HttpParserCallbackError("the user callback failed")
    error.__context__ = ZeroDivisionError("of ours")
    assert refusal_of_parser(error).status == 400
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("target", [b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a\\b", b"/a#b", b"/a#", b"http://x/a%2fb"])
def test_a_path_with_a_hidden_separator_is_refused(target: bytes) -> None:
    with pytest.raises(Malformed, match="slash"):
        local_target(b"GET", target)
    assert local_target(b"GET", b"/a?b=%2f%5c").startswith(b"/a?")


def test_chunks_and_http_1_0_do_not_go_together() -> None:
    with pytest.raises(Malformed, match=r"HTTP/1\.0"):
        check_head("1.0", [(b"transfer-encoding", b"chunked")])
