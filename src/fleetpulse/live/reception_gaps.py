"""Reception gaps, found between the receptions of a device."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps

JOINED_ROWS_MAX = 262_144
"""A piece of so many gaps is joined no further, so that no batch waits for long copies."""


def gaps_between(
    devices: NDArray[np.uint32], at_ns: NDArray[np.int64], *, before_ns: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """(device, start, end) of every span between a reception and the reception of that device before it.

    Args: `devices` (uint32), `at_ns`: the receptions, shape (n,), in any order; times are int64 ns. `before_ns`, shape
        (n,): the last reception of that device before all of these.
    Returns: uint32, int64 ns, int64 ns, each shape (n,), sorted by device and time.
    """
    order = np.lexsort((at_ns, devices))
    devices, ends, starts = devices[order], at_ns[order], before_ns[order]
    is_first = first_of_runs(devices)
    starts[1:][~is_first[1:]] = ends[:-1][~is_first[1:]]
    return devices, starts, ends


def add_gaps(pieces: list[ReceptionGapColumns], gaps: ReceptionGapColumns) -> None:
    """Append gaps to pieces, joined with those before them that are not larger.

    So there are few pieces, since a question has to scan each, and a gap is copied about as often as its count doubles.
    """
    while pieces and len(pieces[-1]) <= min(len(gaps), JOINED_ROWS_MAX):
        gaps = join_gaps([pieces.pop(), gaps])
    pieces.append(gaps)


def join_pieces(pieces: Sequence[ReceptionGapColumns]) -> list[ReceptionGapColumns]:
    """The same gaps in fewer pieces: else each failed checkpoint would leave further ones, and questions scan each."""
    joined: list[ReceptionGapColumns] = []
    for piece in pieces:
        add_gaps(joined, piece)
    return joined
