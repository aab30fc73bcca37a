"""Publishing entries so that each is in the stream once or not at all, whatever answers are lost.

A node publishes to a subject of its own, one message at a time, and each message names the sequence that the last one
of that subject must have (`Nats-Expected-Last-Subject-Sequence`). So a message that was stored, but whose answer was
lost, is refused when it is sent again, with the sequence that is there; and one that was delayed on its way, by a
server that stood still, is refused when it arrives at last. That needs no window of time.

    anchor        the first message of a subject: an entry without events, expected sequence 0
    entry         expected sequence: that of the message before

A sequence of 0 says that the subject has no message, which becomes true again when the stream is cut. A message that
expects 0 could then be stored a second time; so only anchors do, which may be in the stream twice without harm. A node
whose last message was cut off begins a new subject.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from fleetpulse.disk import Moved
from fleetpulse.errors import DamagedData
from fleetpulse.journal.nats_link import ApiError, NatsLink, NotAsked, Unanswered
from fleetpulse.model.events import Position

EXPECTED_LAST, BROUGHT = "Nats-Expected-Last-Sequence", "brought"
"""Of entries that come from another journal, which nobody else may write to: the last sequence of the whole stream."""
EXPECTED, STREAM, ENTRY = "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Stream", "Fleetpulse-Entry"
WRONG_SEQUENCE, IN_PROCESS, NOT_FOUND, TOO_LARGE = 10071, 10164, 10037, 10054
"""Errors of JetStream: another message is the last one; one is being stored; there is none; it is too large."""
PAUSE_S = 0.05
_NUMBER = re.compile(r"wrong last sequence: (\d+)")


class Replaced(Moved):
    """The stream is not the one that it was, or has lost what was acknowledged: nothing more may be appended."""


class Publisher:
    """The one who publishes for this node. Its coroutines run one after the other, in the thread of the link."""

    def __init__(self, link: NatsLink, stream: str) -> None:
        self._link, self._stream = link, stream
        self.created = ""
        """When the stream was made: one with the same name that was made later is another one."""
        self._subject = ""
        self._expected: Position | None = None
        self._count = 0

    def _begin_subject(self) -> None:
        self._subject = f"{self._stream}.entries.{secrets.token_hex(8)}"
        self._expected, self._count = None, 0

    async def publish(self, body: bytes, anchor: Callable[[], bytes], *, end_s: float) -> Position:
        """Store an entry; its position. `anchor`: makes an entry without events.

        Raises: Unanswered: whether it is stored is not known; if it is, then once. NotAsked: it is not.
            ApiError: the servers refuse it. Replaced.
        """
        if self._expected is None:
            await self._anchor(anchor(), end_s)
        position = await self._store(body, end_s)
        if position is None:  # the last message of the subject was cut off, and this one is certainly not stored
            await self._anchor(anchor(), end_s)
            position = await self._store(body, end_s)
        if position is None:
            raise NotAsked("the stream is cut faster than entries are stored")
        return position

    async def bring(self, body: bytes, position: Position, *, end_s: float) -> None:
        """Store an entry at a position, which must be the next one of the stream: nobody else may publish meanwhile.

        Whatever answers are lost, it is stored once: the stream itself must have come to the position before.
        Raises: Unanswered: whether it is stored is not known. NotAsked: it is not. DamagedData: the stream has come to
            another position. ApiError.
        """
        headers, is_doubtful = {EXPECTED_LAST: str(position - 1)}, False
        while True:
            try:
                answer = await self._link.request(
                    f"{self._stream}.entries.{BROUGHT}", body, end_s=end_s, headers=headers
                )
            except (NotAsked, Unanswered) as error:
                is_doubtful |= isinstance(error, Unanswered)
                await self._pause(error, end_s, is_doubtful=is_doubtful)
                continue
            decoded: dict[str, Any] = msgspec.json.decode(answer.data)
            refusal = decoded.get("error")
            if refusal is None:
                return
            code, text = int(refusal.get("err_code", 0)), str(refusal.get("description", ""))
            number = _NUMBER.search(text)
            if code == WRONG_SEQUENCE and number:
                if is_doubtful and int(number[1]) == position:
                    return
                raise DamagedData(
                    f"entry {position} cannot be brought to stream {self._stream}, which has come to {number[1]}: "
                    "somebody else writes there. Stop it, and empty the stream first"
                )
            if code not in {WRONG_SEQUENCE, IN_PROCESS} and refusal.get("code") != 503:
                raise ApiError(code, text)
            is_doubtful = True
            await self._pause(Unanswered(f"NATS refuses for now: {text}"), end_s, is_doubtful=True)

    async def _anchor(self, anchor: bytes, end_s: float) -> None:
        await self._state(end_s)  # the stream must be the one that it was
        self._begin_subject()
        self._expected = 0
        try:
            position = await self._store(anchor, end_s)
        except BaseException:
            self._expected = None
            raise
        self._expected = position

    async def _store(self, body: bytes, end_s: float) -> Position | None:
        """The position of a message, once it is stored; None where it is not, since the one before was cut off."""
        assert self._expected is not None
        self._count += 1
        name, is_doubtful = f"{self._count}", False
        while True:
            headers = {EXPECTED: str(self._expected), ENTRY: name}
            try:
                answer = await self._link.request(self._subject, body, end_s=end_s, headers=headers)
            except NotAsked as error:
                await self._pause(error, end_s, is_doubtful=is_doubtful)
                continue
            except Unanswered as error:
                is_doubtful = True
                await self._pause(error, end_s, is_doubtful=True)
                continue
            decoded: dict[str, Any] = msgspec.json.decode(answer.data)
            refusal = decoded.get("error")
            if refusal is None:
                return self._stored(decoded)
            code, text = int(refusal.get("err_code", 0)), str(refusal.get("description", ""))
            number = _NUMBER.search(text)
            if code == WRONG_SEQUENCE and number:
                found = await self._resolve(int(number[1]), name, end_s, is_doubtful=is_doubtful)
                if found is not None:
                    return found or None
            elif code == TOO_LARGE or (code not in {WRONG_SEQUENCE, IN_PROCESS} and refusal.get("code") != 503):
                # A message that could not be stored on the leader may be on other servers, so it is as one in doubt.
                self._begin_subject()
                raise ApiError(code, text)
            else:
                is_doubtful = True
                await self._pause(Unanswered(f"NATS refuses for now: {text}"), end_s, is_doubtful=True)

    def _stored(self, answer: dict[str, Any]) -> Position:
        position = int(answer["seq"])
        assert self._expected is not None
        if answer.get("stream") != self._stream or position <= self._expected:
            raise Replaced(
                f"stream {self._stream}: NATS stored an entry at {position} of {answer.get('stream')}, "
                f"behind {self._expected}"
            )
        self._expected = position
        return position

    async def _pause(self, error: OSError, end_s: float, *, is_doubtful: bool) -> None:
        """Wait before the next try. Raises: `error` where there is no time for one."""
        if time.monotonic() + PAUSE_S >= end_s:
            raise Unanswered(str(error)) if is_doubtful else error
        await asyncio.sleep(PAUSE_S)

    async def _resolve(self, last: Position, name: str, end_s: float, *, is_doubtful: bool) -> Position | None:
        """What it means that `last` is the last message of the subject, and not the one that was expected.

        Returns: the position of this message, where it is that; 0 where the one before it was cut off, and this one is
        not stored; None where an earlier one that was in doubt is stored: then this one may be sent again.
        """
        expected = self._expected
        assert expected is not None
        if last > 0 and await self._name_of(last, end_s) == name:
            self._expected = last
            return last
        state = await self._state(end_s)
        is_cut = int(state["first_seq"]) > expected
        if last > expected and not (is_cut and is_doubtful):
            self._expected = last
            return None
        if is_cut:
            self._expected = None
            if is_doubtful:  # it may have been stored, and cut off with the one before
                raise Unanswered("the stream was cut while an entry had no answer")
            return 0
        raise Replaced(
            f"stream {self._stream}: entry {expected}, which NATS had acknowledged, is not there any more, so "
            "that acknowledged events may be lost: see docs/howto/operations.md"
        )

    async def _name_of(self, position: Position, end_s: float) -> str:
        """The name that a message of this subject was given; empty where it is not there any more."""
        try:
            answer = await self._link.api(f"STREAM.MSG.GET.{self._stream}", {"seq": position}, end_s=end_s)
        except ApiError as error:
            if error.code == NOT_FOUND:
                return ""
            raise
        message = answer["message"]
        head = base64.b64decode(message.get("hdrs", "")).decode()
        found = re.search(rf"{ENTRY}: *(\S+)", head)
        return found[1] if found and message["subject"] == self._subject else ""

    async def _state(self, end_s: float) -> dict[str, Any]:
        """The state of the stream. Raises: Replaced: it is another one."""
        info = await self._link.api(f"STREAM.INFO.{self._stream}", end_s=end_s)
        if info["created"] != self.created:
            raise Replaced(
                f"stream {self._stream} of NATS was replaced by another one while the service ran: stop the service"
            )
        return dict(info["state"])
