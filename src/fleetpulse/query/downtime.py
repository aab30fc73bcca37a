"""The gaps between receptions, live and stored together, that status and what was observed are computed from."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

import numpy as np

from fleetpulse.aggregate.status import NEVER_NS, ReceptionGap, reception_gaps
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.query.answers import Missing
from fleetpulse.query.beat_gaps import ended_beat_gaps
from fleetpulse.query.exclusions import LOOK_BACK_NS
from fleetpulse.query.missing import note_expired_gaps, note_missing_day
from fleetpulse.query.view import FleetView

GAP_BYTES = 224
"""About what a gap of one device takes in memory while its status is followed."""
ROWS_JOINED = 65_536
"""Gaps that are joined into one piece, about, since each piece costs a pass."""


def ended_gaps(
    view: FleetView, *, start_ns: int, missing: list[Missing] | None = None
) -> Iterator[ReceptionGapColumns]:
    """The reception gaps of the devices of a view that ended after `start_ns`, in pieces that are read one at a time.

    Args: missing: gets the days that cannot be read, and those that retention has deleted.
    Raises: DamagedData: a block cannot be read, and there is no `missing`.
    """
    if missing is None or not view.is_of_one:
        yield from _ended(view, start_ns, missing)
        return
    key = "received", start_ns, 0
    if key not in view.known_gaps:
        lacking: list[Missing] = []
        view.known_gaps[key] = list(_ended(view, start_ns, lacking)), lacking
    pieces, lacking = view.known_gaps[key]
    missing += lacking
    yield from pieces


def _ended(view: FleetView, start_ns: int, missing: list[Missing] | None) -> Iterator[ReceptionGapColumns]:
    on_damage = None if missing is None else partial(note_missing_day, missing)
    if missing is not None:
        note_expired_gaps(missing, view.manifest.expired, start_ns=start_ns)
    waiting: list[ReceptionGapColumns] = []
    for gaps in chain(
        view.closed_gaps(start_day=start_ns // NS_PER_DAY, end_day=2**31, on_damage=on_damage), _live_gaps(view)
    ):
        waiting.append(gaps.where(gaps.end_ns > start_ns))
        if sum(map(len, waiting)) >= ROWS_JOINED:
            yield join_gaps(waiting)
            waiting = []
    yield join_gaps(waiting)


def _live_gaps(view: FleetView) -> Iterator[ReceptionGapColumns]:
    devices = view.live.devices
    for gaps in view.live.gaps:
        view.budget.check()
        places = np.flatnonzero((gaps.devices >= devices.start) & (gaps.devices < devices.stop))
        if len(places):
            yield gaps.where(places)


def gaps_of_one(view: FleetView, ended: Iterable[ReceptionGapColumns]) -> list[ReceptionGap]:
    """The ended gaps of the one device of a view, ascending; then the time since its last reception, long or not."""
    last_ns = int(view.live.last_received_ns[0])
    starts_ns, ends_ns = [np.array([last_ns])], [np.array([max(view.now_ns, last_ns) + 1])]
    for piece in ended:
        view.budget.check()
        view.budget.take(GAP_BYTES * len(piece), "the reception gaps of the device")
        starts_ns.append(piece.start_ns)
        ends_ns.append(piece.end_ns)
    start_ns, end_ns = np.concatenate(starts_ns), np.concatenate(ends_ns)
    order = np.argsort(end_ns, kind="stable")
    policies = view.live.policy_table.of_histories(view.live.policy_codes.astype(np.int64))
    return reception_gaps(start_ns[order], end_ns[order], policies)


def look_back_ns(view: FleetView, *, start_ns: int) -> int:
    """From when on exclusions matter to the one device of a view.

    That is `start_ns`, or the start of a gap that began before it; but no more than LOOK_BACK_NS earlier.
    """
    since_ns = [int(view.live.last_received_ns[0])]
    if view.live.first_sent_ns[0] <= view.now_ns:
        since_ns.append(int(view.live.last_sent_ns[0]))
    # Where anything came after the start, gaps may have ended since. Blocks that cannot be read are no matter here:
    # questions that need them find and report them themselves.
    ended = ended_gaps(view, start_ns=start_ns, missing=[]) if since_ns[0] > start_ns else ()
    beats = ended_beat_gaps(view, start_ns=start_ns, end_ns=view.now_ns, missing=[]) if since_ns[-1] > start_ns else ()
    for gaps in chain(ended, beats):
        since_ns += gaps.start_ns[gaps.start_ns < start_ns].tolist()
    return min([start_ns, *(max(at_ns, start_ns - LOOK_BACK_NS) for at_ns in since_ns if at_ns != NEVER_NS)])
