"""Answers that are made while they are sent: whole, cut, or left by their client."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fleetpulse.api.file_answer import FileAnswer
from fleetpulse.errors import BrokenOff, DamagedData
from fleetpulse.ingest.asgi_protocol import CUT


class Body:
    """Two pieces, and then an error, if there is one; it knows whether it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
            if self.error is not None:
                raise self.error
        finally:
            self.is_closed = True


async def sent(body: Body, *, is_left: bool = False) -> tuple[list[dict[str, Any]], bool]:
    """The messages of an answer, and whether its connection was cut."""
    messages: list[dict[str, Any]] = []
    cuts: list[bool] = []
    is_over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not is_left:
            await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)
        if is_left and message.get("body"):
            await asyncio.Event().wait()  # nobody reads

    answer = FileAnswer(body.pieces(), media_type="text/csv", headers={"X-One": "1"})
    application = answer.to_asgi_response(None, None)
    await application({"extensions": {CUT: lambda: cuts.append(True)}}, receive, send)
    return messages, bool(cuts)


def test_a_whole_answer_has_an_end() -> None:
    body = Body()
    messages, is_cut = asyncio.run(sent(body))
    start, *rest = messages
    assert (start["status"], start["headers"]) == (200, [(b"content-type", b"text/csv"), (b"x-one", b"1")])
    assert [(message["body"], message["more_body"]) for message in rest] == [
        (b"one", True), (b"two", True), (b"", False)
    ]  # fmt: skip
    assert (is_cut, body.is_closed) == (False, True)


@pytest.mark.parametrize("error", [BrokenOff("slow"), DamagedData("gone"), ValueError("a defect")])
def test_an_answer_that_breaks_off_is_cut_without_an_end(error: Exception) -> None:
    body = Body(error)
    messages, is_cut = asyncio.run(sent(body))
    assert all(message["more_body"] for message in messages[1:])
    assert (is_cut, body.is_closed) == (True, True)


def test_an_answer_whose_client_has_left_is_closed_at_once() -> None:
    body = Body()
    messages, is_cut = asyncio.run(sent(body, is_left=True))
    assert (len(messages) <= 2, is_cut, body.is_closed) == (True, False, True)
