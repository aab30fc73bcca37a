"""The beats of a generated fleet: those of any day and any devices, the same in whatever pieces they are made.

The beats of a device are numbered. Whether one is missed, and how early or late it comes, is a hash of its number, so
that a beat that the jitter moves over midnight is made for the one day and not for the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.aggregate.uptime import pack_minutes
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MS, NS_PER_S
from fleetpulse.simulation.beating import Beating

MS_PER_DAY = NS_PER_DAY // NS_PER_MS
MS_PER_S = NS_PER_S // NS_PER_MS
MS_PER_MINUTE = 60 * MS_PER_S
_HASH_BITS = 24
_HASH_MASK = np.uint64((1 << _HASH_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Outages:
    """The outage of each device in a day: int64 and bool, shape (devices,); milliseconds of the day [start, end).

    `is_link`: only the link was cut; the device kept its beats, and sent them afterwards.
    """

    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    is_link: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DayBeats:
    """Beats of a day, sorted by device and time: int64 and bool, shape (beats,).

    `devices` counts from the first device of the piece; `at_ms` are milliseconds of the day; `is_in_time` tells which
    were received when they were sent.
    """

    devices: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    is_in_time: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> "DayBeats":
        """Some of them. Args: chosen: bool, shape (beats,)."""
        return DayBeats(self.devices[chosen], self.at_ms[chosen], self.is_in_time[chosen])

    def presence(self, count: int) -> Rows:
        """The minutes with a beat, of `count` devices: uint64, shape (count, 23)."""
        minutes = np.zeros((count, MINUTES_PER_DAY), bool)
        minutes[self.devices, self.at_ms // MS_PER_MINUTE] = True
        return pack_minutes(minutes)


class HistoryBeats:
    """When each of `devices` beats between two moments.

    Args:
        jitter_s: how early or late a beat comes at most; less than half of the time between two beats.
        missed_share: share of the beats that are missed, each by itself.
    """

    def __init__(
        self,
        beating: Beating,
        *,
        devices: int,
        start_ns: int,
        end_ns: int,
        jitter_s: float,
        missed_share: float,
        chance: np.random.Generator,
    ) -> None:
        self._start_ms = -(-start_ns // NS_PER_MS)
        self._end_ms = end_ns // NS_PER_MS - round(beating.silent_s * MS_PER_S)
        self._step_ms, self._gap_every = beating.step_s * MS_PER_S, beating.gap_every
        self._jitter_ms = round(jitter_s * MS_PER_S)
        self._missed = np.uint64(int(missed_share * (1 << _HASH_BITS)))
        if beating.phase == "edge":
            self._first_ms = np.full(devices, beating.first_edge_ns(start_ns) // NS_PER_MS, np.int64)
        else:
            # Clear of the edge, so that without drift a fleet beats once in every slot.
            span_ms = min(beating.interval_s * MS_PER_S, int(self._step_ms))
            lowest, highest = self._jitter_ms, max(self._jitter_ms + 1, span_ms - self._jitter_ms)
            first_ms = self._start_ms // span_ms * span_ms + chance.integers(lowest, highest, devices)
            self._first_ms = np.where(first_ms < self._start_ms, first_ms + round(self._step_ms), first_ms)
        self._salts = chance.integers(0, 2**63, devices).astype(np.uint64)

    @property
    def a_day(self) -> int:
        """About how many beats a device has in a day, at least 1."""
        return int(MS_PER_DAY / self._step_ms) + 1

    def of_day(self, day: int, start: int, count: int, outages: Outages) -> DayBeats:
        """The beats on a day (since 1970-01-01 UTC) of the `count` devices from `start` on."""
        part, day_ms = slice(start, start + count), day * MS_PER_DAY
        numbers = self._numbers(self._first_ms[part], day_ms)
        at_ms = self._first_ms[part, None] + (np.rint(numbers * self._step_ms).astype(np.int64) - day_ms)[None, :]
        is_sent = np.ones(at_ms.shape, bool)
        if self._jitter_ms or self._missed:
            hashes = _hashes(self._salts[part], numbers)
            is_sent &= (hashes >> np.uint64(64 - _HASH_BITS)) >= self._missed
            hashes &= _HASH_MASK
            at_ms += ((hashes * np.uint64(2 * self._jitter_ms + 1)) >> np.uint64(_HASH_BITS)).astype(np.int64)
            at_ms -= self._jitter_ms
        is_sent &= (at_ms >= max(0, self._start_ms - day_ms)) & (at_ms < min(MS_PER_DAY, self._end_ms - day_ms))
        is_cut_off = np.zeros(at_ms.shape, bool)
        hit = np.flatnonzero(outages.end_ms[part] > 0)
        is_out = (at_ms[hit] >= outages.start_ms[part][hit, None]) & (at_ms[hit] < outages.end_ms[part][hit, None])
        is_link = outages.is_link[part][hit, None]
        is_sent[hit] &= ~is_out | is_link
        is_cut_off[hit] = is_out & is_link
        devices, columns = np.nonzero(is_sent)
        return DayBeats(devices, at_ms[devices, columns], ~is_cut_off[devices, columns])

    def _numbers(self, first_ms: NDArray[np.int64], day_ms: int) -> NDArray[np.int64]:
        """The numbers of the beats that may be on a day, of devices whose beats of number 0 are at `first_ms`."""
        lowest = int((day_ms - int(first_ms.max()) - self._jitter_ms) / self._step_ms) - 1
        end = int((day_ms + MS_PER_DAY - int(first_ms.min()) + self._jitter_ms) / self._step_ms) + 2
        numbers = np.arange(max(0, lowest), max(0, end))
        return numbers[numbers % self._gap_every != self._gap_every - 1] if self._gap_every else numbers


def _hashes(salts: NDArray[np.uint64], numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash for each device and beat, shape (devices, beats). Source: the finalizer of SplitMix64."""
    with np.errstate(over="ignore"):
        mixed = salts[:, None] + (numbers + 1).astype(np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return mixed
