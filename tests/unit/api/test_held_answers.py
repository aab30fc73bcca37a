"""How much of what slow clients have not read yet may wait."""

import pytest

from fleetpulse.api.held_answers import HeldAnswers
from fleetpulse.errors import Busy
from fleetpulse.telemetry.counters import Counters


def test_a_client_holds_half_of_the_room_and_leaves_the_rest_to_others() -> None:
    counters = Counters()
    answers = HeldAnswers(100, counters)
    answers.take("a", 30)
    answers.take("a", 20)
    with pytest.raises(Busy, match="answer_bytes_held_max") as refusal:
        answers.take("a", 1)
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("answer_bytes", 5)
    answers.take("b", 50)
    with pytest.raises(Busy):
        answers.take("c", 1)
    answers.give("a", 50)
    answers.take("c", 50)
    assert counters.answer_bytes_held == 100


def test_an_answer_of_any_size_is_taken_where_there_is_no_other() -> None:
    counters = Counters()
    answers = HeldAnswers(100, counters)
    answers.take("a", 1_000)
    with pytest.raises(Busy):
        answers.take("b", 1)
    answers.give("a", 1_000)
    assert counters.answer_bytes_held == 0
    answers.take("b", 1)
