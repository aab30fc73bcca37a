"""The history answers from the files of a manifest, and takes no damaged file for good."""

from dataclasses import replace

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.footer_checksum import MARK
from fleetpulse.blocks.history import WHOLE_FILE_BYTES, History, SampleRange
from fleetpulse.blocks.presence import CHUNK
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import HOUR, RAW, BlockFile, Manifest, SampleBlock
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from sample_blocks import CPU, LOAD, SampleBlocks
from sample_blocks import DAY as SAMPLE_DAY

CLOSED_DAY, OPEN_DAY = 20_000, 20_001
DEVICES = CHUNK + 10


def history_of_days() -> History:
    """Device i was present in minutes 0 .. i % 3 of the closed day; the open day has one device."""
    store = MemoryBlockStore()
    files = CheckpointFiles(History(store, Manifest()), position=1, device_count=DEVICES, pause=lambda: None)
    rows: Rows = np.zeros((DEVICES, WORDS_PER_DAY), np.uint64)
    rows[:, 0] = np.array([0, 1, 3], np.uint64)[np.arange(DEVICES) % 3]
    closed_minutes = np.zeros(DEVICES, np.int32)
    return History(
        store,
        Manifest(
            open_from_day=OPEN_DAY,
            presence={
                CLOSED_DAY: files.put_closed_day(CLOSED_DAY, dense=rows, closed_minutes=closed_minutes),
                OPEN_DAY: files.put_open_day(OPEN_DAY, dense=rows[:2]),
            },
        ),
    )


def damage(history: History, file: BlockFile) -> None:
    history.store.put(file.name, lambda to: to.write(b"damage") and None)


LARGE = 600_000
"""Samples of random values, which take more than WHOLE_FILE_BYTES."""


