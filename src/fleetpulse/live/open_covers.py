"""Open covers: of each device the stretch that its late beats are covering now.

Late beats mostly come in order, or all backwards, each near the one before it: a backlog that is sent bit by bit, or
every beat of a device that was once heard with a clock far ahead. Each of them then makes one stretch longer, which
costs no sorting and no memory of its own. What does not fit is displaced, and kept elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.beat_gaps import IsKept, join_backfill
from fleetpulse.aggregate.runs import first_of_runs, last_of_runs
from fleetpulse.live.growth import capacity_for, grown
from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, DeviceSpans, join_device_spans


class OpenCovers:
    """At most one span of each device. `reserve`: for so many devices room is made without copying."""

    def __init__(self, *, reserve: int) -> None:
        self._reserve = reserve
        self._start_ns = np.zeros(0, np.int64)
        self._end_ns = np.zeros(0, np.int64)
        """0: the device has none."""

    def join(self, spans: DeviceSpans, is_kept: IsKept) -> DeviceSpans:
        """Add what late beats cover, at least one span. Returns what is displaced: of a device the longest stays.

        Args: spans: by device; a single beat is a span that ends where it begins.
        """
        is_first = first_of_runs(spans.devices)
        devices = spans.devices[is_first]
        self._make_room(int(devices[-1]) + 1)
        if is_first.all() and self._extend(spans, is_kept):
            return NO_SPANS_OF_DEVICES
        joined = join_backfill(join_device_spans([self._of(devices), spans]), is_kept)
        if len(joined) == len(devices):
            self._set(joined)
            return NO_SPANS_OF_DEVICES
        order = np.lexsort((joined.end_ns - joined.start_ns, joined.devices))
        is_longest = last_of_runs(joined.devices[order])
        self._set(joined.where(order[is_longest]))
        return joined.where(np.sort(order[~is_longest]))

    def _extend(self, spans: DeviceSpans, is_kept: IsKept) -> bool:
        """Join at most one span of each device with that which it has; False, and nothing done, if one does not fit."""
        start_ns, end_ns = self._start_ns[spans.devices], self._end_ns[spans.devices]
        is_new = end_ns == 0
        start_ns[is_new], end_ns[is_new] = spans.start_ns[is_new], spans.end_ns[is_new]
        apart_from_ns = np.minimum(end_ns, spans.end_ns)
        apart_until_ns = np.maximum(start_ns, spans.start_ns)
        if is_kept(spans.devices, apart_from_ns, apart_until_ns).any():
            return False
        self._start_ns[spans.devices] = np.minimum(start_ns, spans.start_ns)
        self._end_ns[spans.devices] = np.maximum(end_ns, spans.end_ns)
        return True

    def of(self, devices: range) -> DeviceSpans:
        """The spans of these devices, ascending; a copy."""
        part = self._end_ns[devices.start : devices.stop]
        return self._of((np.flatnonzero(part) + devices.start).astype(np.uint32))

    def take(self) -> DeviceSpans:
        """All spans, which are no longer here."""
        spans = self.of(range(len(self._end_ns)))
        self._start_ns, self._end_ns = np.zeros(0, np.int64), np.zeros(0, np.int64)
        return spans

    def forget(self, device: int, *, before_ns: int) -> None:
        """Leave of the span of a device what is not before a time."""
        if device < len(self._end_ns) and self._start_ns[device] < before_ns:
            self._start_ns[device] = before_ns
            if self._end_ns[device] < before_ns:
                self._end_ns[device] = 0

    def _of(self, devices: NDArray[np.uint32]) -> DeviceSpans:
        devices = devices[self._end_ns[devices] != 0]
        return DeviceSpans(devices, self._start_ns[devices], self._end_ns[devices])

    def _set(self, spans: DeviceSpans) -> None:
        self._start_ns[spans.devices] = spans.start_ns
        self._end_ns[spans.devices] = spans.end_ns

    def _make_room(self, count: int) -> None:
        if count > len(self._end_ns):
            capacity = capacity_for(count, reserve=self._reserve)
            self._start_ns, self._end_ns = grown(self._start_ns, capacity), grown(self._end_ns, capacity)
