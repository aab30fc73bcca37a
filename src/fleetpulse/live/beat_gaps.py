"""Gaps between the beats of devices, on their own clocks, and the late beats that cover parts of them.

Of all beats of a device three times are known: the first, the last, and the end of the latest gap. A beat after the
last one, or before the first one, may end or begin a gap. A beat in between lies in no gap if it is not before the end
of the latest one; else it may lie in a gap that is stored, and so it is kept as backfill. What is left of the gaps when
the backfill is taken out is a function of the set of beats: see `aggregate.beat_gaps`.

    first                                      last
      ●──●··········●──●·············●──●──●──●
      │      gap          gap        │   ↑ in no gap
    ↑ may begin one          ↑ backfill      ↑ may end one
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.beat_gaps import IsKept, divide, join_backfill
from fleetpulse.aggregate.device_policies import DevicePolicies
from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.live.open_covers import OpenCovers
from fleetpulse.model.device_spans import (
    NO_FIRST_NS,
    NO_LAST_NS,
    NO_SPANS_OF_DEVICES,
    DeviceSpans,
    join_device_spans,
    sort_device_spans,
)

BEAT_COLUMNS = ("first_sent_ns", "last_sent_ns", "gap_until_ns")
"""The sent_at of the first and of the last beat, and the end of the latest gap that is known, 0 where there is none."""
GAP_ROWS_MAX = 262_144
"""A piece of so many gaps is joined no further, so that no batch waits for long copies."""
BACKFILL_ROWS_MAX = 8_192
"""The same of backfill, which is sorted when it is joined."""


class LiveBeats:
    """Gaps and backfill that no block holds yet; each piece in any order."""

    def __init__(self, *, reserve: int) -> None:
        self.gaps: list[DeviceSpans] = []
        """Each ended by a beat that was later than all before it."""
        self.early_gaps: list[DeviceSpans] = []
        """Each begun by a beat that was earlier than all before it."""
        self.backfill: list[DeviceSpans] = []
        self.covers = OpenCovers(reserve=reserve)
        """Further backfill."""

    def note(
        self,
        devices: NDArray[np.uint32],
        sent_at_ns: NDArray[np.int64],
        *,
        columns: Mapping[str, NDArray[Any]],
        policies: DevicePolicies,
    ) -> None:
        """Take beats, in any order, at least one.

        Args:
            devices: uint32, shape (n,); sent_at_ns: int64, shape (n,).
            columns: BEAT_COLUMNS of the fleet, int64, each shape (devices,); changed in place.
        """
        last_ns = columns["last_sent_ns"]
        # A beat before the last one is behind, which wraps around: so one comparison finds all that is unusual.
        ahead_ns = (sent_at_ns - last_ns[devices]).view(np.uint64)
        if int(ahead_ns.max()) > policies.shortest_ns:
            is_usual = ahead_ns <= policies.shortest_of(devices).view(np.uint64)
            if not is_usual.all():
                # The usual ones first: where a device has both, they lie between its last beat and the others.
                np.maximum.at(last_ns, devices[is_usual], sent_at_ns[is_usual])
                unusual = _distinct_beats(devices[~is_usual], sent_at_ns[~is_usual])
                self._note_unusual(*unusual, columns=columns, policies=policies)
                return
        np.maximum.at(last_ns, devices, sent_at_ns)

    def _note_unusual(
        self,
        devices: NDArray[np.uint32],
        at_ns: NDArray[np.int64],
        *,
        columns: Mapping[str, NDArray[Any]],
        policies: DevicePolicies,
    ) -> None:
        """Take beats that may end or begin a gap, or come late: by device and time, each once."""
        first_ns, last_ns, until_ns = (columns[name][devices] for name in BEAT_COLUMNS)
        is_later = at_ns > last_ns
        is_earlier = ~is_later & (at_ns < first_ns)
        is_late = ~is_later & (first_ns < at_ns) & (at_ns < until_ns)
        is_next = ~first_of_runs(devices)
        starts = last_ns.copy()
        follows = np.flatnonzero(is_next[1:] & is_later[:-1]) + 1
        starts[follows] = at_ns[follows - 1]
        ends = first_ns
        precedes = np.flatnonzero(is_next[1:] & is_earlier[1:])
        ends[precedes] = at_ns[precedes + 1]
        later = _gaps(is_later & (starts != NO_LAST_NS), devices, starts, at_ns, policies.is_kept)
        earlier = _gaps(is_earlier, devices, at_ns, ends, policies.is_kept)
        np.minimum.at(columns["first_sent_ns"], devices, at_ns)
        np.maximum.at(columns["last_sent_ns"], devices, at_ns)
        for gaps, pieces in ((later, self.gaps), (earlier, self.early_gaps)):
            if len(gaps):
                add_spans(pieces, gaps)
                np.maximum.at(columns["gap_until_ns"], gaps.devices, gaps.end_ns)
        if is_late.any():
            late = _covered(devices[is_late], at_ns[is_late], policies.is_kept)
            displaced = self.covers.join(late, policies.is_kept)
            if len(displaced):
                add_backfill(self.backfill, displaced, policies.is_kept)

    def all_gaps(self) -> list[DeviceSpans]:
        """All gaps, not divided by backfill yet, in pieces."""
        return [*self.early_gaps, *self.gaps]

    def all_backfill(self, devices: range) -> list[DeviceSpans]:
        """All backfill of these devices, in pieces; perhaps also of others."""
        return [*self.backfill, *_not_empty([self.covers.of(devices)])]

    def take_from(self, other: "LiveBeats") -> None:
        """Take over all that another one holds."""
        self.gaps = _joined_pieces(self.gaps, other.gaps)
        self.early_gaps = _joined_pieces(self.early_gaps, other.early_gaps)
        self.backfill += [*other.backfill, *_not_empty([other.covers.take()])]
        other.gaps, other.early_gaps, other.backfill = [], [], []

    @property
    def gap_rows(self) -> int:
        """How many gaps there are."""
        return sum(map(len, self.gaps)) + sum(map(len, self.early_gaps))

    @property
    def backfill_rows(self) -> int:
        """How many rows of backfill there are; not those of `covers`, of which there is one a device at most."""
        return sum(map(len, self.backfill))


def _distinct_beats(
    devices: NDArray[np.uint32], at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The beats by device and time, each once; both shape (n,)."""
    if not _is_ascending(devices, at_ns):
        # Most devices send in order, and to sort by both columns takes three times as long.
        order = np.argsort(devices, kind="stable")
        if not _is_ascending(devices[order], at_ns[order]):
            order = np.lexsort((at_ns, devices))
        devices, at_ns = devices[order], at_ns[order]
    is_first = first_of_runs(devices, at_ns)
    return devices[is_first], at_ns[is_first]


