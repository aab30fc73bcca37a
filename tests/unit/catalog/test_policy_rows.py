from fleetpulse.catalog.policy_rows import PolicyReader, read_policies
from fleetpulse.model.own_policy import OwnPolicy

ROWS = [(1, 10, 5, 60, None), (1, 20, 20, "x", None), (1, 30, 30, None, 7), (4, 10, 10, None, None), (6, 1, 1, 2, 3)]


def test_rows_are_read_by_device_without_those_that_cannot_be_read() -> None:
    assert read_policies(ROWS) == {
        1: (OwnPolicy(10, 5, 60, None), OwnPolicy(30, 30, None, 7)),
        4: (OwnPolicy(10, 10, None, None),),
        6: (OwnPolicy(1, 1, 2, 3),),
    }


def test_a_reader_gives_the_same_for_devices_in_ascending_order() -> None:
    reader, every = PolicyReader(iter(ROWS)), read_policies(ROWS)
    assert [reader.of(device) for device in range(8)] == [every.get(device, ()) for device in range(8)]
    later = PolicyReader(iter(ROWS))
    assert [later.of(device) for device in (2, 6)] == [(), every[6]]
