"""Merging a day of presence: what its block holds, and what has come in since, as one row a device.

In come the block's chunks and rows in memory, dense by device number or sparse. Out come chunks of CHUNK device
numbers, so that a day of any number of devices is merged in bounded memory. Marking is idempotent: a minute that
several sources hold counts once.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Chunk, Rows, RowsOfDay, count_minutes
from fleetpulse.blocks.presence import CHUNK


def merge_presence(
    count: int, *, stored: Iterable[Chunk] = (), dense: Sequence[RowsOfDay] = (), sparse: Sequence[Iterable[Chunk]] = ()
) -> Iterator[Chunk]:
    """The rows of devices 0 .. count - 1 in one day, each device at most once, those without any minute left out.

    Args:
        count: how many devices there are; rows of others are ignored.
        stored: the chunks of a block, ascending, as `read_presence` yields them; read as the merge goes on.
        dense: of each source the row i of device i; some may have more or fewer rows than `count`.
        sparse: of each source its chunks, ascending, of distinct devices; read as the merge goes on.
    Returns: chunks in order, of CHUNK device numbers each; some may be empty.
    Raises: DamagedData: as reading `stored` does.
    """
    sources = [_Source(stored), *map(_Source, sparse)]
    for start in range(0, count, CHUNK):
        end = min(count, start + CHUNK)
        rows: Rows = np.zeros((end - start, WORDS_PER_DAY), np.uint64)
        for all_rows in dense:
            part = all_rows[start:end]
            rows[: len(part)] |= part
        for source in sources:
            for devices, known in source.below(end):
                rows[devices - np.uint32(start)] |= known
        present = np.flatnonzero(rows.any(axis=1))
        yield (present + start).astype(np.uint32), rows[present]


class _Source:
    """Ascending chunks, read no further than they are needed."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._next = next(self._chunks, None)

    def below(self, end: int) -> Iterator[Chunk]:
        """What is left of the devices whose numbers are smaller than `end`."""
        while self._next is not None:
            devices, rows = self._next
            # Of the column's own type, or all of it would be converted to search it.
            cut = int(np.searchsorted(devices, np.uint32(end)))
            if cut:
                yield devices[:cut], rows[:cut]
            if cut < len(devices):
                self._next = devices[cut:], rows[cut:]
                return
            self._next = next(self._chunks, None)


def counted(chunks: Iterable[Chunk], minutes: NDArray[np.int32], *, sign: int) -> Iterator[Chunk]:
    """The chunks as they come, their minutes added to (sign 1) or subtracted from (sign -1) `minutes`.

    Args:
        minutes: int32, shape (devices,), changed in place while the chunks are read.
    """
    for devices, rows in chunks:
        minutes[devices] += (sign * count_minutes(rows)).astype(np.int32)
        yield devices, rows
