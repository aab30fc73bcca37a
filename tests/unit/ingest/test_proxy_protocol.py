import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.ingest.proxy_protocol import HEAD_BYTES, REST_BYTES_MAX, SIGNATURE, rest_bytes, source_address

V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + b"\x10\x00\x1a\x4d"
V6 = bytes.fromhex("20010db8000000000000000000000007" * 2) + b"\x10\x00\x1a\x4d"
MAPPED = bytes.fromhex("00000000000000000000ffffc0000207" * 2) + b"\x10\x00\x1a\x4d"


def header(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2) + rest


@pytest.mark.parametrize(
    ("whole", "address"),
    [
        (header(0x21, 0x11, V4), "192.0.2.7"),
        (header(0x21, 0x11, V4 + b"\x04\x00\x01x"), "192.0.2.7"),
        (header(0x21, 0x21, V6), "2001:db8::7"),
        (header(0x21, 0x21, MAPPED), "192.0.2.7"),
        (header(0x20, 0x11, V4), ""),
        (header(0x20, 0x00, b""), ""),
        (header(0x21, 0x00, b""), ""),
        (header(0x21, 0x31, bytes(216)), ""),
        (header(0x21, 0x12, V4), ""),
    ],
)
def test_the_source_is_that_of_the_connection_that_is_passed_on(whole: bytes, address: str) -> None:
    assert (rest_bytes(whole[:HEAD_BYTES]), source_address(whole)) == (len(whole) - HEAD_BYTES, address)


@pytest.mark.parametrize(
    "head",
    [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4096 6733\r\n"[:HEAD_BYTES],
        b"GET / HTTP/1.1\r\n",
        header(0x11, 0x11, V4)[:HEAD_BYTES],
        header(0x22, 0x11, V4)[:HEAD_BYTES],
        header(0x21, 0x11, bytes(REST_BYTES_MAX + 1))[:HEAD_BYTES],
        SIGNATURE,
        b"",
    ],
)
def test_what_is_no_header_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY protocol"):
        rest_bytes(head)


@pytest.mark.parametrize("whole", [header(0x21, 0x11, V4[:-1]), header(0x21, 0x21, V4), header(0x21, 0x11, b"")])
def test_addresses_that_are_cut_are_refused(whole: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        source_address(whole)


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_else(rest: bytes) -> None:
    for command in (0x20, 0x21):
        for family in (0x11, 0x21, 0x31, rest[0] if rest else 0):
            with contextlib.suppress(ValueError):
                assert isinstance(source_address(header(command, family, rest)), str)
