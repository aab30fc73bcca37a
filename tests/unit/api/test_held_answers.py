"""How much of what clients have not read yet may wait."""

import pytest

from fleetpulse.api.held_answers import HeldAnswers
from fleetpulse.errors import Busy
from fleetpulse.telemetry.counters import Counters


def test_a_client_holds_half_of_the_room_and_leaves_the_rest_to_others() -> None:
    counters = Counters()
    answers = HeldAnswers(100, counters)
    first, second = answers.hold("a"), answers.hold("a")
    first.grow(30)
    second.grow(20)
    with pytest.raises(Busy, match="answer_bytes_held_max") as refusal:
        answers.hold("a").grow(1)
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("answer_bytes", 5)
    answers.hold("b").grow(50)
    third = answers.hold("c")
    with pytest.raises(Busy):
        third.grow(1)
    first.close()
    second.close()
    third.grow(50)
    assert counters.answer_bytes_held == 100


def test_an_answer_of_any_size_is_taken_where_there_is_no_other_and_may_grow() -> None:
    counters = Counters()
    answers = HeldAnswers(100, counters)
    first, second = answers.hold("a"), answers.hold("b")
    first.grow(1_000)
    first.grow(2_000)
    with pytest.raises(Busy):
        second.grow(1)
    first.close()
    assert counters.answer_bytes_held == 0
    second.grow(1)
    with pytest.raises(Busy):
        first.grow(100)


def test_what_is_made_already_is_counted_even_where_there_is_no_room() -> None:
    counters = Counters()
    answers = HeldAnswers(100, counters)
    answers.hold("a").grow(40)
    hold = answers.hold("b")
    hold.grow(40)
    hold.set(90)
    assert counters.answer_bytes_held == 130
    hold.close()
    hold.close()
    assert counters.answer_bytes_held == 40
