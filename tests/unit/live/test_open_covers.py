import numpy as np

from fleetpulse.live.open_covers import OpenCovers
from fleetpulse.model.device_spans import DeviceSpans


def spans(*rows: tuple[int, int, int]) -> DeviceSpans:
    devices, starts, ends = np.array(rows, np.int64).reshape(-1, 3).T
    return DeviceSpans(devices.astype(np.uint32), starts, ends)


def rows(found: DeviceSpans) -> list[tuple[int, int, int]]:
    return list(zip(found.devices.tolist(), found.start_ns.tolist(), found.end_ns.tolist(), strict=True))


def is_kept(_devices: object, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    return end_ns - start_ns > 10


def test_late_beats_in_order_or_backwards_make_one_span_longer() -> None:
    covers = OpenCovers(reserve=4)
    for at in [100, 110, 95, 120, 120, 101]:
        assert not len(covers.join(spans((1, at, at), (3, 2 * at, 2 * at)), is_kept).where(slice(0, 0)))
    assert rows(covers.of(range(2))) == [(1, 95, 120)]


def test_the_longest_span_of_a_device_stays_and_the_others_are_displaced() -> None:
    covers = OpenCovers(reserve=1)
    assert rows(covers.join(spans((1, 100, 110), (1, 200, 205), (2, 5, 5)), is_kept)) == [(1, 200, 205)]
    assert rows(covers.join(spans((1, 300, 400)), is_kept)) == [(1, 100, 110)]
    assert rows(covers.of(range(1, 2))) == [(1, 300, 400)]
    assert rows(covers.of(range(3, 9))) == []
    assert rows(covers.take()) == [(1, 300, 400), (2, 5, 5)]
    assert rows(covers.take()) == []


def test_a_device_forgets_what_is_before_a_time() -> None:
    covers = OpenCovers(reserve=0)
    covers.join(spans((1, 100, 110), (2, 100, 110)), is_kept)
    covers.forget(1, before_ns=105)
    covers.forget(9, before_ns=105)
    assert rows(covers.of(range(9))) == [(1, 105, 110), (2, 100, 110)]
    covers.forget(2, before_ns=111)
    covers.forget(1, before_ns=104)
    assert rows(covers.of(range(9))) == [(1, 105, 110)]
