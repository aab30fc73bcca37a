import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.reception_gaps import JOINED_ROWS_MAX, add_gaps, gaps_between
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps


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


def test_gaps_that_are_added_stay_in_order_in_few_pieces_of_bounded_length() -> None:
    pieces: list[ReceptionGapColumns] = []
    for number in range(3_000):
        places = np.full(300, number)
        add_gaps(pieces, ReceptionGapColumns(places.astype(np.uint32), places, places + 1, places, places))
    assert len(pieces) < 20
    assert max(map(len, pieces)) <= 2 * JOINED_ROWS_MAX
    assert join_gaps(pieces).start_ns.tolist() == np.repeat(np.arange(3_000), 300).tolist()
