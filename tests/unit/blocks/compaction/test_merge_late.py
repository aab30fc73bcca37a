"""When late blocks are merged, and which days a piece of work takes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import Change, apply_change
from fleetpulse.blocks.compaction.merge_late import (
    DAYS_AT_ONCE,
    LATE_BLOCKS_MAX,
    LATE_DAYS_MAX,
    ROWS_AT_ONCE,
    merge_late,
)
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import LateRows
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY

DAY = 20_000


class Blocks:
    """A manifest with late blocks, and what was found damaged."""

    def __init__(self) -> None:
        self.history = History(MemoryBlockStore(), Manifest(open_from_day=DAY + 1000, taken_at_ns=DAY * NS_PER_DAY))
        self.damaged: list[SampleBlock | BlockFile] = []

    def add(self, days: Sequence[int], *, device: int = 0, word: int = 1, written_day: int = DAY) -> LateBlock:
        """A late block with a row of one device on each of the days since DAY."""
        rows: Rows = np.zeros((len(days), WORDS_PER_DAY), np.uint64)
        rows[:, 0] = word
        late = LateRows(np.array(days, np.int32) + DAY, np.full(len(days), device, np.uint32), rows)
        files = CheckpointFiles(self.history, position=1, device_count=0, pause=lambda: None)
        block = files.put_late(late, written_day=written_day)
        self.history.manifest = replace(self.history.manifest, late=(*self.history.manifest.late, block))
        return block

    def merge(self, *, is_forced: bool = False, rows_at_once: int = ROWS_AT_ONCE) -> Change | None:
        """A piece of work, as if it was committed."""
        work = CompactionInput(self.history, {}, 0, lambda: None, lambda block, _: self.damaged.append(block))
        change = merge_late(work, self.history.manifest, is_forced=is_forced, rows_at_once=rows_at_once)
        if change is not None:
            self.history.manifest = apply_change(self.history.manifest, change)
        return change


def test_a_few_late_rows_wait_for_more_or_for_the_next_day() -> None:
    blocks = Blocks()
    blocks.add(range(3))
    assert blocks.merge() is None
    blocks.history.manifest = replace(blocks.history.manifest, taken_at_ns=(DAY + 1) * NS_PER_DAY)
    assert blocks.merge() is not None
    assert blocks.history.manifest.late == ()


def test_many_late_blocks_and_many_days_are_merged_at_once() -> None:
    blocks = Blocks()
    for device in range(LATE_BLOCKS_MAX):
        assert blocks.merge() is None
        blocks.add([0, 1], device=device)
    change = blocks.merge()
    assert change is not None
    assert change.late is not None
    devices, minutes = change.late.new_minutes
    assert (devices.tolist(), minutes.tolist()) == ([0, 1, 2, 3], [2, 2, 2, 2])
    blocks.add(range(LATE_DAYS_MAX + 1))
    assert blocks.merge() is not None


def test_a_piece_of_work_takes_the_oldest_days_and_leaves_the_others() -> None:
    blocks = Blocks()
    blocks.add(range(LATE_DAYS_MAX + 1))
    change = blocks.merge()
    assert change is not None
    assert change.counts == (DAYS_AT_ONCE, DAYS_AT_ONCE)
    (left,) = blocks.history.manifest.late
    assert min(left.days) == DAY + DAYS_AT_ONCE


def test_a_piece_of_work_takes_no_further_day_when_those_that_it_has_are_large() -> None:
    blocks = Blocks()
    blocks.add(range(5), device=1)
    blocks.merge(is_forced=True)
    blocks.add(range(5), device=2)
    days_left = []
    while blocks.merge(is_forced=True, rows_at_once=4) is not None:
        days_left.append([len(block.days) for block in blocks.history.manifest.late])
    assert days_left == [[3], [1], []]  # a row that is late and one that is stored for each day


def test_minutes_that_a_day_or_another_late_block_holds_count_once() -> None:
    blocks = Blocks()
    blocks.add([0], word=0b0011)
    blocks.merge(is_forced=True)
    blocks.add([0], word=0b0110)
    blocks.add([0], word=0b1100)
    change = blocks.merge(is_forced=True)
    assert change is not None
    assert change.late is not None
    assert change.late.new_minutes[1].tolist() == [2]


def test_a_damaged_late_block_stays_and_keeps_no_other_from_being_merged() -> None:
    blocks = Blocks()
    broken = blocks.add([0, 1], device=1)
    blocks.add([1, 2], device=2)
    blocks.history.store.put(broken.by_day.name, lambda out: out.write(b"no Parquet"))
    assert blocks.merge(is_forced=True) is not None
    assert blocks.history.manifest.late == (broken,)
    assert set(blocks.damaged) == {broken.by_day}
    assert blocks.merge(is_forced=True) is None
