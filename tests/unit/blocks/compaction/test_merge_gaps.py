"""A day has few files of reception gaps, each gap is copied a few times only, and merging changes none."""

import math

import numpy as np

from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.merge_gaps import GAP_FILES_MAX, merge_gap_files
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_gaps import count_gaps, read_gaps
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, Manifest, SampleBlock
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.units import NS_PER_DAY

DAY = 20_000


class Days:
    """Checkpoints and compaction of reception gaps alone."""

    def __init__(self) -> None:
        self.history = History(MemoryBlockStore(), Manifest())
        self.chance = np.random.default_rng(1)
        self.damaged: list[SampleBlock | BlockFile] = []
        self.written: list[ReceptionGapColumns] = []
        self.rows_merged = 0

    def checkpoint(self, rows: int, *, day: int = DAY, is_day_over: bool = False) -> None:
        ends_ns = day * NS_PER_DAY + self.chance.integers(0, NS_PER_DAY, rows)
        seconds = np.full(rows, 60, np.uint32)
        devices = self.chance.integers(0, 50, rows).astype(np.uint32)
        gaps = ReceptionGapColumns(devices, ends_ns - self.chance.integers(1, 10**12, rows), ends_ns, seconds, seconds)
        self.written.append(gaps)
        files = CheckpointFiles(self.history, position=1, device_count=1, pause=lambda: None)
        self.history.manifest = Manifest(gaps=files.put_gaps([gaps]), taken_at_ns=(day + is_day_over) * NS_PER_DAY)

    def merge(self) -> bool:
        work = CompactionInput(
            self.history, {}, 0, lambda: None, on_damage=lambda block, _error: self.damaged.append(block)
        )
        change = merge_gap_files(work, self.history.manifest)
        if change is None:
            return False
        self.history.manifest = apply_change(self.history.manifest, change)
        self.rows_merged += sum(count_gaps(self.history, file) for _, added in change.gaps.values() for file in added)
        return True

    def rows(self) -> list[tuple[int, ...]]:
        pieces = read_gaps(self.history, self.history.manifest, start_day=0, end_day=2**31, is_ordered=True)
        return rows_of(join_gaps(list(pieces)))


def rows_of(gaps: ReceptionGapColumns) -> list[tuple[int, ...]]:
    return list(zip(gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True))


def test_a_day_of_many_checkpoints_has_few_files_each_gap_is_copied_a_few_times_and_then_it_gets_one() -> None:
    days, checkpoints = Days(), 288
    for _ in range(checkpoints):
        days.checkpoint(20)
        days.merge()
        assert len(days.history.manifest.gaps[DAY]) <= GAP_FILES_MAX
    assert days.rows_merged < 20 * checkpoints * math.log2(checkpoints)
    days.checkpoint(1, is_day_over=True)
    assert days.merge()
    assert not days.merge()
    assert len(days.history.manifest.gaps[DAY]) == 1
    assert days.rows() == sorted(rows_of(join_gaps(days.written)))


def test_the_days_that_are_over_are_merged_one_after_another() -> None:
    days = Days()
    for day in (DAY, DAY, DAY + 1, DAY + 1):
        days.checkpoint(3, day=day)
    assert days.merge()
    assert {day: len(files) for day, files in days.history.manifest.gaps.items()} == {DAY: 1, DAY + 1: 2}
    assert not days.merge()


def test_a_damaged_file_is_left_out_and_the_others_are_merged() -> None:
    days = Days()
    for _ in range(3):
        days.checkpoint(3)
    days.checkpoint(3, is_day_over=True)
    damaged = days.history.manifest.gaps[DAY][1]
    days.history.store.put(damaged.name, lambda to: to.write(b"damaged") and None)
    assert days.merge()
    assert days.damaged == [damaged]
    assert days.history.manifest.gaps[DAY][0] == damaged
    assert len(days.history.manifest.gaps[DAY]) == 2
    assert not days.merge()


def test_a_file_that_is_missing_does_not_keep_others_from_being_merged() -> None:
    days = Days()
    days.checkpoint(3)
    days.checkpoint(3, is_day_over=True)
    days.history.store.remove(days.history.manifest.gaps[DAY][0].name)
    assert not days.merge()
    assert isinstance(days.damaged[0], BlockFile)
    try:
        days.rows()
    except DamagedData:
        return
    raise AssertionError("a missing file must be noticed")