def _is_ascending(devices: NDArray[np.uint32], at_ns: NDArray[np.int64]) -> bool:
    """Whether beats come by device and time; both shape (n,)."""
    is_next = (devices[1:] > devices[:-1]) | ((devices[1:] == devices[:-1]) & (at_ns[1:] >= at_ns[:-1]))
    return bool(is_next.all())


def _gaps(
    is_candidate: NDArray[np.bool_],
    devices: NDArray[np.uint32],
    start_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    is_kept: IsKept,
) -> DeviceSpans:
    chosen = np.flatnonzero(is_candidate)
    if not len(chosen):
        return NO_SPANS_OF_DEVICES
    spans = DeviceSpans(devices[chosen], start_ns[chosen], end_ns[chosen])
    return spans.where(is_kept(spans.devices, spans.start_ns, spans.end_ns))


def _covered(devices: NDArray[np.uint32], at_ns: NDArray[np.int64], is_kept: IsKept) -> DeviceSpans:
    """What beats cover that come by device and time."""
    begins = first_of_runs(devices)
    inner = np.flatnonzero(~begins)
    begins[inner] = is_kept(devices[inner], at_ns[inner - 1], at_ns[inner])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(devices)) - 1
    return DeviceSpans(devices[first], at_ns[first], at_ns[last])


