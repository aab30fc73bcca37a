"""A large answer keeps the turn of its question until it is bytes: no lane computes more than it can turn into bytes.

    lane: computes ──> large answer ──> handler ──> the same lane: encodes ──> bytes, counted while they are sent
                       └──────────────── the turn is kept ──────────────┘

Otherwise answers would wait for a thread that encodes them, any number of them, and each of many megabytes.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from fleetpulse.pipeline.lanes import Lanes, Ticket
from fleetpulse.query.answer_size import bytes_of, is_long
from fleetpulse.query.budget import QuestionMemory, abandoned

_Made = TypeVar("_Made")


class _Kept:
    """See `pipeline.asker.KeptTurn`."""

    def __init__(
        self,
        lanes: Lanes,
        ticket: Ticket,
        memory: QuestionMemory,
        answer_bytes: int,
        computing: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._lanes, self._ticket, self._computing = lanes, ticket, computing
        self._memory, self._answer_bytes = memory, answer_bytes

    async def run(self, work: Callable[[], _Made]) -> _Made:
        """See KeptTurn."""
        ticket = self._ticket

        def compute() -> _Made:
            with self._computing():
                return work()

        try:
            with self._lanes.used(ticket):
                if ticket.asker.look():
                    raise abandoned()
                ticket.is_kept = False
                return await self._lanes.run(ticket, compute)
        finally:
            self.end()

    def end(self) -> None:
        """See KeptTurn."""
        if self._ticket.is_kept:
            self._ticket.is_kept = False
            self._lanes.leave(self._ticket)
        self._memory.give(self._answer_bytes)
        self._answer_bytes = 0


def keep_turn(
    lanes: Lanes,
    ticket: Ticket,
    memory: QuestionMemory,
    answer: object,
    computing: Callable[[], AbstractContextManager[Any]],
) -> None:
    """Keep the turn of a question for its answer, where that is large, and count the memory of the answer meanwhile."""
    if not ticket.asker.keeps_turns or not is_long(answer):
        return
    answer_bytes = bytes_of(answer)
    memory.take(answer_bytes, is_made=True)
    ticket.is_kept = True
    ticket.asker.kept = _Kept(lanes, ticket, memory, answer_bytes, computing)
