"""Stretches of time of devices."""

import numpy as np

from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, DeviceSpans, join_device_spans, sort_device_spans


def test_pieces_are_joined_in_order_and_sorted_by_device_and_start() -> None:
    one = DeviceSpans(np.array([2, 1], np.uint32), np.array([5, 9]), np.array([6, 10]))
    two = DeviceSpans(np.array([1], np.uint32), np.array([3]), np.array([4]))
    joined = join_device_spans([one, two])
    assert joined.start_ns.tolist() == [5, 9, 3]
    ordered = sort_device_spans(joined)
    assert ordered.devices.tolist() == [1, 1, 2]
    assert ordered.end_ns.tolist() == [4, 10, 6]
    assert join_device_spans([]) is NO_SPANS_OF_DEVICES
