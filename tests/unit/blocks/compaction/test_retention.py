"""Retention removes metrics and samples by whole days, and nothing else."""

import pytest

from fleetpulse.blocks.compaction.retention import expired_metrics, remove_expired
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, RAW, Manifest
from fleetpulse.model.metric import MetricDefinition
from sample_blocks import CPU, DAY, LOAD, SampleBlocks


@pytest.mark.parametrize(("age_days", "expired", "rawless"), [(2, set(), set()), (3, set(), {CPU}), (6, {CPU}, {CPU})])
def test_a_day_is_kept_for_whole_days(age_days: int, expired: set[int], rawless: set[int]) -> None:
    blocks = SampleBlocks(today=DAY + age_days)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", retention_days=5, raw_days=2)
    assert expired_metrics(blocks.work, "float", DAY) == (expired, rawless)
    assert expired_metrics(blocks.work, "integer", DAY) == (set(), set())


def test_an_expired_metric_leaves_all_files_of_a_part() -> None:
    blocks = SampleBlocks(today=DAY + 6)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", retention_days=5)
    part = blocks.part((CPU, 0, 1.0, 1.0), (CPU, 1, 1.0, 1.0), (LOAD, 0, 2.0, 2.0))
    change = remove_expired(blocks.work, Manifest(samples=(part,)))
    assert change is not None and change.removed == (part,)
    (left,) = change.added
    assert blocks.samples(left) == [(LOAD, 0, 2, 2.0)]
    assert blocks.cells(left, HOUR) == blocks.cells(left, DAY_TIER) == [(LOAD, 0, 0, 1, 2.0)]
    assert left.samples == 1
    assert change.expired == {CPU: {DAY: 2}}
    assert remove_expired(blocks.work, Manifest(samples=(left,))) is None


def test_samples_go_before_their_roll_ups() -> None:
    blocks = SampleBlocks(today=DAY + 2)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", raw_days=1)
    part = blocks.part((CPU, 0, 1.0, 1.0))
    change = remove_expired(blocks.work, Manifest(samples=(part,)))
    assert change is not None
    (left,) = change.added
    assert left.files == {tier: file for tier, file in part.files.items() if tier != RAW}
    assert left.samples == part.samples
    assert change.expired == {}


def test_a_part_of_which_every_metric_has_expired_goes_whole_even_if_it_is_damaged() -> None:
    blocks = SampleBlocks(today=DAY + 1000)
    part = blocks.part((CPU, 0, 1.0, 1.0))
    blocks.damage(part, RAW)
    change = remove_expired(blocks.work, Manifest(samples=(part,)))
    assert change is not None
    assert (change.removed, change.added, blocks.damaged) == ((part,), (), [])
    assert change.expired == {CPU: {DAY: 1}}


def test_what_expires_uncounted_is_known_to_be_gone() -> None:
    blocks = SampleBlocks(today=DAY + 1000)
    part = blocks.part((CPU, 0, 1.0, 1.0))
    blocks.damage(part, DAY_TIER)
    change = remove_expired(blocks.work, Manifest(samples=(part,)))
    assert change is not None
    assert (change.expired, blocks.damaged) == ({CPU: {DAY: 0}, LOAD: {DAY: 0}}, [part])


def test_a_damaged_part_is_not_rewritten() -> None:
    blocks = SampleBlocks(today=DAY + 6)
    blocks.metrics[CPU] = MetricDefinition(name="cpu", retention_days=5)
    part = blocks.part((CPU, 0, 1.0, 1.0), (LOAD, 0, 2.0, 2.0))
    blocks.damage(part, RAW)
    assert remove_expired(blocks.work, Manifest(samples=(part,))) is None
    assert blocks.damaged == [part]


def test_fresh_blocks_are_left_to_folding() -> None:
    blocks = SampleBlocks(today=DAY + 1000)
    assert remove_expired(blocks.work, Manifest(samples=(blocks.fresh((CPU, 0, 1.0, 1.0)),))) is None
