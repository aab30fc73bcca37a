"""Silences: from when until when the service received nothing of a device, where that was longer than a missed beat.

A silence is written when it ends, by the batch that ends it; the one that goes on is told by `last_received_ns`. Together with
what people declared (pauses, maintenance) and blind time, silences say the status of a device at any moment: late and down
are not events that somebody must not miss, they are computed, and cannot stick.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEVER_NS = 0
"""As the start of a silence: nothing had ever been received before."""


@dataclass(frozen=True, slots=True)
class ReceptionGapColumns:
    """Silences as columns of one length: received_at before and after, in ns, and the terms that held then, in seconds."""

    devices: NDArray[np.uint32]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    interval_s: NDArray[np.uint32]
    grace_s: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.devices)

    def where(self, chosen: "NDArray[np.bool_] | NDArray[np.int64] | slice") -> "ReceptionGapColumns":
        """The silences of a mask, of a slice, or in the order of an index."""
        return ReceptionGapColumns(
            self.devices[chosen],
            self.start_ns[chosen],
            self.end_ns[chosen],
            self.interval_s[chosen],
            self.grace_s[chosen],
        )


NO_GAPS = ReceptionGapColumns(
    np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint32)
)


def join_gaps(pieces: list[ReceptionGapColumns]) -> ReceptionGapColumns:
    """All pieces as one, in order."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return NO_GAPS
    return ReceptionGapColumns(
        np.concatenate([piece.devices for piece in pieces]),
        np.concatenate([piece.start_ns for piece in pieces]),
        np.concatenate([piece.end_ns for piece in pieces]),
        np.concatenate([piece.interval_s for piece in pieces]),
        np.concatenate([piece.grace_s for piece in pieces]),
    )
