"""A question is refused, or stopped, at the limit that it reaches, and holds nothing afterwards."""

import pytest

from fleetpulse.errors import Busy, QuestionStopped, TooDear
from fleetpulse.query.budget import Budget, QuestionMemory

MB = 2**20


def test_without_limits_nothing_is_refused() -> None:
    budget = Budget()
    budget.take(10**15)
    budget.check()
    budget.close()
    assert budget.taken_bytes == 0


def test_a_question_that_needs_too_much_is_refused_by_the_name_of_the_limit_and_with_what_would_fit() -> None:
    budget = Budget(question_memory_max=256 * MB)
    budget.take(200 * MB)
    with pytest.raises(TooDear, match=r"300 MB .* samples, and may take 256 MB \(question_memory_max\).* longer step"):
        budget.take(100 * MB, "samples")
    assert budget.taken_bytes == 200 * MB
    budget.give(150 * MB)
    budget.take(100 * MB)


def test_an_estimate_is_refused_before_anything_is_held() -> None:
    memory = QuestionMemory()
    with pytest.raises(TooDear):
        Budget(memory=memory, question_memory_max=MB).require(2 * MB, "the answer")
    assert memory.taken_bytes == 0


def test_a_question_must_wait_while_others_hold_the_memory_of_all() -> None:
    memory = QuestionMemory(3 * MB)
    one, other = Budget(memory=memory), Budget(memory=memory)
    one.take(2 * MB)
    with pytest.raises(Busy, match="questions_memory_max") as refused:
        other.take(2 * MB)
    assert (refused.value.reason, refused.value.retry_after_s) == ("questions_memory", 5)
    one.close()
    other.take(2 * MB)
    assert memory.taken_bytes == 2 * MB


def test_memory_of_a_block_of_code_is_given_back_also_where_it_fails() -> None:
    budget, held_bytes = Budget(), []

    def fail() -> None:
        with budget.holding(MB):
            held_bytes.append(budget.taken_bytes)
            raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        fail()
    assert held_bytes == [MB]
    assert budget.taken_bytes == 0


def test_a_question_is_stopped_at_its_deadline() -> None:
    now_ns = [0]
    budget = Budget(deadline_ns=30, timeout_s=30, monotonic_ns=lambda: now_ns[0])
    budget.check()
    now_ns[0] = 30
    with pytest.raises(QuestionStopped, match=r"after 30 s \(question_timeout_s\)") as stopped:
        budget.check()
    assert (stopped.value.reason, stopped.value.retry_after_s) == ("question_timeout", 5)


def test_a_question_is_stopped_when_nobody_waits_for_its_answer() -> None:
    is_gone = [False]
    budget = Budget(is_gone=lambda: is_gone[0])
    budget.check()
    is_gone[0] = True
    with pytest.raises(QuestionStopped) as stopped:
        budget.check()
    assert stopped.value.reason == "question_abandoned"
