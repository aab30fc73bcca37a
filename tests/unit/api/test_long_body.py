"""Long bodies: the same bytes whatever is done with them, and little of them in memory."""

import asyncio
import gzip
import json
import os
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from fleetpulse.api.held_answers import HeldAnswers
from fleetpulse.api.long_body import LONG_BYTES, PLAIN_BYTES, SENT_BYTES, LongBody, Rendering, provide_place, tag_of
from fleetpulse.errors import Busy, QuestionStopped
from fleetpulse.heap import give_back
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.query.answer_size import PIECE_ITEMS
from fleetpulse.query.budget import QuestionMemory
from fleetpulse.telemetry.counters import Counters

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


def test_a_body_takes_about_as_much_memory_as_it_counts() -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096

    give_back()
    before = resident_bytes()
    bodies = [LongBody.of([TEXT] * 3) for _ in range(40)]
    held_bytes = sum(body.held_bytes for body in bodies)
    assert resident_bytes() - before < 1.5 * held_bytes + 8_000_000


def rendering(thread: Executor, counters: Counters, *, held_max: int = 1_000_000_000) -> Rendering:
    return Rendering(thread, HeldAnswers(held_max, counters), QuestionMemory())


def test_a_long_answer_does_not_pass_through_the_framework_and_is_freed_by_the_thread() -> None:
    async def life() -> None:
        counters = Counters()
        with ThreadPoolExecutor(1) as thread:
            place, box = provide_place(), [list(range(PIECE_ITEMS + 1))]
            response = await rendering(thread, counters).struct(box)
            assert (response.content, response.media_type, box) == (b"", "application/json", [])
            assert place.body
            assert counters.answer_bytes_held == place.body.held_bytes > 0
            assert json.loads(b"".join(sent(place.body))) == list(range(PIECE_ITEMS + 1))
            place.close()
            assert counters.answer_bytes_held == 0

    asyncio.run(life())


def test_a_short_answer_passes_as_it_is_and_bytes_that_are_many_do_not() -> None:
    async def life() -> None:
        with ThreadPoolExecutor(1) as thread:
            place, made = provide_place(), rendering(thread, Counters())
            assert (await made.struct([[1, 2]])).content == b"[1,2]"
            assert place.body is None
            text = "x" * LONG_BYTES
            assert (await made.struct([[text]])).content == b""
            assert place.body
            assert b"".join(sent(place.body)) == b'["%b"]' % text.encode()

    asyncio.run(life())


def test_a_text_that_grows_beyond_the_room_is_given_up() -> None:
    async def life() -> None:
        counters = Counters()
        made = []

        async def pieces() -> AsyncGenerator[bytes]:
            for _ in range(100):
                made.append(1)
                yield os.urandom(SENT_BYTES)

        with ThreadPoolExecutor(1) as thread:
            place = provide_place()
            counters.answer_bytes_held = 1  # of somebody else
            with pytest.raises(Busy):
                await rendering(thread, counters, held_max=10 * SENT_BYTES).text(pieces(), {})
            assert (len(made), place.body) == (10, None)
            place.close()
            assert counters.answer_bytes_held == 1

    asyncio.run(life())


def test_nothing_is_made_for_a_client_that_has_left_while_its_answer_waited() -> None:
    async def life() -> None:
        has_left, go_on = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1) as thread:
            thread.submit(go_on.wait)
            provide_place()
            set_asker(Asker("a", has_left.is_set))
            box = [list(range(PIECE_ITEMS + 1))]
            task = asyncio.create_task(rendering(thread, Counters()).struct(box))
            asyncio.get_running_loop().call_soon(has_left.set)
            with pytest.raises(QuestionStopped, match="nobody waits"):
                await task
            go_on.set()
        assert len(box) == 1, "it was not taken out to be encoded"

    asyncio.run(life())
