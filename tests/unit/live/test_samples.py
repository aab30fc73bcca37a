import numpy as np

from fleetpulse.live.samples import PIECES_MAX, LiveSamples
from fleetpulse.model.samples import SampleColumns, join_samples


def piece(*values: int) -> SampleColumns:
    zeros = np.zeros(len(values), np.int64)
    return SampleColumns(zeros.astype(np.uint32), zeros.astype(np.uint16), zeros, np.array(values, np.int64))


def test_samples_stay_in_the_order_in_which_they_came_and_in_few_pieces() -> None:
    samples = LiveSamples()
    for value in range(10 * PIECES_MAX):
        samples.add(piece(value))
    assert samples.count == 10 * PIECES_MAX
    assert join_samples(samples.pieces()).values.tolist() == list(range(10 * PIECES_MAX))
    assert len(samples.pieces()) <= PIECES_MAX + 10


def test_a_list_of_pieces_is_of_one_moment() -> None:
    samples = LiveSamples()
    samples.add(piece(1))
    pieces = samples.pieces()
    samples.add(piece(2))
    assert len(pieces) == 1


def test_samples_that_are_taken_are_gone() -> None:
    samples = LiveSamples()
    for value in range(2 * PIECES_MAX):
        samples.add(piece(value))
    assert join_samples(samples.take()).values.tolist() == list(range(2 * PIECES_MAX))
    assert (samples.count, samples.pieces(), samples.take()) == (0, [], [])
    samples.add(piece(7))
    assert [one.values.tolist() for one in samples.pieces()] == [[7]]
