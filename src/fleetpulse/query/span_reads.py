"""What a plan reads for a span of cells, in pieces of a size at which the question can be stopped between them."""

from collections.abc import Iterator, Sequence

from fleetpulse.aggregate.rollup import CellPart
from fleetpulse.blocks.history import SampleRange
from fleetpulse.blocks.samples import RollupRows
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.answers import Missing
from fleetpulse.query.cell_spans import CellMap, CellSpan
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.reads import Read, Samples

PIECE_ROWS, PIECE_ENTRIES = 65_536, 262_144
"""Rows, and entries of sketches, of a piece."""
LIVE_BYTES = 26
"""Bytes of a live sample in memory."""


class SpanReads:
    """Reads the samples and roll-ups of one metric, of one device or (None) of all.

    Args: live_missing: gets the times of live samples that cannot be compared with blocks.
    """

    def __init__(
        self,
        where: Samples,
        number: int,
        metric: MetricDefinition,
        *,
        device: int | None,
        cells: CellMap,
        live_missing: list[Missing],
    ) -> None:
        self._where, self._number, self._metric, self._device, self._cells = where, number, metric, device, cells
        self._live_missing = live_missing
        self._live: list[SampleColumns] | None = None

    def samples(self, read: Read, span: CellSpan) -> Iterator[SampleColumns]:
        """The samples of a read that the span may need. Raises: DamagedData; QuestionStopped."""
        if read.block is None:
            pieces: Iterator[SampleColumns] = iter(self._live_pieces())
        else:
            pieces = self._where.history.samples(read.block, self._range(read, span))
        for piece in pieces:
            for first in range(0, len(piece), PIECE_ROWS):
                self._where.budget.check()
                yield piece if len(piece) <= PIECE_ROWS else piece.where(slice(first, first + PIECE_ROWS))

    def rollups(self, read: Read, span: CellSpan, *, parts: Sequence[CellPart]) -> Iterator[RollupRows]:
        """The cells of a read that the span may need. Raises: DamagedData; QuestionStopped."""
        assert read.block is not None
        for rows in self._where.history.rollups(read.block, read.tier, self._range(read, span), parts=parts):
            sketches = rows.cells.sketches
            entries = 0 if sketches is None else len(sketches.keys)
            step = max(1, len(rows) * PIECE_ENTRIES // max(PIECE_ENTRIES, entries))
            for first in range(0, len(rows), step):
                self._where.budget.check()
                yield rows if step == len(rows) else rows.cut(first, min(len(rows), first + step))

    def _range(self, read: Read, span: CellSpan) -> SampleRange:
        start_ns, end_ns = self._cells.span_ns(span)
        return SampleRange(self._number, self._device, max(start_ns, read.start_ns), min(end_ns, read.end_ns))

    def _live_pieces(self) -> list[SampleColumns]:
        """The live samples of the window, found once for all spans."""
        if self._live is None:
            window, codes = self._cells.widened, self._cells.codes
            is_selected = None if codes is None else codes >= 0
            wanted = LiveRange(self._number, window.start_ns, window.end_ns, self._device, is_selected)
            found: list[SampleColumns] = []
            for piece in live_samples(self._where, wanted, self._metric, self._live_missing):
                self._where.budget.check()
                if len(piece):
                    self._where.budget.take(LIVE_BYTES * len(piece))
                    found.append(piece)
            self._live = found
        return self._live
