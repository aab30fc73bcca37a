"""Long bodies: the same bytes whatever is done with them, and little of them in memory."""

import asyncio
import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from fleetpulse.api.long_body import PLAIN_BYTES, SENT_BYTES, LongBody, Rendering, provide_place, tag_of

TEXT = json.dumps([{"at": number, "value": number / 7} for number in range(40_000)]).encode()


def sent(body: LongBody) -> list[bytes]:
    pieces = []
    is_last = False
    while not is_last:
        piece, is_last = body.next()
        pieces.append(piece)
    assert body.held_bytes == 0
    return pieces


@pytest.mark.parametrize("cut", [1, 1_000, SENT_BYTES, len(TEXT)])
def test_however_a_body_is_made_it_is_sent_in_pieces_of_one_size(cut: int) -> None:
    text = TEXT[: 50 * cut] if cut < 1_000 else TEXT
    body = LongBody.of(text[start : start + cut] for start in range(0, len(text), cut))
    assert body.size_bytes == len(text)
    assert body.tag == tag_of(text)
    pieces = sent(body)
    assert b"".join(pieces) == text
    assert {len(piece) for piece in pieces[:-1]} <= {SENT_BYTES}


def test_an_empty_body_is_one_piece() -> None:
    assert sent(LongBody.of([])) == [b""]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_compressed_body_has_the_length_that_is_sent(coding: str) -> None:
    body = LongBody.of([TEXT])
    body.compress(coding)
    size_bytes = body.size_bytes
    whole = b"".join(sent(body))
    assert len(whole) == size_bytes
    unpacked = (
        gzip.decompress(whole) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(whole)
    )
    assert unpacked == TEXT


def test_what_is_sent_as_it_is_waits_compressed() -> None:
    body = LongBody.of([TEXT])
    assert body.size_bytes == len(TEXT)
    assert body.held_bytes < PLAIN_BYTES + len(TEXT) / 3
    assert b"".join(sent(body)) == TEXT


def test_what_is_not_very_long_or_cannot_shrink_is_sent_all_the_same() -> None:
    for text in (TEXT[: PLAIN_BYTES // 2], os.urandom(2 * PLAIN_BYTES)):
        body = LongBody.of([text])
        assert b"".join(sent(body)) == text


def test_a_long_answer_does_not_pass_through_the_framework_and_is_freed_by_the_thread() -> None:
    async def life() -> None:
        with ThreadPoolExecutor(1) as thread:
            place, box = provide_place(), [list(range(10))]
            response = await Rendering(thread).struct(box)
            assert (response.content, response.media_type, box) == (b"", "application/json", [])
            (body,) = place
            assert sent(body) == [b"[0,1,2,3,4,5,6,7,8,9]"]

    asyncio.run(life())
