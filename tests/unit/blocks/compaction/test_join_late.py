"""Late blocks that wait for a damaged day become few, and lose nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import Change, apply_change
from fleetpulse.blocks.compaction.join_late import WAITING_MAX, join_waiting_blocks
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import LateRows
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_late import late_of_day, late_of_device, mergeable, waiting_blocks
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest

DAMAGED, OTHER = 20_000, 20_001


class Waiting:
    """A manifest whose day DAMAGED is damaged, and late blocks."""

    def __init__(self) -> None:
        file = BlockFile("presence-20000.parquet", 1, "")
        self.history = History(MemoryBlockStore(), Manifest(open_from_day=DAMAGED + 9, presence={DAMAGED: file}))
        self.history.set_aside.note(file, DamagedData("a byte is flipped"), at_ns=0)

    def add(self, device: int, *, days: Sequence[int] = (DAMAGED,), word: int = 1, written_day: int = 1) -> LateBlock:
        """A late block with a row of one device on each of the days."""
        rows: Rows = np.zeros((len(days), WORDS_PER_DAY), np.uint64)
        rows[:, 0] = word
        late = LateRows(np.array(days, np.int32), np.full(len(days), device, np.uint32), rows)
        files = CheckpointFiles(self.history, position=1, device_count=0, pause=lambda: None)
        block = files.put_late(late, written_day=written_day)
        self.history.manifest = replace(self.history.manifest, late=(*self.history.manifest.late, block))
        return block

    def join(self) -> Change | None:
        """A piece of work, as if it was committed."""
        work = CompactionInput(self.history, {}, 0, lambda: None, lambda _, __: None)
        change = join_waiting_blocks(work, self.history.manifest)
        if change is not None:
            self.history.manifest = apply_change(self.history.manifest, change)
        return change


def test_blocks_that_wait_for_a_damaged_day_become_one_with_the_minutes_of_all() -> None:
    waiting = Waiting()
    for place in range(WAITING_MAX):
        waiting.add(place % 2, word=1 << place, written_day=5 - place)
        assert waiting.join() is None
    waiting.add(2, word=2)
    change = waiting.join()
    assert change is not None
    assert change.counts == (WAITING_MAX + 1, 1)
    (block,) = waiting.history.manifest.late
    assert (block.days, block.written_day) == (Days.of([DAMAGED]), 1)
    ((devices, rows),) = late_of_day(waiting.history, waiting.history.manifest, DAMAGED)
    assert (devices.tolist(), rows[:, 0].tolist()) == ([0, 1, 2], [0b0101, 0b1010, 2])
    assert late_of_device(waiting.history, waiting.history.manifest, 1)[DAMAGED][0] == 0b1010
    assert waiting.join() is None


def test_rows_of_days_that_are_merged_already_are_left_out() -> None:
    waiting = Waiting()
    for device in range(WAITING_MAX + 1):
        waiting.add(device, days=[DAMAGED, OTHER])
    late = [replace(block, days=Days.of([DAMAGED])) for block in waiting.history.manifest.late]
    waiting.history.manifest = replace(waiting.history.manifest, late=tuple(late))
    assert waiting.join() is not None
    assert set(late_of_device(waiting.history, waiting.history.manifest, 1)) == {DAMAGED}


def test_blocks_that_can_be_merged_and_damaged_ones_stay_as_they_are() -> None:
    waiting = Waiting()
    other = waiting.add(8, days=[DAMAGED, OTHER])
    broken = waiting.add(9)
    for device in range(WAITING_MAX):
        waiting.add(device)
    waiting.history.store.put(broken.by_device.name, lambda out: out.write(b"no Parquet"))
    assert len(waiting_blocks(waiting.history, waiting.history.manifest)) == WAITING_MAX + 1
    assert waiting.join() is not None
    first, second, joined = waiting.history.manifest.late
    assert (first, second) == (other, broken)
    assert sorted(late_of_device(waiting.history, replace(waiting.history.manifest, late=(joined,)), 3)) == [DAMAGED]
    assert mergeable(waiting.history) == 1
