"""Uptime: lifetime figures from counts of minutes, windowed ones from slots and why each is as it is."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY
from fleetpulse.model.units import MINUTES_PER_DAY, S_PER_DAY
from fleetpulse.model.uptime import BACKFILLED, BLIND, DOWN, MAINTENANCE, PAUSED, UP

SLOT_MINUTES = tuple(minutes for minutes in range(1, MINUTES_PER_DAY + 1) if MINUTES_PER_DAY % minutes == 0)


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


def unpack_minutes(row: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """A row of presence as one truth a minute, shape (…, 23) to (…, 1440)."""
    shape = row.shape[:-1]
    packed = np.ascontiguousarray(row.astype("<u8", copy=False)).view(np.uint8).reshape(*shape, WORDS_PER_DAY * 8)
    return np.unpackbits(packed, axis=-1, bitorder="little", count=MINUTES_PER_DAY).astype(bool)


def pack_minutes(minutes: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The inverse of `unpack_minutes`."""
    packed = np.zeros((*minutes.shape[:-1], WORDS_PER_DAY * 8), np.uint8)
    packed[..., : MINUTES_PER_DAY // 8] = np.packbits(minutes, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def slot_reasons(
    *,
    present: NDArray[np.bool_],
    unheard: NDArray[np.bool_],
    blind: NDArray[np.bool_],
    maintenance: NDArray[np.bool_],
    paused: NDArray[np.bool_],
    slot: int,
) -> NDArray[np.int8]:
    """Why each slot counts as it does: a code of REASONS.

    Args: one truth a minute, all of one length that is a multiple of `slot`: whether a beat was sent; whether nothing was received
    all through it; and what touches it. Returns: shape (minutes / slot,).
    Source: docs/explanation/uptime.md, "Windowed uptime".
    """

    def touched(minutes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(minutes.reshape(-1, slot).any(axis=1))

    is_present, is_live = touched(present), touched(present & ~unheard)
    conditions = [touched(paused), touched(maintenance), is_live, is_present, touched(blind)]
    return np.select(conditions, [PAUSED, MAINTENANCE, UP, BACKFILLED, BLIND], DOWN).astype(np.int8)


def percent(present: int, expected: int) -> float | None:
    """100 · present / expected; None where nothing was expected."""
    return 100.0 * present / expected if expected else None
