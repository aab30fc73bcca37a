"""The status of devices over a window, as spans in columns, for what rules would have found."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.status import NEVER_NS, StatusInterval, reception_gaps, timeline
from fleetpulse.model.reception_gaps import join_gaps
from fleetpulse.model.status import DOWN, MAINTENANCE, PAUSED, UNKNOWN
from fleetpulse.query.answers import Missing
from fleetpulse.query.downtime import ended_gaps
from fleetpulse.query.view import FleetView

_SPAN_BYTES = 100
"""About what a span takes in memory."""
WITHHELD = (MAINTENANCE, PAUSED, UNKNOWN)


@dataclass(frozen=True, slots=True, eq=False)
class StatusSpans:
    """Spans [start, end) of devices and the status in them, by device and time; columns of shape (n,).

    Attributes: devices, start_ns, end_ns: int64; codes: int8, of STATUSES.
    """

    devices: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    codes: NDArray[np.int8]

    def where(self, is_chosen: NDArray[np.bool_]) -> "StatusSpans":
        """Some of the spans. Args: is_chosen: bool, shape (n,)."""
        rows = np.flatnonzero(is_chosen)
        return StatusSpans(self.devices[rows], self.start_ns[rows], self.end_ns[rows], self.codes[rows])

    @property
    def down(self) -> "StatusSpans":
        """Those in which devices are down."""
        return self.where(self.codes == DOWN)

    @property
    def withheld(self) -> "StatusSpans":
        """Those in which maintenance, a pause or blind time say nothing."""
        return self.where(np.isin(self.codes, WITHHELD))


def status_spans(
    view: FleetView, devices: NDArray[np.int64], *, start_ns: int, end_ns: int, missing: list[Missing]
) -> StatusSpans:
    """The status of devices over all of [start_ns, end_ns), each device's spans without a hole. Reads blocks.

    Args: devices: int64, ascending, shape (m,). missing: gets days that cannot be read.
    """
    gaps = join_gaps(
        [gaps.where(np.isin(gaps.devices, devices)) for gaps in ended_gaps(view, start_ns=start_ns, missing=missing)]
    )
    order = np.lexsort((gaps.end_ns, gaps.devices))
    of_devices, starts, ends = gaps.devices[order].astype(np.int64), gaps.start_ns[order], gaps.end_ns[order]
    first = np.searchsorted(of_devices, devices, side="left").tolist()
    last = np.searchsorted(of_devices, devices, side="right").tolist()
    pieces = [
        timeline_of(view, device, starts[begin:stop], ends[begin:stop], start_ns=start_ns, end_ns=end_ns)
        for device, begin, stop in zip(devices.tolist(), first, last, strict=True)
    ]
    view.budget.take(_SPAN_BYTES * sum(map(len, pieces)), "the status of all devices")
    counts = [len(piece) for piece in pieces]
    columns = np.array(
        [(one.start_ns, one.end_ns, one.status) for one in chain.from_iterable(pieces)], np.int64
    ).reshape(-1, 3)
    return StatusSpans(np.repeat(devices, counts), columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8))


def timeline_of(
    view: FleetView, device: int, starts: NDArray[np.int64], ends: NDArray[np.int64], *, start_ns: int, end_ns: int
) -> list[StatusInterval]:
    """The status of one device. Args: its ended gaps by end, int64 ns, shape (gaps,)."""
    view.budget.check()
    last_ns = int(view.live.last_received_ns[device])
    policies = view.live.policy_table.of_histories(view.live.policy_codes[device : device + 1].astype(np.int64))
    is_old = (ends <= start_ns) & (starts != NEVER_NS)
    known = reception_gaps(
        np.append(starts[~is_old], last_ns), np.append(ends[~is_old], max(view.now_ns, last_ns) + 1), policies
    )
    return timeline(known, view.excluded.of(device), start_ns=start_ns, end_ns=end_ns)
