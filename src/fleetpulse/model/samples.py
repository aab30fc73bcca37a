"""Samples as columns of one length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SampleColumns:
    """Samples as columns of one length, never changed once made.

    `values` are the 64 bits of a signed integer or of a double, as the metric's kind says; `at_ns` is sent_at.
    """

    devices: NDArray[np.uint32]
    metrics: NDArray[np.uint16]
    at_ns: NDArray[np.int64]
    values: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.devices)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "SampleColumns":
        """The samples of a mask, or in the order of an index."""
        return SampleColumns(self.devices[chosen], self.metrics[chosen], self.at_ns[chosen], self.values[chosen])


NO_SAMPLES = SampleColumns(np.zeros(0, np.uint32), np.zeros(0, np.uint16), np.zeros(0, np.int64), np.zeros(0, np.int64))


def join_samples(pieces: list[SampleColumns]) -> SampleColumns:
    """All pieces as one, in order."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return NO_SAMPLES
    return SampleColumns(
        np.concatenate([piece.devices for piece in pieces]),
        np.concatenate([piece.metrics for piece in pieces]),
        np.concatenate([piece.at_ns for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
    )
