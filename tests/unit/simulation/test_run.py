"""A request is sent until it is answered."""

import asyncio
from collections.abc import Iterator

import pytest

from fleetpulse.simulation.connection import Answer, Unanswered
from fleetpulse.simulation.run import RunOptions, ServerGone, Tally, until_answered


def answered(status: int) -> Answer:
    answer = Answer()
    answer.status, answer.retry_after_s = status, 0.0
    return answer


def send(*outcomes: Answer | Exception, patience_s: float = 60.0) -> tuple[int, Tally]:
    """The status of the answer that counts, and the tally, of a request with these outcomes."""
    coming: Iterator[Answer | Exception] = iter(outcomes)
    tally = Tally()

    async def ask() -> Answer:
        outcome = next(coming)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    options = RunOptions("http://server", patience_s=patience_s)
    return asyncio.run(until_answered(ask, options, tally)).status, tally


def test_429_and_503_put_a_request_off_and_others_answer_it() -> None:
    status, tally = send(answered(503), answered(429), answered(404))
    assert (status, tally.repeated) == (404, 2)


def test_a_request_that_broke_off_is_sent_again() -> None:
    status, tally = send(Unanswered("reset"), Unanswered("refused"), answered(204))
    assert (status, tally.repeated) == (204, 2)


def test_a_server_that_stays_away_ends_the_run() -> None:
    with pytest.raises(ServerGone, match=r"http://server accepted nothing for -1 s \(503 \). Is it running"):
        send(answered(503), patience_s=-1)
