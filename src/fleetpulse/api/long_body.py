"""The bodies of long answers: made in a thread, sent a piece at a time, and kept small while a slow client reads.

    handler ── struct ──> thread: JSON in pieces, and their digest ──> thread: compressed ──> sent, piece by piece
               memory of the question         └─── counted by `held_answers` until it is sent ────────────────┘

The thread that makes JSON is that of the lane of the question: see `pipeline/kept_turns.py`. An answer that needed no
question waits for the thread of rendering. Nothing is made for a client that has left.

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
from functools import partial
from typing import Any, TypeVar

import zstandard
from litestar import Response

from fleetpulse.api.compression import PIECE_BYTES, compressor
from fleetpulse.api.encoding import encode, encode_pieces
from fleetpulse.api.held_answers import HeldAnswers, Hold
from fleetpulse.heap import give_back
from fleetpulse.pipeline.asker import Asker, current_asker
from fleetpulse.query.answer_size import bytes_of, is_long
from fleetpulse.query.budget import QuestionMemory, abandoned

LONG_BYTES = 65_536
"""A body that is longer is hashed and compressed in a thread."""
SENT_BYTES = 2 * PIECE_BYTES
"""Bytes that are given to a connection at once."""
PLAIN_BYTES = 262_144
"""So much of a body waits as it is, the rest compressed."""
DIGEST_BYTES = 12
GIVEN_BACK_BYTES = 4_194_304
"""Size of an answer from which on the memory that it took as values is returned to the system at once."""
_PACKED_LEVEL = 1
LOOK_S = 0.05
"""How often it is looked at whether anybody waits for an answer that waits for the thread."""
_Made = TypeVar("_Made")


class LongBody:
    """The bytes of an answer in pieces: fed with them, ended, perhaps brought into a coding, and sent.

    All but `next` takes long: call it in a thread.
    """

    __slots__ = ("_digest", "_loose", "_loose_bytes", "_pieces", "held_bytes", "hold", "size_bytes", "tag")

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
        self.hold: Hold | None = None
        """Where these are counted."""

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
            piece = _packed(piece)
        self._pieces.append((piece, is_packed))
        self.held_bytes += len(piece)

    def next(self) -> tuple[bytes, bool]:
        """The next piece to send, and whether it is the last one. It counts as held until the next call."""
        if self.hold is not None:
            self.hold.set(self.held_bytes)
        piece, is_packed = self._pieces.popleft()
        self.held_bytes -= len(piece)
        return _plain(piece, is_packed), not self._pieces


def _packed(piece: bytes) -> bytes:
    """A piece in as little memory as it has bytes.

    `compress` takes as much as the piece could need at worst, and gives back what is left over. The holes between the
    pieces are then too small for the next ones, so that a body holds as much memory as if it were not compressed.
    """
    into = zstandard.ZstdCompressor(_PACKED_LEVEL).compressobj(size=len(piece))
    return into.compress(piece) + into.flush()


def _plain(piece: bytes, is_packed: bool) -> bytes:  # a pair, as it is kept
    return zstandard.ZstdDecompressor().decompress(piece) if is_packed else piece


def tag_of(body: bytes) -> str:
    """The entity tag of a body. It is weak, since it is the same for all codings of an answer."""
    return _tag_text(hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest())


def _tag_text(digest: str) -> str:
    return f'W/"{digest}"'


class Place:
    """Where a request leaves its long answer, and what is counted of it until the answer is sent or nobody waits."""

    __slots__ = ("body", "holds")

    def __init__(self) -> None:
        self.body: LongBody | None = None
        self.holds: list[Hold] = []

    def close(self) -> None:
        """Count nothing any more."""
        for hold in self.holds:
            hold.close()


_PLACE: ContextVar[Place] = ContextVar("place of the long body")


def provide_place() -> Place:
    """A place for the body of the answer that the running task makes, if that should be long."""
    place = Place()
    _PLACE.set(place)
    return place


class Rendering:
    """Makes long answers in threads."""

    def __init__(self, thread: Executor, held_answers: HeldAnswers, memory: QuestionMemory) -> None:
        """`memory`: where an answer counts that is not bytes yet."""
        self._thread = thread
        self._held_answers = held_answers
        self._memory = memory

    async def run(self, work: Callable[..., Any], *values: Any) -> Any:
        """Do work on an answer in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *values)

    async def _run_for(self, asker: Asker, work: Callable[[], _Made]) -> _Made:
        """Do work in the thread, as long as anybody waits for it. Raises: QuestionStopped."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        while not asker.look():
            done, _ = await asyncio.wait([future], timeout=LOOK_S)
            if done:
                return await future
        future.cancel()
        raise abandoned()

    async def struct(self, box: list[Any]) -> Response[bytes]:
        """The answer that `box` holds, as JSON. It is taken out of the box, so that the thread frees it.

        Raises: Busy: too many long answers are not sent yet; QuestionStopped.
        """
        if not is_long(box[0]):
            return await self.whole(encode(box.pop()), "application/json")
        asker = current_asker()
        if asker.kept is not None:
            return self._answer(await asker.kept.run(partial(_encoded, box)), "application/json")
        answer_bytes = bytes_of(box[0])
        self._memory.take(answer_bytes)
        try:
            return self._answer(await self._run_for(asker, partial(_encoded, box)), "application/json")
        finally:
            self._memory.give(answer_bytes)

    async def whole(
        self, data: bytes, media_type: str | None = None, headers: dict[str, str] | None = None
    ) -> Response[bytes]:
        """An answer that is bytes already. Raises: Busy."""
        if len(data) <= LONG_BYTES:
            return Response(data, media_type=media_type, headers=headers)
        return self._answer(await self.run(LongBody.of, [data]), media_type, headers)

    async def text(self, pieces: AsyncGenerator[bytes], headers: dict[str, str]) -> Response[bytes]:
        """A text that comes in pieces. Raises: Busy; QuestionStopped."""
        body = LongBody()
        async with aclosing(pieces):
            async for piece in pieces:
                await self.run(body.feed, piece)
                self._hold(body)
        await self.run(body.end)
        return self._answer(body, headers=headers)

    async def compress(self, body: LongBody, coding: str) -> None:
        """Bring a body into the coding that is sent. Raises: QuestionStopped: nobody waits for it."""
        await self._run_for(current_asker(), partial(body.compress, coding))
        if body.hold is not None:
            body.hold.set(body.held_bytes)

    def _answer(
        self, body: LongBody, media_type: str | None = None, headers: dict[str, str] | None = None
    ) -> Response[bytes]:
        """What the framework passes on instead of a body. Raises: Busy."""
        self._hold(body)
        _PLACE.get().body = body
        return Response(b"", media_type=media_type, headers=headers)

    def _hold(self, body: LongBody) -> None:
        if body.hold is None:
            body.hold = self._held_answers.hold(current_asker().client)
            _PLACE.get().holds.append(body.hold)
        body.hold.grow(body.held_bytes)


def _encoded(box: list[Any]) -> LongBody:
    body = LongBody.of(encode_pieces(box.pop()))
    if body.size_bytes >= GIVEN_BACK_BYTES:
        give_back()
    return body
