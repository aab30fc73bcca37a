"""A generated history is what a node would have written: presence, gaps, samples and snapshot agree."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.blocks.history import History, SampleRange
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.blocks.stored_gaps import read_gaps
from fleetpulse.blocks.verification import count_closed_minutes
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.device_spans import join_device_spans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest, closed_days
from fleetpulse.model.reception_gaps import join_gaps
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_S
from fleetpulse.simulation.generate import Generator, HistorySpec, declare

END_DAY = 20_000
END_NS = END_DAY * NS_PER_DAY + NS_PER_DAY // 2


def generated(spec: HistorySpec) -> tuple[MemoryBlockStore, Manifest]:
    with tempfile.TemporaryDirectory() as folder:
        store, catalog = MemoryBlockStore(), SqliteCatalog(Path(folder) / "catalog.sqlite")
        declare(spec, catalog)
        generator = Generator(spec, store, policy=HeartbeatPolicy(60, 240))
        for day in generator.days:
            generator.make_day(day, lambda: None)
        manifest = generator.finish(catalog)
        catalog.close()
    return store, manifest


def checksums(spec: HistorySpec) -> list[str]:
    return [file.sha256 for file in generated(spec)[1].files()]


SPEC = HistorySpec(devices=20, days=2, end_ns=END_NS, metrics=1, outages=0.5)


def test_the_same_seed_gives_the_same_past_and_another_seed_another() -> None:
    small = HistorySpec(devices=3, days=1, end_ns=END_NS, metrics=1)
    assert checksums(small) == checksums(small)
    assert checksums(small) != checksums(HistorySpec(devices=3, days=1, end_ns=END_NS, metrics=1, seed=2))


def test_the_manifest_names_every_file_and_the_snapshot_counts_what_the_blocks_hold() -> None:
    store, manifest = generated(SPEC)
    assert store.names() == {file.name for file in manifest.files()}
    assert list(closed_days(manifest)) == [END_DAY - 2, END_DAY - 1]
    assert manifest.open_from_day == END_DAY
    assert count_closed_minutes(store, manifest) > 0
    history = History(store, manifest)
    assert manifest.snapshot is not None
    columns = history.read_snapshot(manifest.snapshot)
    minutes = columns["closed_minutes"].astype(np.int64)
    for _, (devices, rows) in history.open_chunks():
        minutes[devices] += count_minutes(rows)
    np.testing.assert_array_equal(minutes, columns["heartbeats"])
    np.testing.assert_array_equal(minutes, columns["other_samples"])
    assert sum(block.samples for block in manifest.samples) == minutes.sum()
    assert 0 < minutes.max() <= 2 * MINUTES_PER_DAY


def test_gaps_end_in_their_day_and_are_longer_than_a_missed_beat() -> None:
    store, manifest = generated(SPEC)
    history = History(store, manifest)
    assert manifest.gaps
    for day in manifest.gaps:
        gaps = join_gaps(list(read_gaps(history, manifest, start_day=day, end_day=day + 1)))
        assert len(gaps)
        assert ((gaps.end_ns // NS_PER_DAY) == day).all()
        assert (gaps.end_ns - gaps.start_ns > HeartbeatPolicy(60, 240).late_after_ns).all()


def test_gaps_between_beats_are_those_of_all_beats_that_were_sent() -> None:
    """Every beat of a generated device carries a sample, so its gaps can be found again."""
    store, manifest = generated(SPEC)
    history = History(store, manifest)
    assert manifest.snapshot is not None
    columns = history.read_snapshot(manifest.snapshot)
    gaps = join_device_spans(
        list(read_beat_gaps(history, manifest, start_day=0, end_day=END_DAY + 1, devices=range(SPEC.devices)))
    )
    read = [
        samples
        for block in manifest.samples
        for samples in history.samples(block, SampleRange(1, None, 0, END_NS + NS_PER_DAY))
    ]
    devices, at_ns = (np.concatenate([getattr(one, name) for one in read]) for name in ("devices", "at_ns"))
    expected = []
    for device in range(SPEC.devices):
        beats = np.sort(at_ns[devices == device])
        assert (columns["first_sent_ns"][device], columns["last_sent_ns"][device]) == (beats[0], beats[-1])
        long = np.flatnonzero(np.diff(beats) > 90 * NS_PER_S)
        expected += [(device, int(beats[place]), int(beats[place + 1])) for place in long]
        assert columns["gap_until_ns"][device] == max((int(beats[place + 1]) for place in long), default=0)
    found = zip(gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)
    assert sorted(found) == expected
    assert len(expected) > SPEC.devices / 2


@pytest.mark.parametrize(("link_share", "is_settled"), [(1.0, True), (0.0, False)])
def test_only_outages_of_the_link_are_made_up_for_by_late_beats(link_share: float, is_settled: bool) -> None:
    spec = HistorySpec(
        devices=20,
        days=1,
        end_ns=END_NS,
        metrics=0,
        outages=1.0,
        outage_minutes=200,
        link_share=link_share,
        missed_share=0.0,
    )
    store, manifest = generated(spec)
    assert manifest.snapshot is not None
    heartbeats = History(store, manifest).read_snapshot(manifest.snapshot)["heartbeats"]
    assert (heartbeats.min() >= MINUTES_PER_DAY - 1) == is_settled
