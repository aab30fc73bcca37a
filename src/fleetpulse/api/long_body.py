"""The bodies of long answers: made in a thread, sent a piece at a time, and kept small while a slow client reads.

    handler ── struct ──> thread: JSON in pieces, and their digest ──> thread: compressed ──> sent, piece by piece

A piece is forgotten when it is sent. What is not to be sent compressed waits compressed nevertheless, and is unpacked
piece by piece. The body does not pass through the framework, which would hold it whole until the last byte is sent. It
is left in a place that `api.manners` provides for each request, and the framework passes an empty answer.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor
from contextlib import aclosing
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
PLAIN_BYTES = 262_144
"""So much of a body waits as it is, the rest compressed."""
DIGEST_BYTES = 12
_PACKED_LEVEL = 1


class LongBody:
    """The bytes of an answer in pieces: fed with them, ended, perhaps brought into a coding, and sent.

    All but `next` takes long: call it in a thread.
    """

    __slots__ = ("_digest", "_loose", "_loose_bytes", "_pieces", "held_bytes", "size_bytes", "tag")

    def __init__(self) -> None:
        self._pieces: deque[tuple[bytes, bool]] = deque()
        """Each piece, and whether it waits compressed."""
        self._loose: list[bytes] = []
        self._loose_bytes = 0
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.tag = ""
        """The entity tag."""
        self.size_bytes = 0
        """How many bytes are to be sent."""
        self.held_bytes = 0
        """How many bytes wait in memory for that."""

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> "LongBody":
        """A body that is complete."""
        body = cls()
        for piece in pieces:
            body.feed(piece)
        body.end()
        return body

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(piece)
        self._add(piece)

    def end(self) -> None:
        """There are no further bytes."""
        self._flush()
        self.tag = _tag_text(self._digest.hexdigest())

    def compress(self, coding: str) -> None:
        """Bring the body into the coding that is sent."""
        pieces, self._pieces = self._pieces, deque()
        self.size_bytes = self.held_bytes = 0
        into = compressor(coding)
        while pieces:
            self._add(into.compress(_plain(*pieces.popleft())), is_packable=False)
        self._add(into.flush(), is_packable=False)
        self._flush()

    def _add(self, piece: bytes, *, is_packable: bool = True) -> None:
        self._loose.append(piece)
        self._loose_bytes += len(piece)
        if self._loose_bytes >= SENT_BYTES:
            whole = b"".join(self._loose)
            last = len(whole) // SENT_BYTES * SENT_BYTES
            for start in range(0, last, SENT_BYTES):
                self._put(whole[start : start + SENT_BYTES], is_packable=is_packable)
            self._loose, self._loose_bytes = [whole[last:]], len(whole) - last

    def _flush(self) -> None:
        if self._loose_bytes or not self._pieces:
            self._put(b"".join(self._loose), is_packable=False)
        self._loose, self._loose_bytes = [], 0

    def _put(self, piece: bytes, *, is_packable: bool) -> None:
        self.size_bytes += len(piece)
        is_packed = is_packable and self.size_bytes > PLAIN_BYTES
        if is_packed:
            piece = zstandard.ZstdCompressor(_PACKED_LEVEL).compress(piece)
        self._pieces.append((piece, is_packed))
        self.held_bytes += len(piece)

    def next(self) -> tuple[bytes, bool]:
        """The next piece to send, and whether it is the last one."""
        piece, is_packed = self._pieces.popleft()
        self.held_bytes -= len(piece)
        return _plain(piece, is_packed), not self._pieces


def _plain(piece: bytes, is_packed: bool) -> bytes:  # a pair, as it is kept
    return zstandard.ZstdDecompressor().decompress(piece) if is_packed else piece


def tag_of(body: bytes) -> str:
    """The entity tag of a body. It is weak, since it is the same for all codings of an answer."""
    return _tag_text(hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest())


def _tag_text(digest: str) -> str:
    return f'W/"{digest}"'


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

    async def text(self, pieces: AsyncGenerator[bytes], headers: dict[str, str]) -> Response[bytes]:
        """A text that comes in pieces."""
        body = LongBody()
        async with aclosing(pieces):
            async for piece in pieces:
                await self.run(body.feed, piece)
        await self.run(body.end)
        return self.answer(body, headers=headers)

    def answer(
        self, body: LongBody, media_type: str | None = None, headers: dict[str, str] | None = None
    ) -> Response[bytes]:
        """What the framework passes on instead of a body."""
        _PLACE.get().append(body)
        return Response(b"", media_type=media_type, headers=headers)


def _encoded(box: list[Any]) -> LongBody:
    return LongBody.of(encode_pieces(box.pop()))
