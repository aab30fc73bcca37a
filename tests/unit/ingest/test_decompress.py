"""Compressed bodies: whole or refused, and never more work than they are worth."""

import gzip
import itertools

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.errors import Malformed, TooLarge
from fleetpulse.ingest.decompress import decompress
from fleetpulse.limits import IngestLimits

LIMITS = IngestLimits()
CODINGS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor(level=3).compress}
TEXT = b"".join(b'{"device_id":"dev-%d","sent_at":"2026-01-01T00:00:00Z"}\n' % number for number in range(20_000))


@pytest.mark.parametrize("coding", CODINGS)
@given(parts=st.lists(st.binary(max_size=3_000), min_size=1, max_size=4))
def test_members_and_frames_unfold_one_after_the_other(coding: str, parts: list[bytes]) -> None:
    body = b"".join(map(CODINGS[coding], parts))
    assert decompress(body, coding, LIMITS) == b"".join(parts)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_ends_too_early_is_refused_wherever_it_ends(coding: str) -> None:
    body = CODINGS[coding](TEXT)
    assert decompress(body, coding, LIMITS) == TEXT
    for end in itertools.chain(range(1, 60), range(60, len(body), 997), range(len(body) - 12, len(body))):
        with pytest.raises(Malformed):
            decompress(body[:end], coding, LIMITS)
        with pytest.raises(Malformed):
            decompress(body + body[:end], coding, LIMITS)


@pytest.mark.parametrize("coding", CODINGS)
def test_an_honest_body_is_taken_however_well_it_compresses(coding: str) -> None:
    same = b'{"device_id":"d","sent_at":"2026-01-01T00:00:00Z"}\n' * 100_000
    assert decompress(CODINGS[coding](same), coding, LIMITS) == same


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_refused(coding: str) -> None:
    with pytest.raises(TooLarge):
        decompress(CODINGS[coding](b" " * 100_000_000), coding, LIMITS)


def test_empty_members_without_end_are_refused() -> None:
    with pytest.raises(TooLarge, match="gzip_members_max"):
        decompress(gzip.compress(b"") * (LIMITS.gzip_members_max + 1), "gzip", LIMITS)


def test_zeros_after_gzip_are_padding_and_anything_else_is_not() -> None:
    packed = gzip.compress(b"one\n")
    assert decompress(packed + bytes(512), "gzip", IngestLimits()) == b"one\n"
    assert decompress(packed + packed + bytes(1), "gzip", IngestLimits()) == b"one\none\n"
    for rest in (b"\0x", bytes(9) + packed, b"x"):
        with pytest.raises(Malformed, match="the body is not gzip"):
            decompress(packed + rest, "gzip", IngestLimits())
    with pytest.raises(Malformed):
        decompress(bytes(512), "gzip", IngestLimits())
