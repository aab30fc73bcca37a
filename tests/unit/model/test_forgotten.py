import numpy as np

from fleetpulse.model.forgotten import FIELDS, NO_MINUTE, BeforeCut, Order, read_orders


def test_an_order_is_read_from_an_entry_as_it_was_written() -> None:
    first = Order(3, 120 * 10**9, 4, 5, BeforeCut(first_minute=7, uploads=2, upload_time_total=2**64 + 5))
    second = Order(0, 0, 0, 0, BeforeCut())
    values = first.values() + second.values()
    assert len(values) == 2 * FIELDS
    assert list(read_orders(np.frombuffer(values, np.int64))) == [first, second]
    assert (first.before_minute, second.blocks.first_minute) == (2, NO_MINUTE)
