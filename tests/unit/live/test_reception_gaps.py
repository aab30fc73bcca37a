import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.reception_gaps import ended_before, gaps_between
from fleetpulse.model.reception_gaps import ReceptionGapColumns


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(100, 999)), max_size=12), st.randoms(use_true_random=False))
def test_each_reception_ends_the_span_since_the_one_before_it_in_any_order(
    receptions: list[tuple[int, int]], chance: object
) -> None:
    before = {device: 10 * device for device in range(4)}
    chance.shuffle(receptions)  # type: ignore[attr-defined]  # it is a random.Random
    devices = np.array([device for device, _ in receptions], np.uint32)
    at_ns = np.array([at for _, at in receptions], np.int64)
    before_ns = np.array([before[device] for device, _ in receptions], np.int64)
    found = gaps_between(devices, at_ns, before_ns=before_ns)
    expected = []
    for device in range(4):
        times = [before[device], *sorted(at for number, at in receptions if number == device)]
        expected += [(device, start, end) for start, end in itertools.pairwise(times)]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_gaps_of_a_clock_that_was_ahead_end_at_the_present() -> None:
    gaps = ReceptionGapColumns(
        np.array([1, 2, 3], np.uint32),
        np.array([10, 50, 90]),
        np.array([40, 120, 130]),
        *[np.full(3, 60, np.uint32)] * 2,
    )
    corrected = ended_before(gaps, 80)
    assert corrected.devices.tolist() == [1, 2]
    assert list(zip(corrected.start_ns.tolist(), corrected.end_ns.tolist(), strict=True)) == [(10, 40), (50, 80)]
