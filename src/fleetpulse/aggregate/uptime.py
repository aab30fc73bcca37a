"""Uptime in per cent: lifetime figures from counts of minutes, promises, and the slots of the formula before."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.model.units import MINUTES_PER_DAY, S_PER_DAY

SLOT_MINUTES = tuple(minutes for minutes in range(1, MINUTES_PER_DAY + 1) if MINUTES_PER_DAY % minutes == 0)
UNPACKED_ROWS = 2_048
"""Devices whose minutes are laid out one by one at a time: 3 MB."""


def lifetime_uptime_percent(*, minutes_present: int, first_minute: int, last_minute: int) -> float:
    """100 · |minutes present| / max(1, last − first), at most 100; 0 with no heartbeat.

    The divisor has no + 1: that is the published contract, in which 480 minutes present over a span of 480 is 100 %.
    Source: docs/explanation/uptime.md, "Lifetime uptime".
    """
    if minutes_present == 0:
        return 0.0
    return min(100.0, 100.0 * minutes_present / max(1, last_minute - first_minute))


def slot_minutes(interval_s: int) -> int:
    """Minutes of a device's slot: the fewest that divide a day and are no shorter than its interval."""
    return next(minutes for minutes in SLOT_MINUTES if minutes * 60 >= min(interval_s, S_PER_DAY))


def unpack_minutes(rows: NDArray[np.uint64], *, count: int = MINUTES_PER_DAY) -> NDArray[np.bool_]:
    """Bits of rows, low bits first: uint64, shape (…, words), to bool, shape (…, count)."""
    packed = np.ascontiguousarray(rows.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(packed, axis=-1, bitorder="little", count=count).astype(bool)


def pack_minutes(truths: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The inverse of `unpack_minutes`: bool, shape (…, count), to uint64, shape (…, words); spare bits are clear."""
    count = truths.shape[-1]
    packed = np.zeros((*truths.shape[:-1], -(-count // 64) * 8), np.uint8)
    packed[..., : -(-count // 8)] = np.packbits(truths, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def fold_slots(rows: Rows, slot: int) -> NDArray[np.uint64]:
    """The slots in which anything was present.

    Args:
        rows: presence of a day, shape (devices, 23), a bit a minute.
        slot: minutes of a slot, one of SLOT_MINUTES.
    Returns: uint64, shape (devices, words), a bit a slot, low bits first; `rows` themselves where a slot is a minute.
    """
    if slot == 1:
        return rows
    folded = []
    for first in range(0, max(1, len(rows)), UNPACKED_ROWS):
        minutes = unpack_minutes(rows[first : first + UNPACKED_ROWS])
        folded.append(pack_minutes(np.asarray(minutes.reshape(-1, MINUTES_PER_DAY // slot, slot).any(axis=2))))
    return np.concatenate(folded)


NEARLY = 1e-9
"""Percentages that differ by less may be equal: they are compared by their fractions."""


def is_below(up: NDArray[np.int64], accountable: NDArray[np.int64], promise: float) -> NDArray[np.bool_]:
    """Whether 100 · up / accountable is less than a promise in per cent, by the exact fraction.

    Args: int64, shape (n,); `accountable` is above 0. The promise is meant as its decimal digits say.
    Returns: bool, shape (n,).
    """
    shares = 100.0 * (up / accountable)
    found: NDArray[np.bool_] = shares < promise
    exact = Fraction(str(promise))
    for place in np.flatnonzero((np.abs(shares - promise) < NEARLY) & (up < accountable)).tolist():
        found[place] = Fraction(100 * int(up[place]), int(accountable[place])) < exact
    found[up == accountable] = exact > 100
    return found


def percent(present: int, expected: int) -> float | None:
    """100 · present / expected; None where nothing was expected."""
    # Rounding could give a little more than 100.
    return min(100.0, 100.0 * present / expected) if expected else None
