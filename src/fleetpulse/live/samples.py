"""Samples that no block holds yet: columns in the order they came in, cut into a block by the next checkpoint."""

from fleetpulse.model.samples import SampleColumns, join_samples

PIECES_MAX = 64
"""Pieces held before they are joined: a scan looks at each."""


class LiveSamples:
    """The pieces, of which the most recent ones are small."""

    def __init__(self) -> None:
        self._pieces: list[SampleColumns] = []
        self._joined = 0
        self.count = 0

    def add(self, piece: SampleColumns) -> None:
        """Take samples; the arrays are kept, not copied."""
        self._pieces.append(piece)
        self.count += len(piece)
        if len(self._pieces) - self._joined > PIECES_MAX:
            # What was joined once is left alone, so that a sample is copied a few times at most.
            self._pieces[self._joined :] = [join_samples(self._pieces[self._joined :])]
            self._joined += 1

    def pieces(self) -> list[SampleColumns]:
        """All there is; the list is the caller's."""
        return list(self._pieces)

    def take(self) -> list[SampleColumns]:
        """All there is, which is no longer here."""
        taken, self._pieces, self._joined, self.count = self._pieces, [], 0, 0
        return taken
