import numpy as np

from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.live.view import presence_from, rows_of


def hours(count: int, device: int, minute: int) -> HourColumns:
    """The presence of `count` devices, with one minute (0..59) of one device."""
    words = np.zeros((24, count), np.uint64)
    words[0, device] = 1 << minute
    return HourColumns(words)


def sparse(day: int, device: int, minute: int) -> SparsePresence:
    presence = SparsePresence()
    presence.mark(np.array([day]), devices=np.array([device], np.uint32), minutes_of_day=np.array([minute]))
    return presence


DENSE = ({5: hours(2, 1, 0), 6: hours(3, 2, 1)}, {5: hours(3, 1, 2)})
SPARSE = (sparse(5, 1, 3), sparse(4, 0, 4))


def test_the_rows_of_a_device_join_all_that_is_in_memory_of_each_day() -> None:
    assert {day: int(row[0]) for day, row in rows_of(1, dense=DENSE, sparse=SPARSE).items()} == {5: 0b1101, 6: 0}
    assert {day: int(row[0]) for day, row in rows_of(2, dense=DENSE, sparse=SPARSE).items()} == {5: 0, 6: 0b10}
    assert {day: int(row[0]) for day, row in rows_of(9, dense=DENSE, sparse=SPARSE).items()} == {}


def test_presence_of_one_device_and_of_several_is_that_of_their_days() -> None:
    dense, late = presence_from(5, range(1, 2), dense=DENSE, sparse=SPARSE)
    assert ({day: int(row[0][:][0, 0]) for day, row in dense.items()}, late) == ({5: 0b1101, 6: 0}, {})
    dense, late = presence_from(5, range(3), dense=DENSE, sparse=SPARSE)
    assert {day: [part[:].shape for part in parts] for day, parts in dense.items()} == {
        5: [(2, 23), (3, 23)],
        6: [(3, 23)],
    }
    assert [(devices.tolist(), int(found[0, 0])) for devices, found in [day.all_rows() for day in late[5]]] == [
        ([1], 0b1000)
    ]
    assert presence_from(0, range(0), dense=DENSE, sparse=SPARSE) == ({}, {})
