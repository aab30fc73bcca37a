"""Of all the work there is, retention is done first, then folding, then merging; a change leaves other blocks alone."""

from dataclasses import replace
from functools import partial

from beat_days import BeatDays
from fleetpulse.blocks.compaction.change import Change, apply_change
from fleetpulse.blocks.compaction.next_change import BACKFILL_FILES_HARD_MAX, FRESH_MAX, PARTS_MAX, next_change
from fleetpulse.model.manifest import Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR
from sample_blocks import CPU, DAY, SampleBlocks


def change_of(blocks: SampleBlocks, *samples: SampleBlock, is_forced: bool = False) -> Change | None:
    return next_change(
        blocks.history,
        Manifest(samples=samples),
        metrics=blocks.metrics,
        today=blocks.today,
        pause=lambda: None,
        is_forced=is_forced,
    )


def test_expired_parts_go_before_anything_is_folded_and_fresh_blocks_before_anything_is_merged() -> None:
    blocks = SampleBlocks(today=DAY + 1000)
    old = blocks.part((CPU, 0, 1.0, 1.0))
    recent_minute = 999 * 1440.0
    parts = [blocks.part((CPU, 0, recent_minute + number, 1.0), day=DAY + 999) for number in range(PARTS_MAX + 1)]
    fresh = [blocks.fresh((CPU, 0, recent_minute, 1.0)) for _ in range(FRESH_MAX)]
    order = []
    manifest = Manifest(samples=(*parts, *fresh, old))
    for _ in range(3):
        change = change_of(blocks, *manifest.samples)
        assert change is not None
        order.append(change.removed)
        manifest = apply_change(manifest, change)
    merged_parts = order.pop()
    assert order == [(old,), tuple(fresh)]
    assert set(map(id, parts)) < set(map(id, merged_parts))
    assert change_of(blocks, *manifest.samples) is None


def test_few_fresh_blocks_are_folded_only_when_forced() -> None:
    blocks = SampleBlocks()
    fresh = blocks.fresh((CPU, 0, 1.0, 1.0))
    assert change_of(blocks, fresh) is None
    change = change_of(blocks, fresh, is_forced=True)
    assert change is not None and change.removed == (fresh,)


def test_blocks_that_a_checkpoint_adds_meanwhile_stay() -> None:
    blocks = SampleBlocks()
    fresh, later = blocks.fresh((CPU, 0, 1.0, 1.0)), blocks.fresh((CPU, 0, 2.0, 2.0))
    change = change_of(blocks, fresh, is_forced=True)
    assert change is not None
    assert apply_change(Manifest(position=7, samples=(fresh, later)), change) == Manifest(
        position=7, samples=(later, *change.added)
    )


def test_very_many_files_of_backfill_go_before_merging_since_questions_read_all_of_them() -> None:
    days = BeatDays()
    work = partial(next_change, metrics={}, today=None, pause=lambda: None)
    for hour in range(0, 7 * 30, 7):
        days.beat(1, DAY * NS_PER_DAY + hour * NS_PER_HOUR)
        days.checkpoint()
    before = {0: True, BACKFILL_FILES_HARD_MAX + 1: False}
    for files, is_merge in before.items():
        while len(days.history.manifest.backfill) < files:
            days.beat(1, DAY * NS_PER_DAY + NS_PER_HOUR)
            days.checkpoint()
        days.today = DAY + 30
        days.history.manifest = replace(days.history.manifest, taken_at_ns=days.today * NS_PER_DAY)
        change = work(days.history, days.history.manifest)
        assert change is not None
        assert (bool(change.beat_gaps), bool(change.backfill[0])) == (is_merge, not is_merge)
