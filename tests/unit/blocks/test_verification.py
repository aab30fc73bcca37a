"""Every file of a manifest has a kind, and the snapshot's counts are compared with the blocks device by device."""

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.history import History
from fleetpulse.blocks.snapshot import SNAPSHOT_COLUMNS
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.verification import count_closed_minutes, files_by_kind
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, BackfillFile, BlockFile, GapFile, Manifest, SampleBlock


def test_kinds_cover_all_files_of_a_manifest() -> None:
    names = ("snapshot", "presence", "open", "silences", "gaps", "covers", "backfill", "samples-hour", "samples-day")
    names = (*names, "devices")
    file = {name: BlockFile(name, 1, "") for name in names}
    manifest = Manifest(
        open_from_day=5,
        snapshot=file["snapshot"],
        presence={4: file["presence"], 5: file["open"]},
        gaps={4: (GapFile.of(file["silences"]),)},
        beat_gaps={4: (GapFile.of(file["gaps"]),)},
        covers={4: (GapFile.of(file["covers"]),)},
        backfill=(BackfillFile("backfill", 1, ""),),
        samples=(SampleBlock("float", 4, 0, 1, 1, {HOUR: file["samples-hour"], DAY: file["samples-day"]}),),
        names={"devices": file["devices"]},
    )
    assert [kind for kind, _ in files_by_kind(manifest)] == [name.partition("-")[0] for name in names]
    assert [found.name for _, found in files_by_kind(manifest)] == [found.name for found in manifest.files()]


@pytest.mark.parametrize(("counted", "is_right"), [([2, 1], True), ([1, 2], False), ([3, 1], False)])
def test_minutes_must_agree_for_each_device_and_not_only_together(counted: list[int], is_right: bool) -> None:
    store = MemoryBlockStore()
    files = CheckpointFiles(History(store, Manifest()), position=1, device_count=2, pause=lambda: None)
    rows: Rows = np.zeros((2, WORDS_PER_DAY), np.uint64)
    rows[:, 0] = [0b11, 0b1]
    columns = {name: np.zeros(2, dtype) for name, dtype in SNAPSHOT_COLUMNS.items()}
    columns["closed_minutes"][:] = counted
    manifest = Manifest(
        open_from_day=5,
        snapshot=files.put_snapshot(columns),
        presence={4: files.put_closed_day(4, dense=rows, closed_minutes=np.zeros(2, np.int32))},
    )
    if is_right:
        assert count_closed_minutes(store, manifest) == 3
    else:
        with pytest.raises(DamagedData, match="the first of number 0"):
            count_closed_minutes(store, manifest)
    assert count_closed_minutes(store, Manifest()) == 0