def _not_empty(pieces: Iterable[DeviceSpans]) -> list[DeviceSpans]:
    return [piece for piece in pieces if len(piece)]


def _joined_pieces(pieces: list[DeviceSpans], more: list[DeviceSpans]) -> list[DeviceSpans]:
    if not pieces:
        return more
    joined = list(pieces)
    for piece in more:
        add_spans(joined, piece)
    return joined


def add_spans(pieces: list[DeviceSpans], spans: DeviceSpans) -> None:
    """Append spans to pieces, joined with those before them that are not larger, so that there are few pieces."""
    while pieces and len(pieces[-1]) <= min(len(spans), GAP_ROWS_MAX):
        spans = join_device_spans([pieces.pop(), spans])
    pieces.append(spans)


def add_backfill(pieces: list[DeviceSpans], spans: DeviceSpans, is_kept: IsKept) -> None:
    """Append backfill to pieces in the same way; where spans are joined, neighbours become one."""
    while pieces and len(pieces[-1]) <= min(len(spans), BACKFILL_ROWS_MAX):
        spans = join_backfill(join_device_spans([pieces.pop(), spans]), is_kept)
    pieces.append(spans)


def settle(closing: LiveBeats, is_kept: IsKept, *, forgotten: Iterable[int] = ()) -> tuple[DeviceSpans, DeviceSpans]:
    """(gaps, backfill) that a checkpoint is to store, each sorted by device and start.

    The gaps are divided by the backfill already. Of the backfill, what cannot lie in a gap that was stored before is
    left out: what is later than a gap that the device's latest beat ended, or earlier than one that its first beat
    began.

    Args: forgotten: devices of which something was forgotten since the last checkpoint. Stored gaps may begin before
        their first beat then, so nothing of their backfill is left out.
    """
    backfill = join_backfill(join_device_spans(closing.backfill), is_kept)
    gaps = divide(sort_device_spans(join_device_spans(closing.all_gaps())), backfill)
    gaps = gaps.where(is_kept(gaps.devices, gaps.start_ns, gaps.end_ns))
    is_forgotten = np.isin(backfill.devices, np.fromiter(forgotten, np.uint32))
    return gaps, backfill.where(~_is_settled(backfill, closing) | is_forgotten)


def _is_settled(backfill: DeviceSpans, closing: LiveBeats) -> NDArray[np.bool_]:
    """Which backfill lies in no gap that was stored before those of `closing`: bool, shape (rows,)."""
    later, earlier = (join_device_spans(pieces) for pieces in (closing.gaps, closing.early_gaps))
    from_ns = _by_device(later.devices, later.start_ns, backfill.devices, least=True, default=NO_FIRST_NS)
    until_ns = _by_device(earlier.devices, earlier.end_ns, backfill.devices, least=False, default=NO_LAST_NS)
    return (backfill.start_ns >= from_ns) | (backfill.end_ns <= until_ns)


def _by_device(
    devices: NDArray[np.uint32], times: NDArray[np.int64], wanted: NDArray[np.uint32], *, least: bool, default: int
) -> NDArray[np.int64]:
    """The earliest or the latest time of each wanted device, or `default`: int64, shape (wanted,)."""
    found = np.full(len(wanted), default)
    if len(devices):
        order = np.lexsort((times if least else -times, devices))
        order = order[first_of_runs(devices[order])]
        places = np.minimum(np.searchsorted(devices[order], wanted), len(order) - 1)
        is_known = devices[order][places] == wanted
        found[is_known] = times[order][places[is_known]]
    return found
