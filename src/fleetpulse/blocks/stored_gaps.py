"""The gaps that blocks hold, read some row groups at a time: of all devices, of a range of them, or of one.

`layout` is the kind of gaps that a file holds; see `gap_rows`.

A day may have many millions of gaps, so no function holds those of a whole day.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.columns import Footer, read_groups
from fleetpulse.blocks.gap_rows import INDEXED, RECEPTION, GapLayout, merge_gaps, of_devices
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.blocks.history import WHOLE_FILE_BYTES, History, OnDamage
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import Spans
from fleetpulse.model.manifest import DEVICES_END, BlockFile, GapFile, Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns

ALL_DEVICES = range(DEVICES_END)
"""Numbers of devices: no device has a greater one."""
GAPS_CACHED_MAX = 131_072
"""A file of so many gaps is kept in the cache as a whole, by whatever question it is read."""
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
                yield from gaps_of_day(history, RECEPTION, manifest.gaps[day], devices, is_ordered=is_ordered)
            except DamagedData as error:
                if on_damage is None:
                    raise
                on_damage(day, error)


def gaps_of_day(
    history: History,
    layout: GapLayout[Spans],
    files: Sequence[GapFile],
    devices: range = ALL_DEVICES,
    *,
    is_ordered: bool = False,
) -> Iterator[Spans]:
    """The gaps in the files of a day, in pieces; `is_ordered`: see `read_gaps`. Raises: DamagedData."""
    if is_ordered:
        several = chains(files)
        yield from merge_gaps(layout, [gaps_of_files(history, layout, chain, devices) for chain in several])
    else:
        yield from gaps_of_files(history, layout, files, devices)


def gaps_of_files(
    history: History, layout: GapLayout[Spans], files: Sequence[GapFile], devices: range = ALL_DEVICES
) -> Iterator[Spans]:
    """The gaps of files, one file after another; see `gaps_of_file`."""
    for file in files:
        yield from gaps_of_file(history, layout, file, devices)


def gaps_of_file(
    history: History, layout: GapLayout[Spans], file: GapFile, devices: range = ALL_DEVICES
) -> Iterator[Spans]:
    """The gaps of a file that count, or those of some devices, by device and start, in pieces.

    Small files, and the gaps of one device with the footer by which they were found, are kept in the cache.
    Raises: DamagedData.
    """
    devices = range(max(devices.start, file.first_device), min(devices.stop, file.end_device))
    if not devices:
        return
    known = history.memory_cache.find(("gaps", file.name, ALL_DEVICES))
    if known is not None:  # as of most files that a question about one device looks into
        yield from _unless_empty(of_devices(cast(Spans, known), devices))
        return
    is_of_one = len(devices) == 1
    footer = _footer(history, file, is_kept=is_of_one)
    if int(footer.rows.sum()) <= GAPS_CACHED_MAX:
        whole = _cached(
            history, layout, file, ALL_DEVICES, _read(history, layout, file, footer, range(len(footer.rows)))
        )
        yield from _unless_empty(of_devices(whole, devices))
        return
    groups = _groups(footer, devices).tolist()
    if is_of_one:
        yield from _unless_empty(_cached(history, layout, file, devices, _read(history, layout, file, footer, groups)))
        return
    for piece in _read(history, layout, file, footer, groups):
        yield from _unless_empty(of_devices(piece, devices))


def gaps_of_chosen(
    history: History, layout: GapLayout[Spans], files: Sequence[GapFile], devices: NDArray[np.uint32]
) -> Iterator[Spans]:
    """The gaps that count of some devices, file by file; row groups without any of them are not read.

    Args: devices: uint32, shape (n,), ascending.
    Raises: DamagedData.
    """
    for file in files:
        chosen = _that_count(file, devices)
        if len(chosen):
            footer = _footer(history, file, is_kept=False)
            for piece in _read(history, layout, file, footer, _groups_of_chosen(footer, chosen).tolist()):
                place = np.minimum(np.searchsorted(chosen, piece.devices), len(chosen) - 1)
                yield from _unless_empty(piece.where(chosen[place] == piece.devices))


def rows_of_chosen(history: History, files: Sequence[GapFile], devices: NDArray[np.uint32]) -> int:
    """How many rows `gaps_of_chosen` reads to find those of devices.

    Args: devices: uint32, shape (n,), ascending.
    Raises: DamagedData.
    """
    several = ((_footer(history, file, is_kept=False), _that_count(file, devices)) for file in files)
    return sum(int(footer.rows[_groups_of_chosen(footer, chosen)].sum()) for footer, chosen in several if len(chosen))


def _that_count(file: GapFile, devices: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return devices[slice(*np.searchsorted(devices, np.array([file.first_device, file.end_device], np.uint32)))]


def _groups_of_chosen(footer: Footer, devices: NDArray[np.uint32]) -> NDArray[np.int64]:
    first = np.searchsorted(devices, footer.least["device"].astype(np.uint32))
    last = np.searchsorted(devices, footer.greatest["device"].astype(np.uint32), side="right")
    return np.flatnonzero(first < last)


def count_gaps(history: History, layout: GapLayout[Spans], file: GapFile) -> int:
    """How many gaps of a file count. Raises: DamagedData."""
    devices, footer = range(file.first_device, file.end_device), _footer(history, file, is_kept=False)
    groups = _groups(footer, devices)
    is_whole = (footer.least["device"][groups] >= devices.start) & (footer.greatest["device"][groups] < devices.stop)
    in_part = _read(history, layout, file, footer, groups[~is_whole].tolist())
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


def _unless_empty(gaps: Spans) -> Iterator[Spans]:
    if len(gaps):
        yield gaps


def _cached(
    history: History, layout: GapLayout[Spans], file: BlockFile, devices: range, read: Iterator[Spans]
) -> Spans:
    """The gaps of devices of a file, from the cache where it has them; `read` reads the row groups that hold them."""

    def make() -> tuple[Spans, int]:
        pieces = [of_devices(piece, devices) for piece in read]
        # A single piece would be a view, which keeps its whole row group in memory, so it is joined, and so copied.
        gaps = layout.join([*pieces, layout.empty])
        return gaps, CACHED_ENTRY_BYTES + layout.row_bytes * len(gaps)

    return history.memory_cache.get(("gaps", file.name, devices), make)


def _footer(history: History, file: BlockFile, *, is_kept: bool) -> Footer:
    return history.footer_of(file, INDEXED, is_kept=is_kept or file.size_bytes <= WHOLE_FILE_BYTES)


def _read(
    history: History, layout: GapLayout[Spans], file: BlockFile, footer: Footer, groups: Sequence[int]
) -> Iterator[Spans]:
    if groups:
        with history.opened(file) as reader:
            for columns in read_groups(
                reader, file.name, footer=footer, groups=groups, columns=layout.columns, at_once=GROUPS_AT_ONCE
            ):
                yield layout.rows(columns)
