"""Merging makes one part of the parts of a day, and leaves out of a tier what any of them lacks there."""

from dataclasses import replace

from fleetpulse.blocks.compaction.merge import merge_parts
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, RAW, Manifest
from sample_blocks import CPU, DAY, LOAD, SampleBlocks


def test_parts_of_a_day_become_one_with_all_samples_and_counts() -> None:
    blocks = SampleBlocks()
    parts = blocks.part((CPU, 0, 1.0, 1.0), (LOAD, 2, 3.0, 2.0)), blocks.part((CPU, 0, 0.5, 4.0), (CPU, 1, 2.0, 8.0))
    change = merge_parts(blocks.work, Manifest(samples=parts), parts_max=1)
    assert change is not None and change.removed == parts
    (merged,) = change.added
    assert blocks.samples(merged) == [(CPU, 0, 0.5, 4.0), (CPU, 0, 1, 1.0), (CPU, 1, 2, 8.0), (LOAD, 2, 3, 2.0)]
    assert blocks.cells(merged, DAY_TIER) == [(CPU, 0, 0, 2, 5.0), (CPU, 1, 0, 1, 8.0), (LOAD, 2, 0, 1, 2.0)]
    assert (merged.samples, merged.start_ns, merged.end_ns) == (
        4, min(part.start_ns for part in parts), max(part.end_ns for part in parts)
    )  # fmt: skip


def test_the_day_with_most_parts_is_merged_and_few_parts_are_left() -> None:
    blocks = SampleBlocks()
    few = [blocks.part((CPU, 0, 1440.0 + number, 1.0), day=DAY + 1) for number in range(2)]
    many = [blocks.part((CPU, 0, float(number), 1.0)) for number in range(3)]
    manifest = Manifest(samples=(*few, *many, blocks.fresh((CPU, 0, 1.0, 1.0))))
    change = merge_parts(blocks.work, manifest, parts_max=2)
    assert change is not None and list(change.removed) == many
    assert merge_parts(blocks.work, manifest, parts_max=3) is None


def test_a_metric_whose_samples_are_gone_in_one_part_keeps_only_roll_ups() -> None:
    blocks = SampleBlocks()
    both, without_raw = blocks.part((CPU, 0, 1.0, 1.0), (LOAD, 0, 1.0, 2.0)), blocks.part((CPU, 0, 2.0, 4.0))
    without_raw = replace(without_raw, files={tier: file for tier, file in without_raw.files.items() if tier != RAW})
    change = merge_parts(blocks.work, Manifest(samples=(both, without_raw)), parts_max=1)
    assert change is not None
    (merged,) = change.added
    assert blocks.samples(merged) == [(LOAD, 0, 1, 2.0)]
    assert blocks.cells(merged, HOUR) == [(CPU, 0, 0, 2, 5.0), (LOAD, 0, 0, 1, 2.0)]
    assert merged.samples == 3


def test_a_damaged_part_is_not_merged() -> None:
    blocks = SampleBlocks()
    parts = [blocks.part((CPU, 0, float(number), 1.0)) for number in range(3)]
    blocks.damage(parts[1], HOUR)
    change = merge_parts(blocks.work, Manifest(samples=tuple(parts)), parts_max=1)
    assert change is not None
    assert (list(change.removed), blocks.damaged) == ([parts[0], parts[2]], [parts[1]])
    assert merge_parts(blocks.work, Manifest(samples=tuple(parts)), parts_max=2) is None


def test_a_sample_that_is_in_several_parts_or_twice_in_one_counts_once() -> None:
    blocks = SampleBlocks()
    sample, other = (CPU, 0, 1.0, 1.0), (CPU, 0, 1.0, 2.0)
    parts = blocks.part(sample, sample, (LOAD, 0, 1.0, 1.0)), blocks.part(other, sample)
    change = merge_parts(blocks.work, Manifest(samples=parts), parts_max=1)
    assert change is not None
    (merged,) = change.added
    assert (merged.samples, merged.is_distinct) == (3, True)
    assert blocks.cells(merged, HOUR) == [(CPU, 0, 0, 2, 3.0), (LOAD, 0, 0, 1, 1.0)]


def test_parts_of_a_version_that_counted_repeats_are_made_anew_though_they_are_few() -> None:
    blocks = SampleBlocks()
    part = replace(blocks.part((CPU, 0, 1.0, 1.0), (CPU, 0, 1.0, 1.0)), is_distinct=False)
    change = merge_parts(blocks.work, Manifest(samples=(part,)), parts_max=4)
    assert change is not None
    (merged,) = change.added
    assert (merged.samples, merged.is_distinct, blocks.cells(merged, DAY_TIER)) == (1, True, [(CPU, 0, 0, 1, 1.0)])
    assert merge_parts(blocks.work, Manifest(samples=(merged,)), parts_max=4) is None
    # Without samples there is nothing to make roll-ups of.
    rolled_up = replace(part, files={tier: file for tier, file in part.files.items() if tier != RAW})
    assert merge_parts(blocks.work, Manifest(samples=(rolled_up,)), parts_max=4) is None


def test_samples_of_a_day_that_is_no_longer_compared_count_as_often_as_they_came() -> None:
    blocks = SampleBlocks(today=DAY + 3)
    blocks.metrics[CPU] = replace(blocks.metrics[CPU], raw_days=2)
    parts = [blocks.part((metric, 0, 1.0, 1.0)) for metric in (CPU, LOAD) for _ in range(2)]
    change = merge_parts(blocks.work, Manifest(samples=tuple(parts)), parts_max=1)
    assert change is not None
    (merged,) = change.added
    assert (merged.samples, blocks.cells(merged, DAY_TIER)) == (3, [(CPU, 0, 0, 2, 2.0), (LOAD, 0, 0, 1, 1.0)])
