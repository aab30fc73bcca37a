"""Days of reception gaps go when they are old enough, and how many gaps there were stays known."""

from functools import partial

import numpy as np

from beat_days import BeatDays
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.compaction.resolve_backfill import resolve_backfill
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import BEAT_GAPS, GAPS, BlockFile, Manifest, SampleBlock
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.retention import FOREVER_DAYS
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

DAY = 20_000


def history_of(*days: int) -> History:
    history = History(MemoryBlockStore(), Manifest())
    for _ in range(2):
        ends_ns = np.array(days, np.int64) * NS_PER_DAY + 5
        seconds = np.full(len(days), 60, np.uint32)
        gaps = ReceptionGapColumns(np.arange(len(days), dtype=np.uint32), ends_ns - 1, ends_ns, seconds, seconds)
        files = CheckpointFiles(history, position=1, device_count=1, pause=lambda: None)
        history.manifest = Manifest(gaps=files.put_gaps([gaps]))
    return history


def expire(history: History, *, gap_days: int, today: int | None) -> list[SampleBlock | BlockFile]:
    """Do one piece of work; returns what is damaged."""
    damaged: list[SampleBlock | BlockFile] = []
    change = next_change(
        history,
        history.manifest,
        metrics={},
        today=today,
        gap_days=gap_days,
        pause=lambda: None,
        on_damage=lambda block, _: damaged.append(block),
    )
    if change is not None:
        history.manifest = apply_change(history.manifest, change)
    return damaged


def test_whole_days_expire_and_how_many_gaps_they_had_is_kept() -> None:
    history = history_of(DAY, DAY, DAY + 1, DAY + 2)
    expire(history, gap_days=10, today=DAY + 12)
    assert sorted(history.manifest.gaps) == [DAY + 2]
    assert history.manifest.expired == {GAPS: {DAY: 4, DAY + 1: 2}}


def test_nothing_expires_where_gaps_are_kept_for_ever_or_the_day_is_not_certain() -> None:
    history = history_of(DAY)
    for gap_days, today in ((FOREVER_DAYS, 10**6), (1, None)):
        expire(history, gap_days=gap_days, today=today)
        assert (sorted(history.manifest.gaps), history.manifest.expired) == ([DAY], {})


def test_a_damaged_file_expires_too_and_its_gaps_count_as_none() -> None:
    history = history_of(DAY)
    damaged = history.manifest.gaps[DAY][0]
    history.store.put(damaged.name, lambda to: to.write(b"damaged") and None)
    assert expire(history, gap_days=10, today=DAY + 12) == [damaged]
    assert (history.manifest.gaps, history.manifest.expired) == ({}, {GAPS: {DAY: 1}})


def test_beat_gaps_expire_by_the_same_days_with_what_covers_them_and_with_backfill_that_touches_no_later_day() -> None:
    days = BeatDays()
    for hour in (0, 10, 34, 58):
        days.beat(1, DAY * NS_PER_DAY + hour * NS_PER_HOUR)
        days.checkpoint()
    days.beat(1, DAY * NS_PER_DAY + 5 * NS_PER_HOUR)
    days.checkpoint()
    assert days.compact(partial(resolve_backfill, is_forced=True))
    assert sorted(days.history.manifest.covers) == [DAY]
    days.beat(1, DAY * NS_PER_DAY + 7 * NS_PER_HOUR)
    days.checkpoint()
    assert [(file.start_day, file.end_day) for file in days.history.manifest.backfill] == [(DAY, DAY + 3)]
    expire(days.history, gap_days=10, today=DAY + 12)
    manifest = days.history.manifest
    assert (sorted(manifest.beat_gaps), manifest.covers, len(manifest.backfill)) == ([DAY + 2], {}, 1)
    assert manifest.expired == {BEAT_GAPS: {DAY: 1, DAY + 1: 1}}
    expire(days.history, gap_days=10, today=DAY + 13)
    manifest = days.history.manifest
    assert (manifest.beat_gaps, manifest.backfill) == ({}, ())
    assert manifest.expired == {BEAT_GAPS: {DAY: 1, DAY + 1: 1, DAY + 2: 1}}
