"""A request is sent until it is answered, and what may have been counted twice is remembered."""

import asyncio
from collections.abc import Iterator

import pytest

from fleetpulse.simulation.connection import Answer, Unanswered
from fleetpulse.simulation.plan import HEARTBEAT
from fleetpulse.simulation.run import RunOptions, ServerGone, Tally, until_answered

EVENTS = [("a", 0, HEARTBEAT), ("a", 0, 5), ("b", 0, 6)]


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
    return asyncio.run(until_answered(ask, options, tally, EVENTS)).status, tally


def test_429_and_503_put_a_request_off_and_others_answer_it() -> None:
    status, tally = send(answered(503), answered(429), answered(404))
    assert (status, tally.repeated, tally.ambiguous) == (404, 2, {})


def test_samples_of_a_request_that_broke_off_after_it_was_sent_may_count_twice() -> None:
    status, tally = send(Unanswered("reset", was_sent=True), answered(204))
    assert (status, tally.repeated, tally.ambiguous) == (204, 1, {"a": [5], "b": [6]})


def test_a_request_that_was_never_sent_leaves_no_doubt() -> None:
    assert send(Unanswered("refused", was_sent=False), answered(204))[1].ambiguous == {}


def test_a_server_that_stays_away_ends_the_run() -> None:
    with pytest.raises(ServerGone, match=r"http://server accepted nothing for -1 s \(503 \). Is it running"):
        send(answered(503), patience_s=-1)
