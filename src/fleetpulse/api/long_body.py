"""The bodies of long answers: made in a thread, sent a piece at a time, and kept small while a slow client reads.

    handler ── struct ──> thread: JSON in pieces, and their digest ──> thread: compressed ──> sent, piece by piece

A piece is forgotten when it is sent. What is not to be sent compressed waits compressed nevertheless, and is unpacked
piece by piece. The body does not pass through the framework, which would hold it whole until the last byte is sent. It
is left in a place that `api.manners` provides for each request, and the framework passes an empty answer.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextvars import ContextVar
from typing import Any

import zstandard
from litestar import Response

from fleetpulse.api.compression import PIECE_BYTES, compressor
from fleetpulse.api.encoding import encode_pieces

LONG_BYTES = 65_536
"""A body that is longer is hashed and compressed in a thread."""
SENT_BYTES = 2 * PIECE_BYTES
"""Bytes that are given to a connection at once."""
SHELVED_BYTES = 262_144
"""A body that is longer waits compressed for its reader."""
DIGEST_BYTES = 12
_SHELF_LEVEL = 1


class LongBody:
    """The bytes of an answer in pieces. Its methods but `next` take long: call them in a thread."""

    __slots__ = ("_is_shelved", "_pieces", "held_bytes", "size_bytes", "tag")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: deque[bytes] = deque()
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for piece in _joined(pieces):
            digest.update(piece)
            self._pieces.append(piece)
        self.tag = _tag_text(digest.hexdigest())
        self._is_shelved = False
        self.size_bytes = self.held_bytes = sum(map(len, self._pieces))
        """How many bytes are to be sent, and how many wait in memory for that."""

    def compress(self, coding: str) -> None:
        """Bring the body into the coding that is sent."""
        into = compressor(coding)
        self._replace(_joined([*(into.compress(piece) for piece in self._taken()), into.flush()]))
        self.size_bytes = self.held_bytes

    def shelve(self) -> None:
        """Let a body wait compressed that is to be sent as it is."""
        if self.size_bytes > SHELVED_BYTES:
            shelf = zstandard.ZstdCompressor(_SHELF_LEVEL)
            self._replace(shelf.compress(piece) for piece in self._taken())
            self._is_shelved = True

    def _replace(self, pieces: Iterable[bytes]) -> None:
        self._pieces = deque(pieces)
        self.held_bytes = sum(map(len, self._pieces))

    def _taken(self) -> Iterator[bytes]:
        """The pieces, each forgotten when the next one is taken."""
        pieces = self._pieces
        while pieces:
            yield pieces.popleft()

    def next(self) -> tuple[bytes, bool]:
        """The next piece to send, and whether it is the last one."""
        piece = self._pieces.popleft()
        self.held_bytes -= len(piece)
        if self._is_shelved:
            piece = zstandard.ZstdDecompressor().decompress(piece)
        return piece, not self._pieces


def tag_of(body: bytes) -> str:
    """The entity tag of a body. It is weak, since it is the same for all codings of an answer."""
    return _tag_text(hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest())


def _tag_text(digest: str) -> str:
    return f'W/"{digest}"'


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about the size that is sent; one of them at least."""
    parts: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        parts.append(piece)
        size_bytes += len(piece)
        if size_bytes >= SENT_BYTES:
            whole = b"".join(parts)
            last = len(whole) // SENT_BYTES * SENT_BYTES
            yield from (whole[start : start + SENT_BYTES] for start in range(0, last, SENT_BYTES))
            parts = [whole[last:]]
            size_bytes -= last
    if size_bytes or not parts:
        yield b"".join(parts)


_PLACE: ContextVar[list[LongBody]] = ContextVar("place of the long body")


def provide_place() -> list[LongBody]:
    """A place for the body of the answer that the running task makes, if that should be long."""
    place: list[LongBody] = []
    _PLACE.set(place)
    return place


class Rendering:
    """Makes long answers in a thread of their own."""

    def __init__(self, thread: Executor) -> None:
        self._thread = thread

    async def run(self, work: Callable[..., Any], *values: Any) -> Any:
        """Do work on an answer in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *values)

    async def struct(self, box: list[Any]) -> Response[bytes]:
        """The answer that `box` holds as JSON. It is taken out of the box, so that the thread frees it."""
        return self.answer(await self.run(_encoded, box), "application/json")

    async def text(self, pieces: Awaitable[Iterable[bytes]], headers: dict[str, str]) -> Response[bytes]:
        """A text in pieces."""
        return self.answer(await self.run(LongBody, await pieces), headers=headers)

    def answer(
        self, body: LongBody, media_type: str | None = None, headers: dict[str, str] | None = None
    ) -> Response[bytes]:
        """What the framework passes on instead of a body."""
        _PLACE.get().append(body)
        return Response(b"", media_type=media_type, headers=headers)


def _encoded(box: list[Any]) -> LongBody:
    return LongBody(encode_pieces(box.pop()))