def large_block(*, has_checksum: bool = True) -> tuple[SampleBlocks, SampleBlock, bytes]:
    """Ten devices in a file that is read in parts, and its bytes; of an earlier version where it has no checksum."""
    blocks = SampleBlocks()
    devices = np.repeat(np.arange(10, dtype=np.uint32), LARGE // 10)
    at_ns = SAMPLE_DAY * NS_PER_DAY + np.tile(np.arange(LARGE // 10, dtype=np.int64), 10) * 1_000_000
    values = np.random.default_rng(1).integers(0, 2**62, LARGE)
    samples = SampleColumns(devices, np.full(LARGE, CPU, np.uint16), at_ns, values)
    files = CheckpointFiles(blocks.history, position=1, device_count=10, pause=lambda: None)
    (block,) = files.put_samples([samples], blocks.metrics, is_distinct=True)
    file = block.files[RAW]
    with blocks.store.open(file.name) as reader:
        body = reader.read()
    if not has_checksum:
        body = body.replace(MARK, bytes(len(MARK)))
        file = blocks.store.put(file.name, lambda out: out.write(body) and None)
    assert file.size_bytes > WHOLE_FILE_BYTES
    return blocks, replace(block, files={RAW: file}), body


def of_one_device(blocks: SampleBlocks, block: SampleBlock) -> list[int]:
    """The values of device 3, read by a history that has read nothing yet."""
    wanted = SampleRange(CPU, 3, SAMPLE_DAY * NS_PER_DAY, SAMPLE_DAY * NS_PER_DAY + 1_000 * 1_000_000)
    return [value for piece in blocks.history.samples(block, wanted) for value in piece.values.tolist()]


@pytest.mark.parametrize("has_checksum", [True, False])
def test_a_damaged_footer_of_a_file_that_is_read_in_parts_is_noticed_before_it_is_used(*, has_checksum: bool) -> None:
    blocks, block, body = large_block(has_checksum=has_checksum)
    assert len(of_one_device(blocks, block)) == 1_000
    length = int.from_bytes(body[-8:-4], "little")
    for place in (*range(len(body) - 8 - length, len(body), 97), *range(len(body) - 8, len(body))):
        for flip in (1, 0x80):
            damaged = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]
            blocks.store.put(block.files[RAW].name, lambda out, damaged=damaged: out.write(damaged) and None)
            with pytest.raises(DamagedData, match="not what was written"):
                of_one_device(blocks, block)


def test_a_damaged_page_of_a_file_that_is_read_in_parts_is_noticed_by_who_reads_it() -> None:
    blocks, block, body = large_block()
    values = of_one_device(blocks, block)
    noticed = 0
    for place in range(4, len(body) // 2, len(body) // 60):
        damaged = body[:place] + bytes(16) + body[place + 16 :]
        blocks.store.put(block.files[RAW].name, lambda out, damaged=damaged: out.write(damaged) and None)
        try:
            assert of_one_device(blocks, block) == values
        except DamagedData:
            noticed += 1
    assert 0 < noticed < 20


def test_one_device_a_chunk_and_all_minutes_of_a_closed_day_agree() -> None:
    history = history_of_days()
    row = history.row(CLOSED_DAY, CHUNK + 1)
    assert row is not None and row[0] == [0, 1, 3][(CHUNK + 1) % 3]
    assert history.row(CLOSED_DAY, 0) is None
    chunks = list(history.chunks(CLOSED_DAY))
    assert [devices[0] // CHUNK for devices, _ in chunks] == [0, 1]
    devices, minutes = history.minutes(CLOSED_DAY)
    np.testing.assert_array_equal(devices, np.concatenate([numbers for numbers, _ in chunks]))
    np.testing.assert_array_equal(minutes, devices % 3)


def test_an_open_day_is_no_closed_one() -> None:
    history = history_of_days()
    assert (history.has_closed(CLOSED_DAY), history.has_closed(OPEN_DAY)) == (True, False)
    assert history.row(OPEN_DAY, 1) is None
    assert list(history.chunks(OPEN_DAY)) == []
    ((day, (devices, _)),) = history.open_chunks()
    assert (day, devices.tolist()) == (OPEN_DAY, [1])


def test_a_damaged_block_is_refused_before_it_is_read() -> None:
    history = history_of_days()
    damage(history, history.manifest.presence[CLOSED_DAY])
    for read in (
        lambda: history.row(CLOSED_DAY, 1),
        lambda: list(history.chunks(CLOSED_DAY)),
        lambda: history.minutes(CLOSED_DAY),
    ):
        with pytest.raises(DamagedData, match="not what was written"):
            read()


def test_pinned_files_stay_in_use_after_the_manifest_has_moved_on() -> None:
    history = history_of_days()
    old = {file.name for file in history.manifest.files()}
    with history.pinned():
        with history.pinned():
            history.manifest = Manifest()
        assert history.in_use() == old
    assert history.in_use() == set()


def test_files_that_the_store_lacks_are_missing() -> None:
    history = history_of_days()
    assert history.missing_files() == set()
    name = history.manifest.presence[CLOSED_DAY].name
    history.store.remove(name)
    assert history.missing_files() == {name}


@pytest.mark.parametrize(("device", "values"), [(None, [2.0, 3.0, 4.0]), (1, [2.0, 3.0]), (9, [])])
def test_samples_of_a_range_are_those_of_its_metric_device_and_times(device: int | None, values: list[float]) -> None:
    blocks = SampleBlocks()
    part = blocks.part(
        (CPU, 1, 0.0, 1.0), (CPU, 1, 5.0, 2.0), (CPU, 1, 6.0, 3.0), (CPU, 2, 7.0, 4.0), (LOAD, 1, 5.0, 9.0)
    )
    start_ns = SAMPLE_DAY * NS_PER_DAY
    wanted = SampleRange(CPU, device, start_ns + 1, start_ns + 8 * NS_PER_MINUTE)
    pieces = list(blocks.history.samples(part, wanted))
    assert [value for piece in pieces for value in piece.values.view(np.float64).tolist()] == values
    cells = list(
        blocks.history.rollups(part, HOUR, SampleRange(CPU, device, start_ns, start_ns + NS_PER_DAY), parts=())
    )
    assert sum(int(rows.cells.counts.sum()) for rows in cells) == {None: 4, 1: 3, 9: 0}[device]
