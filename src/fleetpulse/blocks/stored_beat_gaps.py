"""The gaps between beats that blocks hold, less what late beats cover of them.

Late beats that a day's gaps are known to need are in its `covers`; those that compaction has not given to days yet are
in `backfill`; the latest are in memory. All are read and applied here, so an answer never depends on where they are.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.beat_gaps import divide, join_backfill
from fleetpulse.blocks.gap_rows import BACKFILL, BEATS, COVERS, of_devices
from fleetpulse.blocks.history import History, OnDamage
from fleetpulse.blocks.stored_gaps import ALL_DEVICES, gaps_of_files
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, DeviceSpans, join_device_spans
from fleetpulse.model.manifest import BackfillFile, Manifest


def read_beat_gaps(
    history: History,
    manifest: Manifest,
    *,
    start_day: int,
    end_day: int,
    devices: range = ALL_DEVICES,
    backfill: DeviceSpans = NO_SPANS_OF_DEVICES,
    on_damage: OnDamage | None = None,
) -> Iterator[DeviceSpans]:
    """Beat gaps of devices out of the files of the days [start_day, end_day), in pieces, day by day.

    Each piece is sorted by device and start. A gap is in a file of the day in which it ended, or of a later one, where
    late beats have divided it, or have come for very many days: so a question reads the days from the first of its
    window on, without an end. Without backfill nothing is read but the gaps.

    Args:
        backfill: what late beats cover that no block holds, in any order.
        on_damage: called with a day that cannot be read, of which the rest is then left out.
    Raises: DamagedData: a day cannot be read, and there is no `on_damage`.
    """
    live = backfill
    if len(backfill):
        live = joined(backfill.where((backfill.devices >= devices.start) & (backfill.devices < devices.stop)))
    for day in sorted(manifest.beat_gaps):
        if start_day <= day < end_day:
            try:
                yield from beat_gaps_of_day(history, manifest, day, devices, backfill=live)
            except DamagedData as error:
                if on_damage is None:
                    raise
                on_damage(day, error)


def beat_gaps_of_day(
    history: History,
    manifest: Manifest,
    day: int,
    devices: range = ALL_DEVICES,
    *,
    backfill: DeviceSpans = NO_SPANS_OF_DEVICES,
) -> Iterator[DeviceSpans]:
    """Beat gaps of devices out of the files of a day, in pieces; `backfill`: see `joined`. Raises: DamagedData."""
    pieces = gaps_of_files(history, BEATS, manifest.beat_gaps.get(day, ()), devices)
    if not (len(backfill) or manifest.covers.get(day) or backfill_of_day(manifest, day)):
        yield from pieces
        return
    for piece in pieces:
        left = divide(piece, cover_of(history, manifest, day, _devices_of(piece), backfill=backfill))
        if len(left):
            yield left


def cover_of(
    history: History, manifest: Manifest, day: int, devices: range, *, backfill: DeviceSpans = NO_SPANS_OF_DEVICES
) -> DeviceSpans:
    """What late beats of devices cover, as far as it may touch the gaps of a day; see `joined`.

    Args: backfill: further spans, sorted by device.
    Raises: DamagedData.
    """
    found = [
        of_devices(backfill, devices),
        *gaps_of_files(history, COVERS, manifest.covers.get(day, ()), devices),
        *gaps_of_files(history, BACKFILL, backfill_of_day(manifest, day), devices),
    ]
    return joined(join_device_spans([piece for piece in found if len(piece)]))


def backfill_of_day(manifest: Manifest, day: int) -> list[BackfillFile]:
    """The files of backfill that may touch the gaps of a day."""
    return [file for file in manifest.backfill if file.start_day <= day < file.end_day]


def joined(spans: DeviceSpans) -> DeviceSpans:
    """The same stretches of time, sorted by device and start, without overlap."""
    return join_backfill(spans, _keep_all)


def _keep_all(devices: NDArray[np.uint32], _start_ns: object, _end_ns: object) -> NDArray[np.bool_]:
    return np.ones(len(devices), bool)


def _devices_of(piece: DeviceSpans) -> range:
    return range(int(piece.devices[0]), int(piece.devices[-1]) + 1)
