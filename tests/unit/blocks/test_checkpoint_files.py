"""What a checkpoint writes: closed days with what they held, open days, reception gaps by day, samples by kind."""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Chunk, Rows
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.gap_rows import BEATS, RECEPTION
from fleetpulse.blocks.history import History
from fleetpulse.blocks.presence import read_presence
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_gaps import count_gaps, gaps_of_file
from fleetpulse.model.device_spans import DeviceSpans
from fleetpulse.model.manifest import RAW, BlockFile, Manifest
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_DAY
from sample_blocks import CPU, UPLOAD, SampleBlocks, columns_of

DAY = 20_000


def files_of(history: History, position: int = 5) -> CheckpointFiles:
    return CheckpointFiles(history, position=position, device_count=4, pause=lambda: None)


def rows_of(*words: int) -> Rows:
    rows: Rows = np.zeros((len(words), WORDS_PER_DAY), np.uint64)
    rows[:, 0] = words
    return rows


def first_words(store: MemoryBlockStore, file: BlockFile) -> dict[int, int]:
    with store.open(file.name) as reader:
        return {
            device: int(row[0])
            for devices, rows in read_presence(reader)
            for device, row in zip(devices.tolist(), rows, strict=True)
        }


def test_late_data_of_a_closed_day_joins_its_block_and_only_new_minutes_are_counted() -> None:
    store = MemoryBlockStore()
    closed: NDArray[np.int32] = np.zeros(4, np.int32)
    first = files_of(History(store, Manifest())).put_closed_day(DAY, dense=rows_of(0b11, 0, 1), closed_minutes=closed)
    assert closed.tolist() == [2, 0, 1, 0]
    history = History(store, Manifest(open_from_day=DAY + 1, presence={DAY: first}))
    late: Chunk = np.array([0, 3], np.uint32), rows_of(0b110, 0b1)
    second = files_of(history).put_closed_day(DAY, dense=None, sparse=[[late]], closed_minutes=closed)
    assert closed.tolist() == [3, 0, 1, 1]
    assert first_words(store, second) == {0: 0b111, 2: 1, 3: 1}


def test_an_open_day_is_written_as_it_is_in_memory() -> None:
    store = MemoryBlockStore()
    history = History(store, Manifest(open_from_day=DAY))
    ahead: Chunk = np.array([1], np.uint32), rows_of(0b100)
    file = files_of(history).put_open_day(DAY, dense=rows_of(1, 1), sparse=[[ahead]])
    assert first_words(store, file) == {0: 1, 1: 0b101}
    assert file.name.startswith(f"open-{DAY}-5-")


def gaps_of(*gaps: tuple[int, int, int]) -> ReceptionGapColumns:
    """Device, start and end in days since DAY."""
    devices, starts, ends = (np.array(column) for column in zip(*gaps, strict=True))
    seconds = np.full(len(gaps), 60, np.uint32)
    return ReceptionGapColumns(
        devices.astype(np.uint32), (DAY + starts) * NS_PER_DAY, (DAY + ends) * NS_PER_DAY, seconds, seconds
    )


