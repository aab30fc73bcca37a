"""The reception gaps that blocks hold, read some row groups at a time: of all devices, of a range of them, or of one.

A day may have many millions of gaps, so no function holds those of a whole day.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.columns import Footer, read_groups
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.blocks.history import WHOLE_FILE_BYTES, History, OnDamage
from fleetpulse.blocks.reception_gaps import BYTES_A_GAP, COLUMNS, INDEXED, gap_rows, merge_gaps, of_devices
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DEVICES_END, BlockFile, GapFile, Manifest
from fleetpulse.model.reception_gaps import NO_GAPS, ReceptionGapColumns, join_gaps

ALL_DEVICES = range(DEVICES_END)
"""Numbers of devices: no device has a greater one."""
GAPS_CACHED_MAX = 65_536
"""A file of so many reception gaps is kept in the cache as a whole, by whatever question it is read."""
GROUPS_AT_ONCE = 4
"""Row groups that are read together where many are: up to 32,768 gaps. Each read has a cost of its own."""
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
                if is_ordered:
                    several = chains(manifest.gaps[day])
                    yield from merge_gaps([gaps_of_files(history, files, devices) for files in several])
                else:
                    yield from gaps_of_files(history, manifest.gaps[day], devices)
            except DamagedData as error:
                if on_damage is None:
                    raise
                on_damage(day, error)


def gaps_of_files(
    history: History, files: Sequence[GapFile], devices: range = ALL_DEVICES
) -> Iterator[ReceptionGapColumns]:
    """The reception gaps of files, one file after another; see `gaps_of_file`."""
    for file in files:
        yield from gaps_of_file(history, file, devices)


def gaps_of_file(history: History, file: GapFile, devices: range = ALL_DEVICES) -> Iterator[ReceptionGapColumns]:
    """The reception gaps of a file that count, or those of some devices, by device and start, in pieces.

    Small files, and the gaps of one device with the footer by which they were found, are kept in the cache.
    Raises: DamagedData.
    """
    devices = range(max(devices.start, file.first_device), min(devices.stop, file.end_device))
    if not devices:
        return
    is_of_one = len(devices) == 1
    footer = _footer(history, file, is_kept=is_of_one)
    if int(footer.rows.sum()) <= GAPS_CACHED_MAX:
        whole = _cached(history, file, footer, range(len(footer.rows)), ALL_DEVICES)
        yield from _unless_empty(of_devices(whole, devices))
        return
    groups = _groups(footer, devices).tolist()
    if is_of_one:
        yield from _unless_empty(_cached(history, file, footer, groups, devices))
        return
    for piece in _read(history, file, footer, groups):
        yield from _unless_empty(of_devices(piece, devices))


def count_gaps(history: History, file: GapFile) -> int:
    """How many reception gaps of a file count. Raises: DamagedData."""
    devices, footer = range(file.first_device, file.end_device), _footer(history, file, is_kept=False)
    groups = _groups(footer, devices)
    is_whole = (footer.least["device"][groups] >= devices.start) & (footer.greatest["device"][groups] < devices.stop)
    in_part = _read(history, file, footer, groups[~is_whole].tolist())
    return int(footer.rows[groups[is_whole]].sum()) + sum(len(of_devices(piece, devices)) for piece in in_part)


def greatest_of_groups(history: History, file: GapFile) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the row groups of a file that hold gaps that count: the greatest device, and how many gaps.

    Returns: int64 both, shape (groups,). Raises: DamagedData.
    """
    footer = _footer(history, file, is_kept=False)
    groups = _groups(footer, range(file.first_device, file.end_device))
    return footer.greatest["device"][groups], footer.rows[groups]


def _groups(footer: Footer, devices: range) -> NDArray[np.int64]:
    """The row groups that hold gaps of devices, int64, ascending."""
    return np.flatnonzero((footer.least["device"] < devices.stop) & (footer.greatest["device"] >= devices.start))


def _unless_empty(gaps: ReceptionGapColumns) -> Iterator[ReceptionGapColumns]:
    if len(gaps):
        yield gaps


def _cached(
    history: History, file: BlockFile, footer: Footer, groups: Sequence[int], devices: range
) -> ReceptionGapColumns:
    """All gaps of devices in row groups of a file, from the cache where it has them."""

    def make() -> tuple[ReceptionGapColumns, int]:
        pieces = [of_devices(piece, devices) for piece in _read(history, file, footer, groups)]
        # A single piece would be a view, which keeps its whole row group in memory, so it is joined, and so copied.
        gaps = join_gaps([*pieces, NO_GAPS])
        return gaps, CACHED_ENTRY_BYTES + BYTES_A_GAP * len(gaps)

    return history.memory_cache.get(("gaps", file.name, devices), make)


def _footer(history: History, file: BlockFile, *, is_kept: bool) -> Footer:
    return history.footer_of(file, INDEXED, is_kept=is_kept or file.size_bytes <= WHOLE_FILE_BYTES)


def _read(history: History, file: BlockFile, footer: Footer, groups: Sequence[int]) -> Iterator[ReceptionGapColumns]:
    if groups:
        with history.opened(file) as reader:
            for columns in read_groups(
                reader, file.name, footer=footer, groups=groups, columns=COLUMNS, at_once=GROUPS_AT_ONCE
            ):
                yield gap_rows(columns)
