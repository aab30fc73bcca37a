"""Forgetting the beats of a device before a time, in the gaps and the backfill that the live fleet holds in memory."""

from collections.abc import Sequence

import numpy as np

from fleetpulse.aggregate.beat_gaps import IsKept, divide, join_backfill
from fleetpulse.live.beat_gaps import LiveBeats
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans, sort_device_spans


def forget_beats(many: Sequence[LiveBeats], device: int, *, before_ns: int, is_kept: IsKept) -> int | None:
    """Take the gaps out of `many` that begin with a beat of a device before a time. No piece is changed.

    Returns: the first beat that stays, where a gap before it shows which one it is.
    """
    backfill = [_of(piece, device) for one in many for piece in one.all_backfill(range(device, device + 1))]
    late = join_backfill(join_device_spans(backfill), is_kept)
    first_ns: int | None = None
    for one in many:
        for pieces in (one.gaps, one.early_gaps):
            for place, piece in enumerate(pieces):
                is_mine = (piece.devices == device) & (piece.start_ns < before_ns)
                if is_mine.any():
                    # A gap that begins before the time may be divided by late beats after it.
                    left = divide(sort_device_spans(piece.where(is_mine)), late)
                    crossing = left.end_ns[(left.start_ns < before_ns) & (left.end_ns >= before_ns)]
                    first_ns = int(crossing[0]) if len(crossing) else first_ns
                    pieces[place] = join_device_spans([piece.where(~is_mine), left.where(left.start_ns >= before_ns)])
    return first_ns


def forget_backfill(many: Sequence[LiveBeats], device: int, *, first_ns: int) -> None:
    """Leave of the backfill of a device what is not before the first beat that stays.

    What is sent again may begin a gap that ends with this beat, and nothing must divide it that is forgotten.
    """
    for one in many:
        cut = [_cut(piece, device, first_ns) for piece in one.backfill]
        one.backfill[:] = [piece for piece in cut if len(piece)]
        one.covers.forget(device, before_ns=first_ns)


def _of(piece: DeviceSpans, device: int) -> DeviceSpans:
    return piece.where(piece.devices == device)


def _cut(piece: DeviceSpans, device: int, before_ns: int) -> DeviceSpans:
    """A piece of backfill, of which only what is not before the time is left of the device."""
    is_mine = (piece.devices == device) & (piece.start_ns < before_ns)
    if not is_mine.any():
        return piece
    starts = np.where(is_mine, before_ns, piece.start_ns)
    return DeviceSpans(piece.devices, starts, piece.end_ns).where(~is_mine | (piece.end_ns >= before_ns))
