"""Turns go by client, and nobody can fill the queue alone."""

from dataclasses import dataclass

from fleetpulse.pipeline.turns import Turns


@dataclass(eq=False)
class Question:
    client: str
    number: int = 0


def queue(*questions: Question) -> Turns[Question]:
    turns: Turns[Question] = Turns()
    for question in questions:
        turns.add(question)
    return turns


def order(turns: Turns[Question]) -> list[str]:
    return [f"{question.client}{question.number}" for question in iter(lambda: turns.next() if turns else None, None)]


def test_each_client_has_one_turn_in_a_round_and_its_own_questions_stay_in_order() -> None:
    turns = queue(
        *(Question("a", number) for number in range(4)), Question("b"), Question("c"), Question("c", 1), Question("d")
    )
    assert order(turns) == ["a0", "b0", "c0", "d0", "a1", "c1", "a2", "a3"]


def test_a_client_that_comes_later_waits_for_one_question_of_each_other_client() -> None:
    turns = queue(*(Question("a", number) for number in range(100)), Question("b"))
    turns.next()
    turns.add(Question("c"))
    assert order(turns)[:3] == ["b0", "a1", "c0"]


def test_what_was_removed_has_no_turn() -> None:
    gone = [Question("a"), Question("b")]
    turns = queue(gone[0], gone[1], Question("b", 1), Question("c"))
    for question in gone:
        turns.discard(question)
    assert len(turns) == 2
    assert order(turns) == ["b1", "c0"]


def test_the_newest_question_of_the_client_with_most_gives_way_to_a_client_with_fewer() -> None:
    last = Question("a", 2)
    turns = queue(Question("b"), Question("a"), Question("a", 1), last)
    assert turns.yielding_to("c") is last
    assert turns.yielding_to("b") is last


def test_nobody_gives_way_to_a_client_that_would_have_as_many_itself() -> None:
    turns = queue(Question("a"), Question("a", 1), Question("b"))
    assert turns.yielding_to("a") is None
    assert turns.yielding_to("b") is None
    assert queue().yielding_to("a") is None
