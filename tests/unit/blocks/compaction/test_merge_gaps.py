"""A day has few files of reception gaps, each gap is copied a few times only, and merging changes none."""

import math
import sqlite3
from contextlib import closing
from functools import partial

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beat_days import BeatDays
from examples import examples
from fleetpulse.aggregate.clock_correction import correct_gaps
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.merge_gaps import GAP_FILES_MAX, PIECE_ROWS, merge_gap_files
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.gap_rows import BEATS, GROUP_ROWS_LOWEST, RECEPTION
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_gaps import ALL_DEVICES, count_gaps, read_gaps
from fleetpulse.catalog.manifest_rows import read_manifest, write_manifest
from fleetpulse.catalog.schema import migrate
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, Manifest, SampleBlock
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

DAY = 20_000


class Days:
    """Checkpoints and compaction of reception gaps alone."""

    def __init__(self, seed: int = 1) -> None:
        self.history = History(MemoryBlockStore(), Manifest())
        self.chance = np.random.default_rng(seed)
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

    def merge(self, *, piece_rows: int = PIECE_ROWS) -> bool:
        work = CompactionInput(
            self.history, {}, 0, lambda: None, on_damage=lambda block, _error: self.damaged.append(block)
        )
        change = merge_gap_files(work, self.history.manifest, layout=RECEPTION, piece_rows=piece_rows)
        if change is None:
            return False
        self.history.manifest = apply_change(self.history.manifest, change)
        for removed, added in change.gaps.values():
            names = {file.name for file in removed}
            self.rows_merged += sum(
                count_gaps(self.history, RECEPTION, file) for file in added if file.name not in names
            )
        return True

    def restart(self) -> None:
        """Read the manifest from a catalog, as a process does that follows one that was killed."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection)
            write_manifest(connection, self.history.manifest)
            self.history = History(self.history.store, read_manifest(connection))

    def rows(self, devices: range = ALL_DEVICES) -> list[tuple[int, ...]]:
        pieces = read_gaps(
            self.history, self.history.manifest, start_day=0, end_day=2**31, devices=devices, is_ordered=True
        )
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


def test_a_large_merge_is_made_in_pieces_and_the_files_of_new_checkpoints_are_merged_between_them() -> None:
    days, piece_rows, checkpoint_rows = Days(), 8_000, 5_000
    for _ in range(GAP_FILES_MAX + 1):
        days.checkpoint(checkpoint_rows)
    before = days.rows_merged
    deepest = 0
    for _ in range(20):
        days.merge(piece_rows=piece_rows)
        # A row group of each file, and one device, may be more than was wanted.
        assert days.rows_merged - before <= 2 * piece_rows + GAP_FILES_MAX * GROUP_ROWS_LOWEST
        before = days.rows_merged
        assert days.rows() == sorted(rows_of(join_gaps(days.written)))
        days.checkpoint(checkpoint_rows // 10)
        deepest = max(deepest, len(chains(days.history.manifest.gaps[DAY])))
    assert deepest <= 3 * GAP_FILES_MAX
    days.checkpoint(1, is_day_over=True)
    while days.merge(piece_rows=piece_rows):
        pass
    assert len(days.history.manifest.gaps[DAY]) > 2
    assert len(chains(days.history.manifest.gaps[DAY])) == 1
    assert days.rows() == sorted(rows_of(join_gaps(days.written)))


def test_a_file_that_is_damaged_in_the_middle_of_a_merge_waits_until_it_is_whole_again() -> None:
    days = Days()
    for _ in range(2):
        days.checkpoint(9_000)
    days.checkpoint(9_000, is_day_over=True)
    assert days.merge(piece_rows=5_000)
    left = max(days.history.manifest.gaps[DAY], key=lambda file: file.end_device)
    with days.history.store.open(left.name) as reader:
        body = reader.read()
    days.history.store.put(left.name, lambda to: to.write(body[:-99] + bytes(99)) and None)
    days.history = History(days.history.store, days.history.manifest)  # after a restart
    while days.merge(piece_rows=5_000):
        pass
    assert {file.name for file in days.damaged if isinstance(file, BlockFile)} == {left.name}
    assert left in days.history.manifest.gaps[DAY]
    assert len(chains(days.history.manifest.gaps[DAY])) == 2
    days.history.store.put(left.name, lambda to: to.write(body) and None)
    days.history = History(days.history.store, days.history.manifest)
    while days.merge(piece_rows=5_000):
        pass
    assert len(chains(days.history.manifest.gaps[DAY])) == 1
    assert days.rows() == sorted(rows_of(join_gaps(days.written)))


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["checkpoint", "merge", "merge", "restart"]), max_size=12))
def test_before_between_and_after_pieces_the_gaps_are_the_same_and_a_restart_goes_on_merging(
    seed: int, steps: list[str]
) -> None:
    days = Days(seed=seed)
    for _ in range(GAP_FILES_MAX):
        days.checkpoint(4_500)
    days.checkpoint(4_500, is_day_over=seed % 2 == 0)
    for step in [*steps, "restart"]:
        if step == "checkpoint":
            days.checkpoint(3_000, is_day_over=seed % 2 == 0)
        elif step == "merge":
            days.merge(piece_rows=5_000)
        else:
            days.restart()
        expected = sorted(rows_of(join_gaps(days.written)))
        assert days.rows() == expected
        device = seed % 50
        assert days.rows(range(device, device + 1)) == [row for row in expected if row[0] == device]
        assert sum(count_gaps(days.history, RECEPTION, file) for file in days.history.manifest.gaps[DAY]) == len(
            expected
        )
    for _ in range(200):
        if not days.merge(piece_rows=5_000):
            break
    else:
        raise AssertionError("merging must come to an end")
    assert days.rows() == expected
    assert len(chains(days.history.manifest.gaps[DAY])) <= (1 if seed % 2 == 0 else GAP_FILES_MAX)


def test_a_correction_of_the_clock_in_the_middle_of_a_merge_corrects_each_gap_once_and_merging_goes_on() -> None:
    days = Days()
    for _ in range(3):
        days.checkpoint(9_000, is_day_over=True)
    assert days.merge(piece_rows=5_000)
    correction = ClockCorrection(DAY * NS_PER_DAY + NS_PER_DAY // 2, (DAY + 1) * NS_PER_DAY + 5)
    files = CheckpointFiles(days.history, position=1, device_count=1, pause=lambda: None)
    corrected = files.put_gaps([], [correction])
    days.history.manifest = Manifest(gaps=corrected, taken_at_ns=(DAY + 2) * NS_PER_DAY)
    expected = correct_gaps(join_gaps(days.written), [correction])
    by_day = sorted(zip((expected.end_ns // NS_PER_DAY).tolist(), rows_of(expected), strict=True))
    assert days.rows() == [row for _, row in by_day]
    while days.merge(piece_rows=5_000):
        pass
    assert [len(chains(files)) for files in days.history.manifest.gaps.values()] == [1, 1]
    assert days.rows() == [row for _, row in by_day]


def test_days_of_beat_gaps_that_are_over_are_merged_together_as_long_as_files_of_one_size_are_there() -> None:
    days = BeatDays()
    for hour in range(0, 24 * 20, 4):
        for device in range(3):
            days.beat(device, DAY * NS_PER_DAY + hour * NS_PER_HOUR)
        days.checkpoint()
    days.today = DAY + 30
    days.checkpoint()
    assert {len(files) for files in days.history.manifest.beat_gaps.values()} == {5, 6}
    pieces = 0
    while days.compact(partial(merge_gap_files, layout=BEATS)):
        pieces += 1
        assert days.found() == days.expected()
    assert pieces == 2
    assert {len(files) for files in days.history.manifest.beat_gaps.values()} == {1}
