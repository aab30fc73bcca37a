from dataclasses import replace

import pytest

from fleetpulse.access.gate import Auth
from fleetpulse.ingest.header_cache import BLOCK_BYTES_MAX, BLOCKS_MAX, NOT_PLAIN, HeaderCache, is_json
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters
from stub_transport import gate_of

LIMITS = replace(IngestLimits(), body_bytes_max=1_000, header_count_max=5)


def cache_of(auth: Auth) -> HeaderCache:
    return HeaderCache(LIMITS, gate_of(Counters(), auth))


def block(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b" HTTP/" + version, *lines, b"", b""])


PLAIN = (b"Host: x:6733", b"Content-Length: 35")


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (PLAIN, (35, True)),
        ((*PLAIN, b"Content-Type: application/json; charset=utf-8"), (35, True)),
        ((*PLAIN, b"Connection: close"), (35, False)),
        ((b"Host: x", b"Content-Length: 0", b"Connection: close"), (0, False)),
        ((*PLAIN, b"Connection: keep-alive", b"User-Agent: press/1.0"), (35, True)),
        ((b"content-length: 0", b"HOST: [::1]:6733"), (0, True)),
        ((b"Host:", b"Content-Length: 1000"), (1_000, True)),
        ((*PLAIN, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"), (35, True)),
        ((*PLAIN, b"Connection: close, upgrade", b"Upgrade: websocket"), (35, False)),
    ],
)
def test_a_plain_block_has_the_length_of_its_body_and_whether_the_connection_stays_open(
    lines: tuple[bytes, ...], verdict: tuple[int, bool]
) -> None:
    assert cache_of("off").read(block(*lines)) == verdict


@pytest.mark.parametrize(
    "lines",
    [
        (b"Host: x",),
        (b"Host: x", b"Content-Length: 1001"),
        (b"Host: x", b"Content-Length: -1"),
        (b"Host: x", b"Content-Length: " + b"0" * 5_000 + b"5"),
        (*PLAIN, b"Content-Length: 35"),
        (b"Content-Length: 35",),
        (*PLAIN, b"Host: y"),
        (b"Host: x/y", b"Content-Length: 35"),
        (*PLAIN, b"Content-Type: text/plain"),
        (*PLAIN, b"Content-Type: application/json", b"Content-Type: text/plain"),
        (*PLAIN, b"Content-Encoding: gzip"),
        (*PLAIN, b"Transfer-Encoding: chunked"),
        (*PLAIN, b"Expect: 100-continue"),
        (*PLAIN, b"Accept: application/json, application/problem+json"),
        (*PLAIN, b"Accept-Encoding: gzip, identity;q=0"),
        (*PLAIN, b"Accept-Encoding: gzip, *;q=0"),
        (*PLAIN, b" folded"),
        (*PLAIN, b"no colon"),
        (*PLAIN, b"Bad\0Name: x"),
        (*PLAIN, b"A: 1", b"B: 2", b"C: 3", b"D: 4"),
    ],
)
def test_any_other_block_is_left_to_the_asgi_path(lines: tuple[bytes, ...]) -> None:
    assert cache_of("off").read(block(*lines))[0] == NOT_PLAIN


@pytest.mark.parametrize("version", [b"1.0", b"2.0", b"1.1 "])
def test_only_http_1_1_is_plain(version: bytes) -> None:
    assert cache_of("off").read(block(*PLAIN, version=version))[0] == NOT_PLAIN


def test_a_part_of_a_block_is_not_plain() -> None:
    whole = block(*PLAIN)
    cache = cache_of("off")
    assert {cache.read(whole[:end])[0] for end in range(len(whole))} == {NOT_PLAIN}


def test_verdicts_are_stored_by_the_exact_bytes_and_in_bounded_number_and_size() -> None:
    cache = cache_of("off")
    assert cache.read(block(*PLAIN)) == cache.known[block(*PLAIN)]
    long = block(*PLAIN, b"X: " + b"y" * BLOCK_BYTES_MAX)
    assert (cache.read(long), long in cache.known) == ((35, True), False)
    for number in range(BLOCKS_MAX):
        cache.read(block(*PLAIN, b"X: %d" % number))
    assert 0 < len(cache.known) <= BLOCKS_MAX


def test_a_content_type_is_json_whatever_its_parameters_and_its_case() -> None:
    assert is_json(b"Application/JSON ; charset=utf-8")
    assert not is_json(b"application/json-seq")


BEARER = b"Authorization: Bearer \0"


@pytest.mark.parametrize(
    ("lines", "is_plain"),
    [
        ((*PLAIN, BEARER), True),
        ((*PLAIN, b"x-api-key: \0"), True),
        (PLAIN, False),
        ((*PLAIN, BEARER, b"X-API-Key: \0"), False),
        ((*PLAIN, BEARER, b"X: \0"), False),
        ((*PLAIN, b"User-Agent: \0"), False),
        ((*PLAIN, b"Authorization: Bearer \0 \0"), False),
    ],
)
def test_a_block_of_which_a_key_was_cut_out_is_plain_where_that_was_the_one_credential(
    lines: tuple[bytes, ...], is_plain: bool
) -> None:
    cache = cache_of("required")
    assert (cache.read_keyed(block(*lines))[0] != NOT_PLAIN) is is_plain
    assert cache.read(block(*lines))[0] == (35 if lines is PLAIN else NOT_PLAIN)


def test_a_changed_gate_makes_the_cache_forget() -> None:
    gate = gate_of(Counters(), "auto")
    cache = HeaderCache(LIMITS, gate)
    lines = block(b"Host: localhost", b"Content-Length: 2", b"Authorization: Bearer x")
    assert cache.read(lines) == (2, True)
    gate.were_keys_made = True
    assert cache.known == {}
    assert cache.read(lines) == (NOT_PLAIN, False)
