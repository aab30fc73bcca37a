"""Snapshot and replay end in the same fleet as a replay of everything; what does not fit together is refused."""

from array import array
from dataclasses import replace

import numpy as np
import pytest

from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.live.figures import DeviceFigures
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.pipeline.checkpoint import write_files
from fleetpulse.pipeline.readiness import ReplayProgress
from fleetpulse.pipeline.recover import load_snapshot, replay

DAY = 20_000
METRICS = {0: MetricDefinition(name="upload_time", kind="integer")}


def journal_of(*minutes: int) -> MemoryJournal:
    """A heartbeat of device 1 and an upload of device 0 in each of these minutes of the day."""
    journal = MemoryJournal()
    for minute in minutes:
        at_ns = array("q", [DAY * NS_PER_DAY + minute * NS_PER_MINUTE])
        batch = EventBatch(
            heartbeat_devices=array("I", [1]),
            heartbeat_sent_at_ns=at_ns,
            sample_devices=array("I", [0]),
            sample_sent_at_ns=at_ns,
            sample_values=array("q", [10 + minute]),
            sample_metrics=array("H", [0]),
        )
        batch.received_at_ns = at_ns[0]
        journal.append(encode_entry(batch))
    return journal


def empty_fleet(count: int = 2) -> Fleet:
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(count)
    fleet.advance(DAY * NS_PER_DAY + NS_PER_DAY // 2)
    return fleet


def replayed(fleet: Fleet, journal: MemoryJournal, *, after: int = 0) -> ReplayProgress:
    progress = ReplayProgress()
    replay(fleet, journal, after=after, metrics_count=len(METRICS), progress=progress, advanced=lambda: None)
    return progress


def figures(fleet: Fleet) -> list[DeviceFigures]:
    return [fleet.figures(device, known={}) for device in range(fleet.count)]


def checkpointed(fleet: Fleet, position: int) -> History:
    history = History(MemoryBlockStore(), Manifest())
    history.manifest = write_files(
        fleet.freeze().complete(),
        position=position,
        taken_at_ns=0,
        history=history,
        metrics=METRICS,
        names={},
        pause=lambda: None,
    ).manifest
    return history


def test_snapshot_and_the_rest_of_the_journal_give_the_fleet_of_the_whole_journal() -> None:
    journal = journal_of(1, 2, 2, 700)
    whole = empty_fleet()
    progress = replayed(whole, journal)
    assert (progress.position, progress.until, progress.events) == (4, 4, 8)
    before = empty_fleet()
    replayed(before, journal_of(1, 2))
    recovered = empty_fleet()
    load_snapshot(recovered, checkpointed(before, 2))
    assert replayed(recovered, journal, after=2).events == 4
    assert figures(recovered) == figures(whole)
    assert figures(whole)[1].minutes_present == 3


def test_without_a_checkpoint_there_is_nothing_to_load() -> None:
    fleet = empty_fleet()
    load_snapshot(fleet, History(MemoryBlockStore(), Manifest()))
    assert figures(fleet) == figures(empty_fleet())


def test_a_damaged_snapshot_is_refused() -> None:
    fleet = empty_fleet()
    replayed(fleet, journal_of(1))
    history = checkpointed(fleet, 1)
    assert history.manifest.snapshot is not None
    history.store.put(history.manifest.snapshot.name, lambda file: file.write(b"damage") and None)
    with pytest.raises(DamagedData, match="not what was written"):
        load_snapshot(empty_fleet(), history)


def test_a_missing_closed_block_does_not_keep_the_fleet_from_being_loaded() -> None:
    fleet = empty_fleet()
    replayed(fleet, journal_of(-9 * MINUTES_PER_DAY))
    history = checkpointed(fleet, 1)
    history.store.remove(history.manifest.presence[DAY - 9].name)
    recovered = empty_fleet()
    load_snapshot(recovered, history)
    assert figures(recovered)[1].minutes_present == 1


@pytest.mark.parametrize(
    ("devices", "metrics", "text"),
    [(1, 1, "device number 1, but the catalog knows 1"), (2, 0, "metric number 0, but the catalog knows 0")],
)
def test_entries_that_speak_of_what_the_catalog_does_not_know_are_refused(
    devices: int, metrics: int, text: str
) -> None:
    with pytest.raises(DamagedData, match=text):
        replay(
            empty_fleet(devices),
            journal_of(1),
            after=0,
            metrics_count=metrics,
            progress=ReplayProgress(),
            advanced=lambda: None,
        )


def test_a_journal_that_ends_before_the_snapshot_is_refused() -> None:
    with pytest.raises(DamagedData, match="before the snapshot's 2"):
        replayed(empty_fleet(), journal_of(1), after=2)


def test_a_snapshot_of_before_samples_were_sets_lets_no_repeat_pass_for_new() -> None:
    fleet = empty_fleet()
    replayed(fleet, journal_of(1, 2))
    history = checkpointed(fleet, 2)
    assert history.manifest.snapshot is not None
    latest = {name: np.zeros(2, np.int64) for name in ("latest_upload_ns", "latest_sample_ns")}
    columns = history.read_snapshot(history.manifest.snapshot) | latest
    older = CheckpointFiles(history, position=2, device_count=2, pause=lambda: None).put_snapshot(columns)
    history.manifest = replace(history.manifest, snapshot=older)
    recovered = empty_fleet()
    load_snapshot(recovered, history)
    end_ns = DAY * NS_PER_DAY + 2 * NS_PER_MINUTE + 1
    assert recovered.columns()["latest_upload_ns"].tolist() == [end_ns, 0]  # device 1 has sent no sample
    replayed(recovered, journal_of(1, 2, 3))
    assert recovered.samples.doubtful.count == 2
