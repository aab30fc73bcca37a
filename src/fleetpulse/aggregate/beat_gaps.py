"""Gaps between the beats of devices, as a function of the set of beats.

A gap is a stretch between two neighbouring beats. Late beats cover parts of it, and what they do not cover stays, so
any order of beats, any repetition and any division into batches gives the same gaps.

    gap              ●────────────────────────────────●
    late beats               ●··●·●·●         ●
    what is left     ●───────●      ●─────────●───────●
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans, sort_device_spans

IsKept = Callable[[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]
"""Whether a stretch of a device, from one beat to the next, may count as a gap: (devices, start_ns, end_ns), each shape
(n,), to bool, shape (n,)."""


def divide(gaps: DeviceSpans, backfill: DeviceSpans) -> DeviceSpans:
    """What late beats leave of gaps, sorted by device and start.

    Args:
        gaps: sorted by device and start; those of a device do not overlap.
        backfill: sorted by device and start; those of a device do not overlap. See `join_backfill`.
    """
    if not len(gaps) or not len(backfill):
        return gaps
    first, last = _touching(gaps, backfill)
    counts = last - first
    if not counts.any():
        return gaps
    divided = np.flatnonzero(counts)
    # A gap that n spans touch has n + 1 parts: one before each of them, and one after the last.
    parts = counts[divided] + 1
    of_gap = np.repeat(divided, parts)
    number = np.arange(len(of_gap)) - np.repeat(np.cumsum(parts) - parts, parts)
    before = np.minimum(first[of_gap] + number - 1, len(backfill) - 1)
    after = np.minimum(first[of_gap] + number, len(backfill) - 1)
    starts = np.where(number == 0, gaps.start_ns[of_gap], backfill.end_ns[before])
    ends = np.where(number == counts[of_gap], gaps.end_ns[of_gap], backfill.start_ns[after])
    is_left = starts < ends
    left = DeviceSpans(gaps.devices[of_gap][is_left], starts[is_left], ends[is_left])
    return sort_device_spans(join_device_spans([gaps.where(counts == 0), left]))


def touches(backfill: DeviceSpans, gaps: DeviceSpans) -> NDArray[np.bool_]:
    """Which backfill has a beat inside one of the gaps: bool, shape (backfill,). Args: as for `divide`."""
    if not len(gaps) or not len(backfill):
        return np.zeros(len(backfill), bool)
    first, last = _touching(gaps, backfill)
    edges = np.bincount(first, minlength=len(backfill) + 1) - np.bincount(last, minlength=len(backfill) + 1)
    return np.cumsum(edges[:-1]) > 0


def _touching(gaps: DeviceSpans, backfill: DeviceSpans) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each gap the backfill that has a beat in it: places [first, last) in `backfill`, int64, shape (gaps,)."""
    # A gap is open, so spans that end at or before its start, or begin at or after its end, leave it as it is.
    first = _places(backfill.devices, backfill.end_ns, gaps.devices, gaps.start_ns, is_right=True)
    last = _places(backfill.devices, backfill.start_ns, gaps.devices, gaps.end_ns, is_right=False)
    return first, np.maximum(first, last)


def _places(
    devices: NDArray[np.uint32],
    times: NDArray[np.int64],
    wanted_devices: NDArray[np.uint32],
    wanted: NDArray[np.int64],
    *,
    is_right: bool,
) -> NDArray[np.int64]:
    """Where pairs of device and time would stand among sorted ones, as `numpy.searchsorted` tells of numbers."""
    count = len(devices)
    low = np.searchsorted(devices, wanted_devices, side="left")
    high = np.searchsorted(devices, wanted_devices, side="right")
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) // 2
        found = times[np.minimum(middle, count - 1)]
        is_behind = (low < high) & ((found <= wanted) if is_right else (found < wanted))
        low, high = np.where(is_behind, middle + 1, low), np.where(is_behind, high, middle)
    return low


def join_backfill(spans: DeviceSpans, is_kept: IsKept) -> DeviceSpans:
    """What late beats cover, as few spans as can be, sorted by device and start.

    Args:
        spans: in any order, with repetitions and overlaps; a single beat is a span that ends where it begins.
        is_kept: neighbours between which the stretch is not kept are joined, since nothing in it is a gap.
    """
    if not len(spans):
        return spans
    spans = sort_device_spans(spans)
    devices, starts = spans.devices, spans.start_ns
    ends = _reached(devices, spans.end_ns)
    begins = np.ones(len(devices), bool)
    # Where nothing is between two spans, their beats cover the stretch.
    begins[1:] = (devices[1:] != devices[:-1]) | (starts[1:] > ends[:-1])
    between = np.flatnonzero(begins[1:] & (devices[1:] == devices[:-1])) + 1
    begins[between] = is_kept(devices[between], ends[between - 1], starts[between])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(devices)) - 1
    return DeviceSpans(devices[first], starts[first], ends[last])


def _reached(devices: NDArray[np.uint32], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The latest end so far among the rows of each device, which are one after another; int64, shape (n,)."""
    # The ranks of ends, with the number of the device before them, grow from device to device.
    order = np.argsort(ends, kind="stable")
    ranks = np.empty(len(ends), np.int64)
    ranks[order] = np.arange(len(ends))
    runs = np.cumsum(first_of_runs(devices)) * len(ends)
    reached: NDArray[np.int64] = ends[order][np.maximum.accumulate(runs + ranks) - runs]
    return reached
