"""The reception gaps that blocks hold, read a row group at a time: of all devices, of a range of them, or of one.

A day may have many millions of gaps, so no function holds those of a whole day.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from fleetpulse.blocks.columns import Footer, read_groups
from fleetpulse.blocks.history import History, OnDamage
from fleetpulse.blocks.reception_gaps import BYTES_A_GAP, COLUMNS, INDEXED, gap_rows, merge_gaps, of_devices
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.reception_gaps import NO_GAPS, ReceptionGapColumns, join_gaps

ALL_DEVICES = range(2**32 - 1)
"""Numbers of devices: no device has a greater one."""
GAPS_CACHED_MAX = 65_536
"""A file of so many reception gaps is kept in the cache as a whole, by whatever question it is read."""
CACHED_ENTRY_BYTES = 512
"""About what an entry of the cache costs beside its columns."""


def read_gaps(
    history: History,
    manifest: Manifest,
    *,
    start_day: int,
    end_day: int,
    devices: range = ALL_DEVICES,
    is_ordered: bool = False,
    on_damage: OnDamage | None = None,
) -> Iterator[ReceptionGapColumns]:
    """Reception gaps of devices that ended in the days [start_day, end_day), in pieces, day by day.

    Each piece is sorted by device and start.

    Args:
        is_ordered: whether each piece of a day follows the one before it by device and start, however many files the
            day has; else the pieces come file by file, which costs less.
        on_damage: called with a day that cannot be read, of which the rest is then left out.
    Raises: DamagedData: a day cannot be read, and there is no `on_damage`.
    """
    for day in sorted(manifest.gaps):
        if start_day <= day < end_day:
            try:
                files = [gaps_of_file(history, file, devices) for file in manifest.gaps[day]]
                if is_ordered:
                    yield from merge_gaps(files)
                else:
                    for pieces in files:
                        yield from pieces
            except DamagedData as error:
                if on_damage is None:
                    raise
                on_damage(day, error)


def gaps_of_file(history: History, file: BlockFile, devices: range = ALL_DEVICES) -> Iterator[ReceptionGapColumns]:
    """The reception gaps of a file, or those of some devices, by device and start, a row group at a time.

    Small files, and the gaps of one device, are kept in the cache. Raises: DamagedData.
    """
    footer = _footer(history, file)
    if int(footer.rows.sum()) <= GAPS_CACHED_MAX:
        whole = _cached(history, file, range(len(footer.rows)), ALL_DEVICES)
        yield from _unless_empty(of_devices(whole, devices))
        return
    least, greatest = footer.least["device"], footer.greatest["device"]
    groups = np.flatnonzero((least < devices.stop) & (greatest >= devices.start)).tolist()
    if len(devices) == 1:
        yield from _unless_empty(_cached(history, file, groups, devices))
        return
    for piece in _read(history, file, groups):
        yield from _unless_empty(of_devices(piece, devices))


def count_gaps(history: History, file: BlockFile) -> int:
    """How many reception gaps a file holds. Raises: DamagedData."""
    return int(_footer(history, file).rows.sum())


def _unless_empty(gaps: ReceptionGapColumns) -> Iterator[ReceptionGapColumns]:
    if len(gaps):
        yield gaps


def _cached(history: History, file: BlockFile, groups: Sequence[int], devices: range) -> ReceptionGapColumns:
    """All gaps of devices in row groups of a file, from the cache where it has them."""

    def make() -> tuple[ReceptionGapColumns, int]:
        pieces = [of_devices(piece, devices) for piece in _read(history, file, groups)]
        # A single piece would be a view, which keeps its whole row group in memory, so it is joined, and so copied.
        gaps = join_gaps([*pieces, NO_GAPS])
        return gaps, CACHED_ENTRY_BYTES + BYTES_A_GAP * len(gaps)

    return history.memory_cache.get(("gaps", file.name, devices), make)


def _footer(history: History, file: BlockFile) -> Footer:
    return history.footer_of(file, INDEXED)


def _read(history: History, file: BlockFile, groups: Sequence[int]) -> Iterator[ReceptionGapColumns]:
    if groups:
        with history.opened(file) as reader:
            footer = history.footer_of(file, INDEXED)
            for columns in read_groups(reader, file.name, footer=footer, groups=groups, columns=COLUMNS):
                yield gap_rows(columns)
