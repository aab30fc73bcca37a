"""Answers compressed in pieces."""

import asyncio
import gzip
import random

import pytest
import zstandard

from fleetpulse.api.compression import PIECE_BYTES, compress_piece, compressor, is_compressible

TEXT = b'{"id": "press-07", "status": "up"}, ' * 10_000


def unpacked(coding: str, data: bytes) -> bytes:
    return gzip.decompress(data) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(data)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize(
    "pieces", [[b""], [TEXT], [b"", TEXT, b"a", b""], [random.Random(1).randbytes(PIECE_BYTES + 1)]]
)
def test_what_comes_out_is_what_went_in_however_it_is_cut(coding: str, pieces: list[bytes]) -> None:
    async def run() -> bytes:
        into = compressor(coding)
        parts = [await compress_piece(into, piece, is_last=False) for piece in pieces[:-1]]
        return b"".join([*parts, await compress_piece(into, pieces[-1], is_last=True)])

    assert unpacked(coding, asyncio.run(run())) == b"".join(pieces)


def test_the_event_loop_has_its_turn_between_the_pieces() -> None:
    async def run() -> int:
        turns = 0
        work = asyncio.ensure_future(compress_piece(compressor("gzip"), TEXT, is_last=True))
        while not work.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(run()) >= len(TEXT) // PIECE_BYTES


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [
        ("application/json", True),
        ("text/csv; charset=utf-8", True),
        ("TEXT/HTML", True),
        ("application/problem+json", True),
        ("application/vnd.apache.parquet", False),
        ("", False),
    ],
)
def test_text_is_compressed_and_parquet_is_not(content_type: str, is_text: bool) -> None:
    assert is_compressible(content_type) is is_text
