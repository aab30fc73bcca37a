"""Input that costs many calls is parsed in slices; what is parsed, and what is answered, is the same."""

import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from fleetpulse.ingest.sliced_input import PIECE_BYTES, SLICE_S, SlicedInput
from stub_transport import StubTransport


class Flow:
    """Uvicorn's flow control, as far as it pauses reading."""

    def __init__(self, transport: StubTransport) -> None:
        self._transport = transport
        self.read_paused = False

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()


class SteppedLoop:
    """A loop whose clock moves on with each look at it, with slices that have their turn when it is told to run."""

    def __init__(self, step_s: float) -> None:
        self.now_s, self._step_s = 0.0, step_s
        self.due: list[object] = []

    def time(self) -> float:
        self.now_s += self._step_s
        return self.now_s

    def add(self, callback: object) -> None:
        self.due.append(callback)

    def run(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            assert callable(callback)
            callback()


class Recorder(SlicedInput):
    """Keeps the pieces that it is given."""

    transport: Any
    loop: Any
    flow: Any
    pipeline: Any
    slices: Any

    def __init__(self, *, step_s: float) -> None:  # uvicorn's own state is not needed
        self.transport = StubTransport()
        self.flow = Flow(self.transport)
        self.loop = self.slices = SteppedLoop(step_s)
        self.pipeline = []
        self.timeout_keep_alive_task = None
        self.pieces: list[bytes] = []
        self.whole = 0
        self.is_ended = False

    def receive(self, data: memoryview) -> None:
        self.pieces.append(bytes(data))

    def receive_end(self) -> bool:
        self.is_ended = True
        return False

    def whole_bytes(self) -> int:
        return self.whole


def pieces_of(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))


DATA = bytes(range(256)) * 200


def test_what_fits_into_a_slice_is_parsed_at_once() -> None:
    recorder = Recorder(step_s=0.0)
    recorder.data_received(DATA)
    assert recorder.pieces == list(pieces_of(DATA))
    assert recorder.transport.is_reading


def test_after_a_slice_the_others_have_their_turn_and_the_socket_is_not_read() -> None:
    recorder = Recorder(step_s=0.6 * SLICE_S)
    recorder.data_received(DATA)
    seen = [len(recorder.pieces)]
    while recorder.loop.due:
        assert not recorder.transport.is_reading
        recorder.loop.run()
        seen.append(len(recorder.pieces))
    assert [after - before for before, after in pairwise(seen)] == [2] * 5 + [1]
    assert recorder.pieces == list(pieces_of(DATA))
    assert recorder.transport.is_reading


def test_what_arrives_between_two_slices_comes_behind_the_rest_and_so_does_the_end() -> None:
    recorder = Recorder(step_s=SLICE_S)
    recorder.data_received(DATA)
    recorder.data_received(b"more")
    assert recorder.eof_received()
    while recorder.loop.due:
        assert not recorder.is_ended
        recorder.loop.run()
    assert b"".join(recorder.pieces) == DATA + b"more"
    assert recorder.is_ended
    assert recorder.transport.is_closed


def test_nothing_is_parsed_while_a_parsed_request_waits_for_the_answer_before_it() -> None:
    recorder = Recorder(step_s=0.0)
    recorder.pipeline = ["a request"]
    recorder.data_received(DATA)
    assert (len(recorder.pieces), recorder.loop.due) == (1, [])
    assert not recorder.transport.is_reading


@pytest.mark.parametrize("size_bytes", [PIECE_BYTES * 3, len(DATA)])
def test_a_body_of_known_length_is_parsed_as_a_whole(size_bytes: int) -> None:
    recorder = Recorder(step_s=0.0)
    recorder.whole = size_bytes
    recorder.data_received(DATA)
    assert len(recorder.pieces[0]) == size_bytes


def test_a_connection_that_is_lost_parses_no_more() -> None:
    recorder = Recorder(step_s=SLICE_S)
    recorder.data_received(DATA)
    recorder.transport.abort()
    recorder.loop.run()
    assert len(recorder.pieces) == 1


def test_reading_is_not_resumed_by_answers_while_anything_is_unread() -> None:
    recorder = Recorder(step_s=0.0)
    recorder.connections = set()
    recorder.logger = logging.getLogger("test")
    recorder.connection_made(recorder.transport)
    recorder.pipeline = ["a request"]
    recorder.data_received(DATA)
    recorder.flow.resume_reading()
    assert not recorder.transport.is_reading
    recorder.pipeline = []
    recorder._go_on()
    assert recorder.transport.is_reading
