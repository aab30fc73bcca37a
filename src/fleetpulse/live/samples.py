"""Samples that no block holds yet, in the order in which they came. The next checkpoint writes them into a block."""

from fleetpulse.live.forget import forget_samples
from fleetpulse.model.samples import SampleColumns, join_samples

PIECES_MAX = 64
"""So many pieces are joined into one, since a question has to scan each."""


class LiveSamples:
    """Pieces of samples: a few joined ones, and small recent ones."""

    def __init__(self) -> None:
        self._pieces: list[SampleColumns] = []
        self._joined = 0
        self.count = 0

    def add(self, piece: SampleColumns) -> None:
        """Add samples. The arrays are not copied, so they must not be changed afterwards."""
        self._pieces.append(piece)
        self.count += len(piece)
        if len(self._pieces) - self._joined > PIECES_MAX:
            # A joined piece is not joined again, so that each sample is copied only once.
            self._pieces[self._joined :] = [join_samples(self._pieces[self._joined :])]
            self._joined += 1

    def pieces(self) -> list[SampleColumns]:
        """All samples, as a new list of pieces."""
        return list(self._pieces)

    def forget(self, device: int, *, before_ns: int) -> SampleColumns:
        """Remove the samples of a device with sent_at before a time, and return them. Questions keep what they see."""
        self._pieces, removed = forget_samples(self._pieces, device, before_ns=before_ns)
        self.count -= len(removed)
        return removed

    def take(self) -> list[SampleColumns]:
        """Remove all samples, and return them."""
        taken, self._pieces, self._joined, self.count = self._pieces, [], 0, 0
        return taken
