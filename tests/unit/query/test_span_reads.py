"""What is read for a span comes in pieces, between which the question can be stopped."""

import numpy as np
import pytest

from fleetpulse.blocks.history import History
from fleetpulse.errors import QuestionStopped
from fleetpulse.model.manifest import HOUR, RAW, Manifest
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR
from fleetpulse.query.budget import Budget
from fleetpulse.query.cell_spans import CellMap, CellSpan
from fleetpulse.query.reads import LIVE, Read, Samples
from fleetpulse.query.resolution import SAMPLE_NS, Resolution
from fleetpulse.query.span_reads import LIVE_BYTES, PIECE_ROWS, SpanReads
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, Sample, SampleBlocks, columns_of

START, END = DAY * NS_PER_DAY, (DAY + 1) * NS_PER_DAY
CELLS = CellMap(Window(START, END, NS_PER_HOUR), Window(START, END), Resolution(DAY, np.array([SAMPLE_NS])), None, 1)
SAMPLES: list[Sample] = [(CPU, 0, minute, 1.0) for minute in range(1_440)]


def reads_of(blocks: SampleBlocks, where: Samples) -> SpanReads:
    return SpanReads(where, CPU, blocks.metrics[CPU], device=None, cells=CELLS, live_missing=[])


def where_of(blocks: SampleBlocks, live: list[Sample], budget: Budget) -> Samples:
    return Samples([columns_of(live)], Manifest(), History(blocks.store, Manifest()), budget=budget)


def test_only_the_time_of_the_span_is_read_of_a_block() -> None:
    blocks = SampleBlocks()
    part = blocks.part(*SAMPLES)
    reads = reads_of(blocks, where_of(blocks, [], Budget()))
    span = CellSpan(0, 1, 3, 5)
    assert sum(map(len, reads.samples(Read(part, RAW, START, END), span))) == 120
    (hours,) = reads.rollups(Read(part, HOUR, START, END), CellSpan(0, 1, 0, 24), parts=("sums",))
    assert len(hours) == 24


def test_live_samples_are_found_once_counted_as_held_and_cut_into_pieces() -> None:
    blocks, budget = SampleBlocks(), Budget()
    live = SAMPLES * (1 + 2 * PIECE_ROWS // len(SAMPLES))
    reads = reads_of(blocks, where_of(blocks, live, budget))
    for _ in range(2):
        sizes = [len(piece) for piece in reads.samples(Read(None, LIVE, START, END), CELLS.whole)]
        assert (sum(sizes), max(sizes)) == (len(live), PIECE_ROWS)
        assert budget.taken_bytes == LIVE_BYTES * len(live)


@pytest.mark.parametrize("tier", [RAW, HOUR, LIVE])
def test_reading_stops_when_the_question_is_stopped(tier: str) -> None:
    blocks = SampleBlocks()
    part = blocks.part(*SAMPLES)
    reads = reads_of(blocks, where_of(blocks, SAMPLES, Budget(is_gone=lambda: True)))
    read = Read(None if tier == LIVE else part, tier, START, END)
    with pytest.raises(QuestionStopped):
        list(reads.rollups(read, CELLS.whole, parts=()) if tier == HOUR else reads.samples(read, CELLS.whole))