def rows_of_gaps(history: History, files: tuple[BlockFile, ...]) -> list[tuple[int, int, int]]:
    """Device, start and end of all gaps of a day, in days since DAY, file by file."""
    return [
        (device, start // NS_PER_DAY - DAY, end // NS_PER_DAY - DAY)
        for file in files
        for piece in gaps_of_file(history, RECEPTION, file)
        for device, start, end in zip(
            piece.devices.tolist(), piece.start_ns.tolist(), piece.end_ns.tolist(), strict=True
        )
    ]


def test_new_reception_gaps_become_a_file_of_each_day_beside_those_that_are_there() -> None:
    store = MemoryBlockStore()
    first = files_of(History(store, Manifest())).put_gaps([gaps_of((2, 0, 1), (1, 0, 2), (1, 0, 1))])
    assert sorted(first) == [DAY + 1, DAY + 2]
    history = History(store, Manifest(gaps=first))
    for file in history.manifest.files():
        store.put(file.name, lambda to: to.write(b"damaged") and None)  # it must not be read
    second = files_of(history).put_gaps([gaps_of((2, 0, 1)), gaps_of((2, -1, 1), (0, 0, 1))])
    assert second[DAY + 2] == first[DAY + 2]
    assert second[DAY + 1][:1] == first[DAY + 1]
    assert rows_of_gaps(history, second[DAY + 1][1:]) == [(0, 0, 1), (2, -1, 1), (2, 0, 1)]
    assert files_of(history).put_gaps([]) == first


def test_a_correction_of_the_clock_rewrites_the_days_that_it_touches_and_no_other() -> None:
    store = MemoryBlockStore()
    first = files_of(History(store, Manifest())).put_gaps([gaps_of((1, 0, 1), (1, 1, 3), (2, 3, 4), (2, 4, 9))])
    history = History(store, Manifest(gaps=first))
    first = files_of(history).put_gaps([gaps_of((0, 1, 3), (0, 1, 2))])
    correction = ClockCorrection((DAY + 2) * NS_PER_DAY, (DAY + 2) * NS_PER_DAY + 5)
    history = History(store, Manifest(gaps=first))
    corrected = files_of(history).put_gaps([gaps_of((3, 0, 2))], [correction])
    assert sorted(corrected) == [DAY + 1, DAY + 2]
    assert corrected[DAY + 1] == first[DAY + 1]
    assert sorted(rows_of_gaps(history, corrected[DAY + 2])) == [(0, 1, 2), (0, 1, 2), (1, 1, 2), (3, 0, 2)]
    ends_ns = [
        end_ns
        for file in corrected[DAY + 2]
        for piece in gaps_of_file(history, RECEPTION, file)
        for end_ns in piece.end_ns.tolist()
    ]
    assert sorted(ends_ns) == [*[correction.since_ns] * 2, *[correction.at_ns] * 2]


def test_a_damaged_file_of_reception_gaps_is_not_corrected_since_it_would_look_sound_afterwards() -> None:
    store = MemoryBlockStore()
    history = History(store, Manifest(gaps=files_of(History(store, Manifest())).put_gaps([gaps_of((1, 0, 1))])))
    (file,) = history.manifest.files()
    store.put(file.name, lambda to: to.write(b"damaged") and None)
    correction = ClockCorrection(DAY * NS_PER_DAY, DAY * NS_PER_DAY + 5)
    assert files_of(history).put_gaps([], [correction]) == history.manifest.gaps
    assert [block.file for block in history.set_aside] == [file]


def test_gaps_between_beats_of_very_many_days_are_in_few_files_each_in_that_of_its_day_or_of_a_later_one() -> None:
    history = History(MemoryBlockStore(), Manifest())
    ends_ns = np.arange(DAY - 900, DAY + 1) * NS_PER_DAY
    gaps = DeviceSpans(np.zeros(len(ends_ns), np.uint32), ends_ns - 5, ends_ns)
    files = files_of(history).put_beat_gaps([gaps])
    counts = {day: count_gaps(history, BEATS, file) for day, (file,) in files.items()}
    assert counts == {DAY - 2: 899, DAY - 1: 1, DAY: 1}
    assert sorted(files_of(history).put_beat_gaps([gaps.where(slice(0, 2))])) == [DAY - 900, DAY - 899]
    assert files_of(history).put_beat_gaps([gaps.where(slice(0, 0))]) == {}


def test_samples_become_one_fresh_block_a_kind_sorted_whatever_their_order() -> None:
    blocks = SampleBlocks()
    pieces = [columns_of([(UPLOAD, 1, 5.0, 7), (CPU, 2, 9.0, 1.0)]), columns_of([(CPU, 0, 3000.0, 2.0)])]
    floats, integers = sorted(
        files_of(blocks.history).put_samples(pieces, blocks.metrics, is_distinct=True), key=lambda block: block.kind
    )
    assert blocks.samples(floats) == [(CPU, 0, 3000, 2.0), (CPU, 2, 9, 1.0)]
    assert blocks.samples(integers) == [(UPLOAD, 1, 5, 7)]
    assert (floats.day, floats.samples, list(floats.files)) == (None, 2, [RAW])
    assert files_of(blocks.history).put_samples([], blocks.metrics, is_distinct=True) == []


def test_a_name_is_never_used_twice_although_the_position_is_the_same() -> None:
    store = MemoryBlockStore()
    names = {files_of(History(store, Manifest())).put_open_day(DAY, dense=rows_of(1)).name for _ in range(3)}
    assert names == store.names() and len(names) == 3
