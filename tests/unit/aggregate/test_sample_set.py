"""What is a repeat is decided exactly, whatever the keys do."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.sample_set import (
    _OF_TIME,
    _OF_VALUE,
    drop_repeats,
    has_repeats,
    is_among,
    repeats_in,
    sample_keys,
)
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns

Sample = tuple[int, int, int, int]
"""Device, metric, sent_at, value: its 64 bits."""
NUMBERS = st.integers(0, 2)
TIMES = NUMBERS | st.sampled_from([-(2**63), 2**63 - 1])
SAMPLES = st.lists(st.tuples(NUMBERS | st.just(2**20), NUMBERS | st.just(2**16 - 1), TIMES, TIMES), max_size=12)


def columns_of(samples: Sequence[Sample]) -> SampleColumns:
    types = (np.uint32, np.uint16, np.int64, np.int64)
    return SampleColumns(*(np.array([sample[place] for sample in samples], dtype) for place, dtype in enumerate(types)))


@given(SAMPLES)
def test_every_row_but_the_first_of_equal_ones_is_a_repeat(samples: list[Sample]) -> None:
    found = repeats_in(columns_of(samples)).tolist()
    assert found == [sample in samples[:place] for place, sample in enumerate(samples)]


@given(SAMPLES)
def test_a_repeat_never_goes_unnoticed(samples: list[Sample]) -> None:
    if len(set(samples)) < len(samples):
        assert has_repeats(columns_of(samples))


@given(SAMPLES, SAMPLES)
def test_membership_is_that_of_a_plain_set(samples: list[Sample], others: list[Sample]) -> None:
    samples = list(dict.fromkeys(samples))
    found = is_among(columns_of(samples), columns_of(others)).tolist()
    assert found == [sample in others for sample in samples]


@given(SAMPLES)
def test_repeats_are_dropped_and_the_order_stays(samples: list[Sample]) -> None:
    samples.sort(key=lambda sample: (sample[1], sample[0], sample[2]))
    kept = drop_repeats(columns_of(samples))
    rows = zip(*(column.tolist() for column in (kept.devices, kept.metrics, kept.at_ns, kept.values)), strict=True)
    assert list(rows) == list(dict.fromkeys(samples))


def test_no_samples_have_no_repeats() -> None:
    assert not has_repeats(NO_SAMPLES)
    assert drop_repeats(NO_SAMPLES) is NO_SAMPLES
    assert repeats_in(NO_SAMPLES).tolist() == is_among(NO_SAMPLES, NO_SAMPLES).tolist() == []


def test_samples_whose_keys_match_by_chance_are_told_apart() -> None:
    # The key is a sum of products, so a time that is larger by the factor of the value, and a value that is smaller by
    # the factor of the time, cancel out.
    of_time, of_value = (int(factor.view(np.int64)) for factor in (_OF_TIME, _OF_VALUE))
    samples = columns_of([(0, 0, 0, 0), (0, 0, of_value, -of_time)])
    assert len(set(sample_keys(samples).tolist())) == 1
    assert has_repeats(samples)
    assert repeats_in(samples).tolist() == [False, False]
    assert is_among(samples.where(slice(0, 1)), samples.where(slice(1, 2))).tolist() == [False]


def test_among_many_samples_a_repeat_is_noticed_wherever_it_is() -> None:
    count = 3_000
    columns = columns_of([(row % 7, row % 3, row, row * 5) for row in range(count)])
    assert not has_repeats(columns)
    for row in range(0, count, 61):
        again = columns.where(np.array([*range(count), row]))
        assert has_repeats(again)
        assert repeats_in(again).tolist() == [False] * count + [True]
