"""Answers in the coding that the client offers, made in pieces: the event loop has its turn between them.

A piece takes less than a millisecond. What is longer than a few of them is compressed in a thread: see `long_body`.
"""

import asyncio
import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

PIECE_BYTES = 32_768
GZIP_LEVEL = 5
ZSTD_LEVEL = 3
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    """What zlib and zstandard have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """Take bytes in; those that are ready come out."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


def compressor(coding: str) -> Compressor:
    """A compressor for one answer. `coding`: gzip or zstd."""
    if coding == "gzip":
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
    made: Compressor = zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj()
    return made


def is_compressible(content_type: str) -> bool:
    """Whether compressing makes such content smaller: text does, a Parquet file has compressed columns already.

    Events that are sent as they come are not compressed: a compressor would keep them until there are many.
    """
    name = content_type.partition(";")[0].strip().lower()
    return name != "text/event-stream" and (
        name.startswith("text/") or name == "application/json" or name.endswith(("+json", "ndjson"))
    )


async def compress_piece(into: Compressor, data: bytes, *, is_last: bool) -> bytes:
    """What comes out of a compressor for the next bytes of an answer, with its end if they are the last ones."""
    parts = []
    for piece in _pieces(data):
        parts.append(into.compress(piece))
        if len(data) > PIECE_BYTES:
            await asyncio.sleep(0)
    if is_last:
        parts.append(into.flush())
    return b"".join(parts)


def compress_at_once(into: Compressor, data: bytes, *, is_last: bool) -> bytes:
    """The same without turns for the event loop: call it in a thread."""
    return into.compress(data) + (into.flush() if is_last else b"")


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def vary(headers: dict[bytes, bytes], name: bytes = b"Accept-Encoding") -> None:
    """Say that the answer depends on a header of the request."""
    headers[b"vary"] = b", ".join([*filter(None, [headers.get(b"vary")]), name])
