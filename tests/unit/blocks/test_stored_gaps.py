"""Gaps are read of all devices or of some, whether a file is small or large; a damaged day does not hide the others."""

import numpy as np
import pytest

from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.gap_rows import RECEPTION
from fleetpulse.blocks.history import WHOLE_FILE_BYTES, History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_gaps import GAPS_CACHED_MAX, count_gaps, gaps_of_file, read_gaps
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S

DAY = 20_000


def gaps_of(devices: list[int], *, day: int = DAY, start_s: int = 0) -> ReceptionGapColumns:
    """A gap of each device that ends in a day, one second after the gap of the device before it."""
    ends_ns = day * NS_PER_DAY + (start_s + np.arange(len(devices)) % 86_400) * NS_PER_S
    seconds = np.full(len(devices), 60, np.uint32)
    return ReceptionGapColumns(np.array(devices, np.uint32), ends_ns - NS_PER_S, ends_ns, seconds, seconds)


def history_of(*checkpoints: ReceptionGapColumns) -> History:
    history = History(MemoryBlockStore(), Manifest())
    for gaps in checkpoints:
        files = CheckpointFiles(history, position=1, device_count=1, pause=lambda: None)
        history.manifest = Manifest(gaps=files.put_gaps([gaps]))
    return history


def damage(history: History, file: BlockFile, place: int) -> None:
    with history.store.open(file.name) as reader:
        body = bytearray(reader.read())
    body[place] ^= 1
    history.store.put(file.name, lambda to: to.write(body) and None)


def test_damaged_days_are_passed_on_and_the_others_are_answered() -> None:
    history = history_of(gaps_of([1]), gaps_of([2], day=DAY + 1))
    damage(history, history.manifest.gaps[DAY][0], -1)
    damaged: list[int] = []
    days = read_gaps(
        history, history.manifest, start_day=0, end_day=2**31, on_damage=lambda day, _: damaged.append(day)
    )
    assert [piece.devices.tolist() for piece in days] == [[2]]
    assert damaged == [DAY]
    assert list(read_gaps(history, history.manifest, start_day=DAY + 2, end_day=2**31)) == []
    with pytest.raises(DamagedData):
        list(read_gaps(history, history.manifest, start_day=0, end_day=2**31))


def test_the_files_of_a_day_come_one_by_one_or_in_one_order() -> None:
    history = history_of(gaps_of([1, 3]), gaps_of([2, 3], start_s=9))
    found = {
        is_ordered: join_gaps(
            list(read_gaps(history, history.manifest, start_day=DAY, end_day=DAY + 1, is_ordered=is_ordered))
        ).devices.tolist()
        for is_ordered in (False, True)
    }
    assert found == {False: [1, 3, 2, 3], True: [1, 2, 3, 3]}


@pytest.mark.parametrize("count", [1_000, 200_000])
def test_one_device_and_a_range_of_devices_are_found_in_small_files_and_in_large_ones(count: int) -> None:
    devices = np.repeat(np.arange(count // 100), 100)
    history = history_of(gaps_of(devices.tolist()))
    (file,) = history.manifest.files()
    assert count_gaps(history, RECEPTION, file) == count
    assert 1_000 <= GAPS_CACHED_MAX < 200_000
    for chosen in (range(5, 6), range(3), range(count // 100 - 1, count), range(count, count + 1), range(2, 2)):
        found = [piece.devices for piece in gaps_of_file(history, RECEPTION, file, chosen)]
        expected = devices[(devices >= chosen.start) & (devices < chosen.stop)]
        np.testing.assert_array_equal(np.concatenate([*found, devices[:0]]), expected)
    assert sum(map(len, gaps_of_file(history, RECEPTION, file))) == count


def large_history() -> History:
    """A file of 4,000 devices with 100 gaps each, at times that do not compress."""
    chance = np.random.default_rng(1)
    gaps = gaps_of(np.repeat(np.arange(4_000), 100).tolist())
    jitter_ns = chance.integers(0, NS_PER_S, len(gaps))
    start_ns, end_ns = gaps.start_ns - jitter_ns, gaps.end_ns + jitter_ns
    history = history_of(ReceptionGapColumns(gaps.devices, start_ns, end_ns, gaps.interval_s, gaps.grace_s))
    (file,) = history.manifest.files()
    assert file.size_bytes > WHOLE_FILE_BYTES
    return history


def test_a_flipped_bit_of_a_large_file_is_noticed_by_the_checksum_of_its_page() -> None:
    history = large_history()
    (file,) = history.manifest.gaps[DAY]
    damage(history, file, file.size_bytes // 2)
    with pytest.raises(DamagedData):
        sum(map(len, gaps_of_file(history, RECEPTION, file)))


def test_a_scan_of_a_large_file_keeps_nothing_in_the_cache_and_a_question_about_one_device_keeps_the_footer() -> None:
    history = large_history()
    (file,) = history.manifest.gaps[DAY]
    assert sum(map(len, gaps_of_file(history, RECEPTION, file))) == count_gaps(history, RECEPTION, file) == 400_000
    assert history.memory_cache.size_bytes == 0
    assert sum(map(len, gaps_of_file(history, RECEPTION, file, range(7, 8)))) == 100
    assert history.memory_cache.size_bytes > 0
