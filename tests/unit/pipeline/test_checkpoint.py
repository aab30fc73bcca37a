"""A checkpoint turns the live fleet into files and a manifest; closed days become blocks, open days are replaced."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.blocks.names import read_devices
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import Unfinished
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.pipeline import checkpoint
from fleetpulse.pipeline.checkpoint import WrittenCheckpoint, write_files, write_names

DAY = 20_000


class Node:
    """A live fleet of three devices with a store, without journal and catalog."""

    def __init__(self) -> None:
        self.store = MemoryBlockStore()
        self.history = History(self.store, Manifest())
        self.fleet = Fleet(policy=HeartbeatPolicy(60, 240))
        self.fleet.resize(3)
        self.position = 0
        self.today: int | None = None

    def beat(self, device: int, *, sent_minute: int, day: int = DAY, received_day: int = DAY) -> None:
        """A heartbeat of a minute of a day, received at the end of another."""
        sent_at_ns = day * NS_PER_DAY + sent_minute * NS_PER_MINUTE
        batch = EventBatch(array("I", [device]), array("q", [sent_at_ns]))
        batch.received_at_ns = (received_day + 1) * NS_PER_DAY - 1
        self.fleet.advance(batch.received_at_ns)
        self.fleet.apply([EventColumns.of(batch)])
        self.position += 1

    def upload(self, device: int, *, minute: int, value: int) -> None:
        """An upload time of a minute of DAY."""
        at_ns = array("q", [DAY * NS_PER_DAY + minute * NS_PER_MINUTE])
        batch = EventBatch(
            sample_devices=array("I", [device]),
            sample_sent_at_ns=at_ns,
            sample_values=array("q", [value]),
            sample_metrics=array("H", [0]),
        )
        batch.received_at_ns = (DAY + 1) * NS_PER_DAY - 1
        self.fleet.apply([EventColumns.of(batch)])
        self.position += 1

    def checkpoint(self) -> WrittenCheckpoint:
        """Write, and take over what was written, as if the catalog had committed it."""
        written = write_files(
            self.fleet.freeze().complete(),
            position=self.position,
            taken_at_ns=0,
            today=self.today,
            history=self.history,
            metrics={0: MetricDefinition(name="upload_time", kind="integer")},
            names={},
            pause=lambda: None,
        )
        self.fleet.finish_closing(written.closed_minutes, written.new_uploads)
        self.history.manifest = written.manifest
        return written

    def merge_late(self) -> None:
        """Let compaction merge late data, as if the catalog had committed it."""
        while change := next_change(
            self.history, self.history.manifest, metrics={}, today=None, pause=lambda: None, is_forced=True
        ):
            self.history.manifest = apply_change(self.history.manifest, change)
            assert change.late is not None
            self.fleet.add_closed_minutes(*change.late.new_minutes)

    def minutes(self, day: int) -> dict[int, int]:
        """Minutes by device in the closed block of a day."""
        devices, minutes = self.history.minutes(day)
        return dict(zip(devices.tolist(), minutes.tolist(), strict=True))


def test_closed_days_become_blocks_and_open_days_part_of_the_snapshot() -> None:
    node = Node()
    node.beat(1, sent_minute=8, day=DAY - 5, received_day=DAY - 5)
    node.beat(0, sent_minute=7)
    manifest = node.checkpoint().manifest
    assert (manifest.position, manifest.open_from_day) == (2, DAY)
    assert sorted(manifest.presence) == [DAY - 5, DAY]
    assert node.minutes(DAY - 5) == {1: 1}
    assert [(day, devices.tolist()) for day, (devices, _) in node.history.open_chunks() if len(devices)] == [(DAY, [0])]
    assert manifest.snapshot is not None
    assert node.history.read_snapshot(manifest.snapshot)["closed_minutes"].tolist() == [0, 1, 0]


def test_late_data_of_any_number_of_days_is_one_late_block_and_reads_no_block() -> None:
    node = Node()
    node.beat(0, sent_minute=7)
    node.checkpoint()
    node.beat(0, sent_minute=8, received_day=DAY + 2)
    files = node.store.names()
    for day in range(100):
        node.beat(1, sent_minute=8, day=DAY - 5 - day, received_day=DAY + 2)
        node.beat(0, sent_minute=9, day=DAY - 5 - day, received_day=DAY + 2)
    manifest = node.checkpoint().manifest
    assert [block.days for block in manifest.late] == [frozenset(range(DAY - 104, DAY - 4))]
    assert len(node.store.names() - files) < 12
    assert node.fleet.closed_minutes[:3].tolist() == [2, 0, 0]
    node.merge_late()
    assert node.fleet.closed_minutes[:3].tolist() == [102, 100, 0]
    assert not node.history.manifest.late
    counted = node.history.manifest.counted
    assert counted is not None
    node.checkpoint()
    assert node.history.manifest.counted is None
    assert node.minutes(DAY - 104) == {0: 1, 1: 1}


def test_late_data_joins_a_closed_day_and_repeats_count_once() -> None:
    node = Node()
    node.beat(0, sent_minute=7)
    node.beat(0, sent_minute=8, received_day=DAY + 2)
    node.checkpoint()
    assert node.minutes(DAY) == {0: 2}
    for minute in (8, 9):
        node.beat(0, sent_minute=minute, received_day=DAY + 2)
    node.beat(2, sent_minute=1, received_day=DAY + 2)
    node.checkpoint()
    node.merge_late()
    assert node.minutes(DAY) == {0: 3, 2: 1}
    assert node.fleet.closed_minutes[:3].tolist() == [3, 0, 1]


def test_files_of_earlier_days_stay_in_the_manifest_and_open_files_are_replaced() -> None:
    node = Node()
    node.beat(1, sent_minute=8, day=DAY - 5, received_day=DAY - 5)
    node.beat(0, sent_minute=7)
    before = node.checkpoint().manifest
    node.beat(0, sent_minute=9)
    after = node.checkpoint().manifest
    assert after.presence[DAY - 5] == before.presence[DAY - 5]
    assert after.presence[DAY] != before.presence[DAY]
    assert after.gaps == before.gaps


def test_a_full_disk_leaves_the_manifest_as_it_was_and_the_next_checkpoint_writes_everything() -> None:
    node = Node()
    node.beat(1, sent_minute=8, day=DAY - 5)

    class FullStore(MemoryBlockStore):
        """A store whose disk is full."""

        def put(self, name: str, write: object) -> None:  # type: ignore[override]  # never returns
            raise OSError("no space left")

    node.history.store = FullStore()
    with pytest.raises(OSError, match="no space"):
        node.checkpoint()
    assert node.history.manifest == Manifest()
    node.history.store = node.store
    node.checkpoint()
    node.merge_late()
    assert node.minutes(DAY - 5) == {1: 1}


def test_names_of_all_devices_and_metrics_are_written(tmp_path: Path) -> None:
    catalog, store = SqliteCatalog(tmp_path / "catalog.sqlite"), MemoryBlockStore()
    catalog.register([Device("a"), Device("b", {"site": "x"})], devices_max=2, at_ns=0)
    files = write_names(store, catalog, position=3)
    catalog.close()
    assert [name.partition("-")[0] for name in sorted(store.names())] == ["devices", "metrics"]
    assert {file.name for file in files.values()} == store.names()


def test_names_of_devices_are_written_again_only_after_a_change(tmp_path: Path) -> None:
    catalog, store = SqliteCatalog(tmp_path / "catalog.sqlite"), MemoryBlockStore()
    catalog.register([Device("a")], devices_max=2, at_ns=7)
    files = write_names(store, catalog, position=3)
    catalog.close()
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    assert set(write_names(store, catalog, position=4, known=files)) == {"metrics"}
    catalog.register([Device("b")], devices_max=2, at_ns=8)
    changed = write_names(store, catalog, position=4, known=files)
    assert set(changed) == {"devices", "metrics"}
    assert set(write_names(store, catalog, position=5, known=changed)) == {"metrics"}
    assert set(write_names(store, catalog, position=5, known={})) == {"devices", "metrics"}

    def stop() -> None:
        raise Unfinished("stop")

    before = store.names()
    with pytest.raises(Unfinished):
        write_names(store, catalog, position=5, check=stop)
    assert {name for name in store.names() - before if name.startswith("devices")} == set()
    catalog.close()


def test_names_are_read_in_pieces_between_which_others_may_call_the_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "ROWS_AT_ONCE", 2)
    catalog, store = SqliteCatalog(tmp_path / "catalog.sqlite"), MemoryBlockStore()
    catalog.register([Device(device_id) for device_id in "abc"], devices_max=3, at_ns=7)
    calls = 0

    def run(work: Callable[[], Any]) -> Any:
        nonlocal calls
        calls += 1
        return work()

    files = write_names(store, catalog, position=6, run=run)
    assert calls == 6, "the version, metrics, defaults, the count, and two pieces"
    with store.open(files["devices"].name) as file:
        assert [named.device.id for named in read_devices(file)] == ["a", "b", "c"]
    catalog.close()


def test_columns_that_must_be_exact_are_copied_when_the_checkpoint_begins() -> None:
    node = Node()
    node.beat(0, sent_minute=7)
    frozen = node.fleet.freeze().complete()
    node.beat(0, sent_minute=8)
    np.testing.assert_array_equal(frozen.columns["heartbeats"], [1, 0, 0])


def test_repeated_samples_are_left_out_and_late_ones_are_counted_in_fleet_and_snapshot() -> None:
    node = Node()
    node.upload(0, minute=5, value=10)
    node.checkpoint()
    for minute, value in ((5, 10), (3, 7), (3, 7), (5, 11), (6, 1)):
        node.upload(0, minute=minute, value=value)
    written = node.checkpoint()
    assert (written.samples_repeated, written.samples_uncompared, len(written.new_uploads)) == (2, 0, 2)
    assert [(block.samples, block.is_distinct) for block in written.manifest.samples] == [(1, True), (3, True)]
    figures = node.fleet.figures(0, known={})
    assert (figures.samples, figures.uploads, figures.upload_time_total) == (6, 4, 29)
    assert written.manifest.snapshot is not None
    snapshot = node.history.read_snapshot(written.manifest.snapshot)
    assert [int(snapshot[name][0]) for name in ("uploads", "other_samples", "upload_low")] == [4, 2, 29]


def test_a_block_that_cannot_be_compared_with_leaves_late_samples_for_compaction_to_compare() -> None:
    node = Node()
    node.upload(0, minute=5, value=10)
    (before,) = node.checkpoint().manifest.samples
    node.store.remove(before.files["raw"].name)
    node.upload(0, minute=5, value=10)
    written = node.checkpoint()
    assert [block.is_distinct for block in written.manifest.samples] == [True, False]
    assert node.fleet.figures(0, known={}).uploads == 2


def test_late_samples_that_are_too_old_to_be_compared_count_each_unless_the_day_is_not_certain() -> None:
    for today, uploads in ((DAY + 365, 1), (DAY + 366, 3), (None, 1)):
        node = Node()
        node.today = today
        for _ in range(3):
            node.upload(0, minute=5, value=10)
        written = node.checkpoint()
        assert (node.fleet.figures(0, known={}).uploads, written.samples_uncompared) == (uploads, uploads - 1)
