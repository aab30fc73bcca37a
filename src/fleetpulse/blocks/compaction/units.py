"""Units of work: sorted rows of one metric out of several files, a bounded number of rows at a time.

Files overlap in devices and times. A unit is a range of both; the units of a metric cover it without overlap and come
in the order of a file, so that the rows of each, sorted, follow those of the unit before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from fleetpulse.aggregate.sample_set import drop_repeats
from fleetpulse.blocks.columns import Footer
from fleetpulse.blocks.compaction.rollup_rows import distinct_cells, fold_rows
from fleetpulse.blocks.history import History
from fleetpulse.blocks.samples import RollupRows, RowRange, sort_samples
from fleetpulse.model.manifest import BlockFile
from fleetpulse.model.metric import Kind
from fleetpulse.model.samples import SampleColumns, join_samples

UNIT_SAMPLES = 1_000_000
"""Samples that are in memory at once, about."""
UNIT_CELLS = 16_384
"""The same of roll-ups, whose sketches make them larger."""


def cut_units(footers: Sequence[Footer], metric: int, whole: RowRange, rows_max: int) -> Iterator[RowRange]:
    """Cut a unit between devices so that the row groups that begin in each piece hold about `rows_max` rows; in order.

    A device whose row groups hold more than twice as many is cut by time, too.

    Args:
        footers: of the files that will be read together, of one tier.
        whole: what the units cover.
    """
    groups = [(footer, whole.groups(footer, metric)) for footer in footers]
    firsts = np.concatenate([footer.least["device"][chosen] for footer, chosen in groups])
    rows = np.concatenate([footer.rows[chosen] for footer, chosen in groups])
    devices, places = np.unique(firsts, return_inverse=True)
    rows_by_device = np.bincount(places, rows, minlength=len(devices)).tolist()
    start, rows_now = 0, 0
    for device, more in zip(devices.tolist(), rows_by_device, strict=True):
        if rows_now and rows_now + more > rows_max:
            yield replace(whole, start_device=start, end_device=device)
            start, rows_now = device, 0
        if more > 2 * rows_max:
            if start < device:
                yield replace(whole, start_device=start, end_device=device)
            slices = -(-int(more) // rows_max)
            edges = [whole.start_ns + (whole.end_ns - whole.start_ns) * place // slices for place in range(slices + 1)]
            for start_ns, end_ns in pairwise(edges):
                yield RowRange(start_ns, end_ns, device, device + 1)
            start, rows_now = device + 1, 0
        rows_now += int(more)
    yield replace(whole, start_device=start)


def samples_of_files(
    history: History, files: Sequence[BlockFile], metric: int, *, start_ns: int, end_ns: int, is_distinct: bool
) -> Iterator[SampleColumns]:
    """The samples of a metric with sent_at in [start_ns, end_ns), sorted by device and time, a unit at a time.

    Args: is_distinct: give samples that occur several times only once. Raises: DamagedData.
    """
    whole = RowRange(start_ns, end_ns)
    for unit in cut_units([history.footer(file) for file in files], metric, whole, UNIT_SAMPLES):
        samples = join_samples([piece for file in files for piece in _read_samples(history, file, metric, unit)])
        if len(samples):
            ordered = _sort_in_unit(samples, unit)
            yield drop_repeats(ordered) if is_distinct else ordered


def _read_samples(history: History, file: BlockFile, metric: int, unit: RowRange) -> Iterator[SampleColumns]:
    for samples in history.sample_groups(file, unit.groups(history.footer(file), metric)):
        start, end = np.searchsorted(samples.devices, [unit.start_device, unit.end_device]).tolist()
        inside = samples.where(slice(start, end))
        is_chosen = (inside.at_ns >= unit.start_ns) & (inside.at_ns < unit.end_ns)
        yield inside if is_chosen.all() else inside.where(is_chosen)


def _sort_in_unit(samples: SampleColumns, unit: RowRange) -> SampleColumns:
    """By device and time. Most often both fit into one word, and what is joined is sorted already in long runs."""
    first = int(samples.devices.min())
    length_ns = unit.end_ns - unit.start_ns
    if (int(samples.devices.max()) - first + 1) * length_ns >= 2**63:
        return sort_samples(samples)
    keys = (samples.devices.astype(np.int64) - first) * length_ns + (samples.at_ns - unit.start_ns)
    return samples.where(np.argsort(keys, kind="stable"))


def rollups_of_files(history: History, files: Sequence[BlockFile], metric: int, kind: Kind) -> Iterator[RollupRows]:
    """The cells of a metric out of several files of one tier, sorted and each once. Raises: DamagedData."""
    always = RowRange(-(2**63), 2**63 - 1)

    def cells_of_units() -> Iterator[RollupRows]:
        for unit in cut_units([history.footer(file) for file in files], metric, always, UNIT_CELLS):
            pieces = [rows for file in files for rows in _read_rollups(history, file, metric, kind, unit) if len(rows)]
            if pieces:
                yield fold_rows(pieces)

    return distinct_cells(cells_of_units())


def _read_rollups(history: History, file: BlockFile, metric: int, kind: Kind, unit: RowRange) -> Iterator[RollupRows]:
    for rows in history.rollup_groups(file, unit.groups(history.footer(file), metric), kind):
        yield rows.cut(*np.searchsorted(rows.devices, [unit.start_device, unit.end_device]).tolist())
