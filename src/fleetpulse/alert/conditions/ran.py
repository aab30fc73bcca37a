"""Devices that were running while nothing was received from them, as beats tell that came late.

A device keeps its beats while its link is down, and sends them afterwards. Each marks the minute of its sent_at, and
the minutes of open days, and those of late beats, are in memory: so a round finds them without blocks.

    received    ●──────── silent ────────●          the alert is about this time
    minutes     █ █ █ █ █ █ █ █ █ █ █ █ █           marked by late beats: it was running, the link was down
    minutes     █                       █           it was not running, or lost what it had kept
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.condition import NO_SUBJECTS
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import OpenAlerts
from fleetpulse.model.status import LATE, UP
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE

DAYS_MAX = 8
"""Days before now in which minutes are looked at; a silence that began before them is not judged."""
CELLS_AT_ONCE = 4_194_304
"""Minutes of devices that are laid out at a time, a byte each."""
SLICE = 16_384
"""Neighbouring devices whose minutes are read in one go, where many of them are wanted."""
FEW = 64


def ran_meanwhile(facts: Facts, known: OpenAlerts, absent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the devices with alerts, those that are heard again and whose late beats cover the silence: int64, ascending.

    They do if no stretch without a marked minute is longer than what makes the device down, and a minute is marked of
    which nothing was received. Costs by the alerts whose devices are heard again.

    Args: absent: those whose devices are gone: int64, ascending, shape (n,).
    """
    live, first_day = facts.view.live, facts.now_ns // NS_PER_DAY - DAYS_MAX + 1
    rows = np.flatnonzero(~np.isin(known.subjects, absent, assume_unique=True))
    codes = facts.status[0][known.subjects[rows]]
    rows = rows[(codes == UP) | (codes == LATE)]
    devices = known.subjects[rows]
    pieces = live.policy_table.in_force(live.policy_codes[devices].astype(np.int64), known.since_ns[rows])
    limit_ns = live.policy_table.down_ns[pieces]
    silent_ns, heard_ns = known.since_ns[rows] - limit_ns, live.up_since_ns[devices]
    # Whole minutes between the last reception before the alert and the first one after it.
    start = silent_ns // NS_PER_MINUTE + 1 - first_day * MINUTES_PER_DAY
    end = heard_ns // NS_PER_MINUTE - first_day * MINUTES_PER_DAY
    judged = np.flatnonzero((start >= 0) & (start < end))
    if not len(judged):
        return NO_SUBJECTS
    limit = np.maximum(limit_ns // NS_PER_MINUTE, 1)
    found = [
        chunk[_covers(_minutes(facts, devices[chunk], first_day), start[chunk], end[chunk], limit[chunk])]
        for chunk in _chunks(judged, CELLS_AT_ONCE // (DAYS_MAX * MINUTES_PER_DAY))
    ]
    ran: NDArray[np.int64] = devices[np.concatenate(found)]
    return ran


def _chunks(places: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(places), size):
        yield places[first : first + size]


def _covers(
    is_marked: NDArray[np.bool_], start: NDArray[np.int64], end: NDArray[np.int64], limit: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether marked minutes cover [start, end), except for stretches of at most `limit` minutes; shape (devices,).

    Args: is_marked: shape (devices, minutes); start, end, limit: in minutes, int64, shape (devices,).
    """
    first, last = int(start.min()), int(end.max())
    minutes = np.arange(first, last)
    is_inside = (minutes >= start[:, None]) & (minutes < end[:, None])
    is_marked = is_marked[:, first:last] & is_inside
    latest = np.where(is_marked | ~is_inside, np.arange(len(minutes)), -1)
    stretch = np.arange(len(minutes)) - np.maximum.accumulate(latest, axis=1)
    covers: NDArray[np.bool_] = is_marked.any(axis=1) & (stretch.max(axis=1) <= limit)
    return covers


def _minutes(facts: Facts, devices: NDArray[np.int64], first_day: int) -> NDArray[np.bool_]:
    """The minutes from a day on that are marked of devices: shape (devices, DAYS_MAX * 1440)."""
    live = facts.view.live
    is_marked = np.zeros((len(devices), DAYS_MAX, MINUTES_PER_DAY), bool)
    for day in range(first_day, first_day + DAYS_MAX):
        for dense in live.dense.get(day, ()):
            for places, wanted in _slices(devices[devices < len(dense)]):
                rows = dense[wanted][devices[places] - wanted.start]
                bits = np.unpackbits(rows.astype("<u8").view(np.uint8), axis=1, bitorder="little")
                is_marked[places, day - first_day] |= bits[:, :MINUTES_PER_DAY].astype(bool)
        for sparse in live.sparse.get(day, ()):
            for place, device in enumerate(devices.tolist()):
                minutes = sparse.minutes_of(device)
                if minutes is not None:
                    packed = np.frombuffer(minutes.to_bytes(MINUTES_PER_DAY // 8, "little"), np.uint8)
                    is_marked[place, day - first_day] |= np.unpackbits(packed, bitorder="little").astype(bool)
    return is_marked.reshape(len(devices), -1)


def _slices(devices: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """(places in `devices`, neighbouring devices to read) that together are all of them."""
    edges = np.searchsorted(devices, np.arange(0, int(devices.max(initial=0)) + SLICE + 1, SLICE)).tolist()
    for first, last in pairwise(edges):
        if last - first > FEW:
            yield slice(first, last), slice(int(devices[first]), int(devices[last - 1]) + 1)
        else:
            for place in range(first, last):
                yield slice(place, place + 1), slice(int(devices[place]), int(devices[place]) + 1)
