from fleetpulse.pipeline.batch_answers import answer


def test_a_defect_in_one_answer_does_not_reach_the_next_one() -> None:
    answered = []

    def fail() -> None:
        raise ValueError

    answer(fail)
    answer(lambda: answered.append(1))
    assert answered == [1]
