import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import PIECE_ROWS, SPLIT_ROWS, SparsePresence

MARKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 1439)), max_size=60)
"""(day, device, minute)."""


def marked(marks: list[tuple[int, int, int]]) -> SparsePresence:
    presence = SparsePresence()
    for day, device, minute in marks:
        presence.mark(np.array([day]), devices=np.array([device], np.uint32), minutes_of_day=np.array([minute]))
    return presence


def minutes(row: Rows | None) -> set[int]:
    if row is None:
        return set()
    return {64 * word + bit for word, value in enumerate(row.tolist()) for bit in range(64) if value >> bit & 1}


@given(MARKS)
def test_presence_is_the_set_of_minutes_that_were_marked(marks: list[tuple[int, int, int]]) -> None:
    presence = marked(marks)
    assert presence.days == sorted({day for day, _, _ in marks})
    assert presence.rows_from(1) == len({(day, device) for day, device, _ in marks if day >= 1})
    assert len(presence) == len({(day, device) for day, device, _ in marks})
    for day in range(3):
        devices, rows = presence.of(day).all_rows()
        assert devices.tolist() == sorted({device for number, device, _ in marks if number == day})
        for device, row in zip(devices.tolist(), rows, strict=True):
            expected = {minute for number, other, minute in marks if (number, other) == (day, device)}
            assert minutes(row) == minutes(presence.rows_of(device).get(day)) == expected
    assert presence.rows_of(0).get(3) is None
    assert presence.rows_of(99).get(0) is None


@given(MARKS, MARKS)
def test_a_day_that_is_taken_and_adopted_joins_what_is_there(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]]
) -> None:
    here, other = marked(first), marked(second)
    for day in other.days:
        here.adopt(day, other.take(day))
    assert (other.days, len(other)) == ([], 0)
    joined = marked([*first, *second])
    assert (len(here), here.rows_from(1)) == (len(joined), joined.rows_from(1))
    for day in range(3):
        for column, expected in zip(here.of(day).all_rows(), joined.of(day).all_rows(), strict=True):
            assert np.array_equal(column, expected)


def test_many_marks_at_once_may_repeat_a_device_and_a_minute() -> None:
    presence = SparsePresence()
    presence.mark(np.full(4, 5), devices=np.array([9, 9, 4, 9], np.uint32), minutes_of_day=np.array([0, 1439, 7, 0]))
    assert (minutes(presence.rows_of(9).get(5)), minutes(presence.rows_of(4).get(5))) == ({0, 1439}, {7})


def test_shared_days_gain_what_is_marked_and_no_new_day() -> None:
    presence = marked([(1, 5, 7)])
    shared = presence.shared()
    presence.mark(np.array([1, 2]), devices=np.array([5, 5], np.uint32), minutes_of_day=np.array([8, 9]))
    presence.take(1)
    assert (shared.days, minutes(shared.rows_of(5)[1])) == ([1], {7, 8})


def test_a_large_day_is_the_same_as_a_small_one() -> None:
    """Also when another thread has begun to read it before it was divided."""
    generator = np.random.default_rng(5)
    devices = generator.permutation(3 * SPLIT_ROWS).astype(np.uint32)
    minutes_of_day = generator.integers(0, 1440, len(devices))
    presence = SparsePresence()
    presence.mark(np.full(100, 5), devices=devices[:100], minutes_of_day=minutes_of_day[:100])
    before = presence.of(5).chunks()
    presence.mark(np.full(len(devices), 5), devices=devices, minutes_of_day=minutes_of_day)
    assert len(presence) == len(devices)
    chunks = list(presence.of(5).chunks())
    assert max(len(found) for found, _ in chunks) <= PIECE_ROWS
    found, rows = (np.concatenate(column) for column in zip(*chunks, strict=True))
    assert np.array_equal(found, np.arange(len(devices)))
    assert np.array_equal(rows.argmax(axis=1)[devices], minutes_of_day >> 6)
    assert {int(device) for found, _ in before for device in found} >= set(devices[:100].tolist())
    for device, minute in zip(devices[:50].tolist(), minutes_of_day[:50].tolist(), strict=True):
        assert minutes(presence.rows_of(device)[5]) == {minute}
    joined = SparsePresence()
    joined.mark(np.full(2, 5), devices=np.array([7, 9], np.uint32), minutes_of_day=np.array([0, 1]))
    joined.adopt(5, presence.take(5))
    assert (len(joined), len(joined.of(5)), len(presence)) == (len(devices), len(devices), 0)


def test_rows_are_added_to_the_rows_that_are_there() -> None:
    presence = marked([(1, 5, 7)])
    row = np.zeros((1, 23), np.uint64)
    row[0, 0] = 0b101
    presence.put(1, devices=np.array([5], np.uint32), rows=row)
    stored = presence.rows_of(5).get(1)
    assert stored is not None
    assert (minutes(stored), int(count_minutes(stored))) == ({0, 2, 7}, 3)


def test_rows_of_days_that_have_opened_settle_into_their_columns_a_piece_at_a_time() -> None:
    presence = SparsePresence()
    devices = np.arange(2 * PIECE_ROWS + 1, dtype=np.uint32)
    presence.mark(np.full(len(devices), 5), devices=devices, minutes_of_day=np.full(len(devices), 70))
    presence.mark(np.array([9]), devices=devices[:1], minutes_of_day=np.zeros(1, np.int64))
    dense = {5: HourColumns.empty(len(devices))}
    dense[5].mark(devices[1:2], np.array([3]))
    turns = [presence.settle_into(dense) for _ in range(5)]
    assert (turns, presence.days) == ([True, True, True, True, False], [9])
    assert (dense[5].words[1] == 1 << 10).all()
    assert dense[5].words[0, :3].tolist() == [0, 1 << 3, 0]
