"""Late rows in blocks: of a day, of a device, and only those of days that still count."""

from dataclasses import replace

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import INDEXED, ROW_GROUP_ROWS, LateRows
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_late import (
    all_late,
    has_late,
    late_days,
    late_of_day,
    late_of_device,
    late_row,
    mergeable,
)
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest

DAY = 20_000


def stored(*blocks: LateRows) -> History:
    history = History(MemoryBlockStore(), Manifest(), memory_cache_bytes_max=0)
    files = CheckpointFiles(history, position=1, device_count=0, pause=lambda: None)
    history.manifest = Manifest(late=tuple(files.put_late(block, written_day=DAY) for block in blocks))
    return history


def late_of(*rows: tuple[int, int, int]) -> LateRows:
    """Days since DAY, device and first word of each row."""
    words = np.zeros((len(rows), WORDS_PER_DAY), np.uint64)
    words[:, 0] = [row[2] for row in rows]
    days = np.array([DAY + row[0] for row in rows], np.int32)
    return LateRows(days, np.array([row[1] for row in rows], np.uint32), words)


def of_device(history: History, device: int) -> dict[int, int]:
    return {day - DAY: int(row[0]) for day, row in late_of_device(history, history.manifest, device).items()}


def test_rows_are_found_by_day_and_by_device_in_all_blocks() -> None:
    history = stored(late_of((0, 1, 1), (2, 1, 2), (2, 4, 4)), late_of((2, 1, 8), (3, 0, 1)))
    assert late_days(history.manifest) == {DAY, DAY + 2, DAY + 3}
    assert [devices.tolist() for devices, _ in late_of_day(history, history.manifest, DAY + 2)] == [[1, 4], [1]]
    assert late_of_day(history, history.manifest, DAY + 1) == []
    assert of_device(history, 1) == {0: 1, 2: 10}
    assert of_device(history, 9) == {}
    row = late_row(history, history.manifest, DAY + 2, 1)
    assert row is not None
    assert row[0] == 10
    assert late_row(history, history.manifest, DAY + 1, 1) is None


def test_rows_of_days_that_are_merged_do_not_count_any_more() -> None:
    history = stored(late_of((0, 1, 1), (2, 1, 2)))
    (block,) = history.manifest.late
    left: LateBlock = replace(block, days=frozenset({DAY + 2}))
    history.manifest = replace(history.manifest, late=(left,))
    assert of_device(history, 1) == {2: 2}
    assert not has_late(history.manifest, DAY)
    assert all_late(history, left).days.tolist() == [DAY + 2]


def test_one_device_is_found_without_reading_the_row_groups_of_others() -> None:
    many = late_of(*((day, device, 1) for day in range(40) for device in range(200)))
    assert len(many.days) > 3 * ROW_GROUP_ROWS
    history = stored(many)
    file = history.manifest.late[0].by_device
    footer = history.footer_of(file, INDEXED)
    start = footer.metadata.row_group(1).column(0).data_page_offset
    with history.store.open(file.name) as reader:
        body = reader.read()
    end = footer.metadata.row_group(3).column(0).data_page_offset
    history.store.put(file.name, lambda out: out.write(body[:start] + bytes(end - start) + body[end:]))
    history._checked.add(file.name)
    assert sorted(of_device(history, 7)) == list(range(40))
    with pytest.raises(DamagedData):
        of_device(history, 90)


def test_a_damaged_block_is_reported() -> None:
    history = stored(late_of((0, 1, 1)))
    (block,) = history.manifest.late
    history.store.put(block.by_day.name, lambda out: out.write(b"no Parquet"))
    with pytest.raises(DamagedData, match=block.by_day.name):
        late_of_day(history, history.manifest, DAY)
    assert of_device(history, 1) == {0: 1}


def test_blocks_that_wait_only_for_a_damaged_day_are_not_among_those_that_can_be_merged() -> None:
    history = stored(late_of((0, 1, 1)), late_of((0, 1, 1), (2, 1, 2)), late_of((2, 4, 4)))
    assert mergeable(history) == 3
    day = BlockFile("presence-0.parquet", 1, "")
    history.manifest = replace(history.manifest, presence={DAY: day})
    history.set_aside.note(day, DamagedData("a byte is flipped"), at_ns=0)
    assert mergeable(history) == 2
    history.set_aside.note(history.manifest.late[2].by_day, DamagedData("cut"), at_ns=0)
    assert mergeable(history) == 1
    history.set_aside.clear(day.name)
    assert mergeable(history) == 2
