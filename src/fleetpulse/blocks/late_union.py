"""The rows of several late blocks as those of one, with bounded memory: each (day, device) once, with all its minutes.

In come files of one order, as pieces in that order. Of each file only one piece is in memory at a time.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.late import WRITTEN_AT_ONCE, LateRows, join_late


def late_union(files: Sequence[Iterable[LateRows]], *, is_by_day: bool) -> Iterator[LateRows]:
    """The rows of all files in their order, by day and device or by device and day, in pieces that are worth writing.

    Every piece but the last has WRITTEN_AT_ONCE rows.
    """
    waiting: list[LateRows] = []
    for piece in _merged(files, is_by_day=is_by_day):
        waiting.append(piece)
        if sum(len(one.days) for one in waiting) >= WRITTEN_AT_ONCE:
            rows = join_late(waiting)
            while len(rows.days) >= WRITTEN_AT_ONCE:
                yield rows.where(slice(None, WRITTEN_AT_ONCE))
                rows = rows.where(slice(WRITTEN_AT_ONCE, None))
            waiting = [rows]
    rows = join_late(waiting)
    if len(rows.days):
        yield rows


def _merged(files: Sequence[Iterable[LateRows]], *, is_by_day: bool) -> Iterator[LateRows]:
    cursors = [cursor for file in files if len((cursor := _Cursor(iter(file), is_by_day=is_by_day)).keys)]
    while cursors:
        # Up to the least of the last rows no file has a row that is not in memory.
        bound = min(int(cursor.keys[-1]) for cursor in cursors)
        yield _distinct([cursor.take_through(bound) for cursor in cursors], is_by_day=is_by_day)
        cursors = [cursor for cursor in cursors if len(cursor.keys)]


def _distinct(pieces: Sequence[LateRows], *, is_by_day: bool) -> LateRows:
    rows = join_late(pieces)
    keys = _keys(rows, is_by_day=is_by_day)
    order = np.argsort(keys, kind="stable")
    keys, starts = np.unique(keys[order], return_index=True)
    first = order[starts]
    return LateRows(rows.days[first], rows.devices[first], np.bitwise_or.reduceat(rows.rows[order], starts, axis=0))


def _keys(rows: LateRows, *, is_by_day: bool) -> NDArray[np.int64]:
    """Day and device as one number, which is in the order of the rows; shape (n,)."""
    days, devices = rows.days.astype(np.int64), rows.devices.astype(np.int64)
    return days << 32 | devices if is_by_day else devices << 31 | days


class _Cursor:
    """The next rows of a sorted file, and their keys: some as long as there are any."""

    def __init__(self, pieces: Iterator[LateRows], *, is_by_day: bool) -> None:
        self._pieces, self._is_by_day = pieces, is_by_day
        self._rows = join_late([])
        self.keys = _keys(self._rows, is_by_day=is_by_day)
        self._fill()

    def _fill(self) -> None:
        while not len(self.keys):
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._rows, self.keys = piece, _keys(piece, is_by_day=self._is_by_day)

    def take_through(self, bound: int) -> LateRows:
        """The rows in memory whose key is `bound` at most."""
        count = int(np.searchsorted(self.keys, bound, "right"))
        taken = self._rows.where(slice(None, count))
        self._rows, self.keys = self._rows.where(slice(count, None)), self.keys[count:]
        self._fill()
        return taken
