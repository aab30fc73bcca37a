"""Merging a day of presence: what its block holds, and what has come in since, as one row a device.

In come the block's chunks and rows in memory, dense by device number or sparse. Out come chunks of CHUNK device
numbers, so that a day of any number of devices is merged in bounded memory. Marking is idempotent: a minute that
several sources hold counts once.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows, count_minutes
from fleetpulse.blocks.presence import CHUNK, Chunk


def merge_presence(
    count: int, *, stored: Iterable[Chunk] = (), dense: Sequence[Rows] = (), sparse: Sequence[Chunk] = ()
) -> Iterator[Chunk]:
    """The rows of devices 0 .. count - 1 in one day, each device at most once, those without any minute left out.

    Args:
        count: how many devices there are; rows of others are ignored.
        stored: the chunks of a block, ascending, as `read_presence` yields them; read as the merge goes on.
        dense: arrays of shape (devices, 23), row i being that of device i; some may be longer or shorter than `count`.
        sparse: device numbers, uint32, ascending and distinct, with their rows, shape (numbers, 23).
    Returns: chunks in order, of CHUNK device numbers each; some may be empty.
    Raises: DamagedData: as reading `stored` does.
    """
    chunks = iter(stored)
    chunk = next(chunks, None)
    for start in range(0, count, CHUNK):
        end = min(count, start + CHUNK)
        rows: Rows = np.zeros((end - start, WORDS_PER_DAY), np.uint64)
        if chunk is not None and chunk[0][0] < end:
            _add(rows, chunk, start=start)
            chunk = next(chunks, None)
        for all_rows in dense:
            part = all_rows[start:end]
            rows[: len(part)] |= part
        for late in sparse:
            _add(rows, late, start=start)
        present = np.flatnonzero(rows.any(axis=1))
        yield (present + start).astype(np.uint32), rows[present]


def _add(rows: Rows, chunk: Chunk, *, start: int) -> None:
    """Add what a chunk holds of devices start .. start + len(rows) - 1."""
    devices, known = chunk
    # Of the column's own type, or all of it would be converted to search it.
    first, last = np.searchsorted(devices, np.array([start, start + len(rows)], np.uint32))
    rows[devices[first:last] - np.uint32(start)] |= known[first:last]


def counted(chunks: Iterable[Chunk], minutes: NDArray[np.int32], *, sign: int) -> Iterator[Chunk]:
    """The chunks as they come, their minutes added to (sign 1) or subtracted from (sign -1) `minutes`.

    Args:
        minutes: int32, shape (devices,), changed in place while the chunks are read.
    """
    for devices, rows in chunks:
        minutes[devices] += (sign * count_minutes(rows)).astype(np.int32)
        yield devices, rows
