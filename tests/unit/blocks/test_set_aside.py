"""Blocks that are set aside, by name, until they are as they were written again."""

import pytest

from fleetpulse.blocks.history import History
from fleetpulse.blocks.set_aside import SetAsideBlocks
from fleetpulse.blocks.store import MemoryBlockStore, put_block
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.model.manifest import BlockFile, Manifest

FILE = BlockFile("presence-1.parquet", 5, "abc")


def test_damage_is_noted_once_and_with_what_was_found_first() -> None:
    blocks = SetAsideBlocks()
    assert blocks.note(FILE, DamagedData("first"), at_ns=1)
    assert not blocks.note(FILE, DamagedData("second"), at_ns=2)
    assert [(block.file, block.because, block.since_ns) for block in blocks] == [(FILE, "first", 1)]
    blocks.clear(FILE.name)
    assert blocks.why(FILE.name) is None


def test_a_store_that_is_away_damages_nothing() -> None:
    blocks = SetAsideBlocks()
    assert not blocks.note(FILE, Unreadable("the bucket does not answer"), at_ns=1)
    assert len(blocks) == 0


def test_what_was_recorded_is_taken_up_for_files_of_the_manifest() -> None:
    blocks = SetAsideBlocks()
    blocks.restore({FILE.name: ("damaged", 7), "gone": ("damaged", 8)}, {FILE.name: FILE})
    assert [(block.file, block.since_ns) for block in blocks] == [(FILE, 7)]


def test_history_sets_aside_what_it_finds_damaged_and_only_files_that_the_manifest_names() -> None:
    store = MemoryBlockStore()
    file = put_block(store, "presence-1", lambda out: out.write(b"body") and None)
    history = History(store, Manifest(presence={1: file}, open_from_day=5))
    store.remove(file.name)
    with pytest.raises(DamagedData, match="missing"):
        history.row(1, 0)
    assert history.set_aside.why(file.name)
    store.put(file.name, lambda out: out.write(b"body") and None)
    with pytest.raises(DamagedData, match="missing"):
        history.check(file)
    assert history.check_again() == [file.name]
    history.check(file)
    with pytest.raises(DamagedData):
        history.check(BlockFile("replaced.parquet", 5, ""))
    assert len(history.set_aside) == 0
