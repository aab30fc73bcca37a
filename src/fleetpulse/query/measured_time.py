"""The time of the devices of a view by each measure: which gaps are counted, and from when on."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.status import NEVER_NS
from fleetpulse.model.device_spans import NO_FIRST_NS, DeviceSpans
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.uptime import Measure
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_gaps import ended_beat_gaps, going_on
from fleetpulse.query.gap_time import GapClocks, GapTally, GapTime, TimeColumns
from fleetpulse.query.view import FleetView


def settled_gaps(view: FleetView, *, start_ns: int, end_ns: int, missing: list[Missing]) -> Iterator[DeviceSpans]:
    """The gaps between beats that touch [start_ns, end_ns), and the time since the last beat; none ends after now.

    A beat of the future shows no more than that the device was not heard until now.
    Args: missing: see `ended_beat_gaps`.
    """
    for gaps in chain(ended_beat_gaps(view, start_ns=start_ns, end_ns=end_ns, missing=missing), [going_on(view)]):
        yield DeviceSpans(gaps.devices, gaps.start_ns, np.minimum(gaps.end_ns, view.now_ns))


def settled_time(
    view: FleetView,
    clocks: GapClocks,
    edges_ns: Sequence[int],
    gaps: Iterable[DeviceSpans],
    *,
    tally: GapTally | None = None,
) -> TimeColumns:
    """Settled time in the steps between edges. Args: gaps: those of `settled_gaps` from the first edge on."""
    time = GapTime(clocks, edges_ns, "settled", view.budget.check, tally=tally)
    for piece in gaps:
        inside = piece.where(np.flatnonzero(piece.start_ns < edges_ns[-1]))
        time.add(inside.devices.astype(np.int64) - view.live.devices.start, inside.start_ns, inside.end_ns)
    return time.columns(view.live.first_sent_ns)


def received_time(
    view: FleetView,
    clocks: GapClocks,
    edges_ns: Sequence[int],
    ended: Iterable[ReceptionGapColumns],
    measures: Sequence[Measure],
) -> tuple[dict[Measure, TimeColumns], NDArray[np.int64]]:
    """Observed time, availability, or both, in the steps between edges; and when each device was first received.

    Where that was before the first edge, 0 stands for it.
    Args: ended: those of `ended_gaps` from the first edge on. Returns: the times int64 ns, shape (n,).
    """
    times = {measure: GapTime(clocks, edges_ns, measure, view.budget.check) for measure in measures}
    last_ns = view.live.last_received_ns
    first_ns = np.where(last_ns == NEVER_NS, NO_FIRST_NS, 0)
    for gaps in ended:
        places = gaps.devices.astype(np.int64) - view.live.devices.start
        is_first = gaps.start_ns == NEVER_NS
        first_ns[places[is_first]] = gaps.end_ns[is_first]
        inside = np.flatnonzero(~is_first & (gaps.start_ns < edges_ns[-1]))
        for time in times.values():
            time.add(places[inside], gaps.start_ns[inside], gaps.end_ns[inside])
    silent = np.flatnonzero((last_ns != NEVER_NS) & (last_ns < edges_ns[-1]))
    for time in times.values():
        time.add(silent, last_ns[silent], np.full(len(silent), view.now_ns))
    return {measure: time.columns(first_ns) for measure, time in times.items()}, first_ns
