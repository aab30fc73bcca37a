"""Retention: parts without the metrics, or without the samples of metrics, that have been kept for long enough.

A metric's roll-ups are kept for `retention_days`, its samples for `raw_days` where that is set. Both are judged by
whole UTC days.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.part_writer import put_rollups, put_samples
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, RAW, BlockFile, Expired, Manifest, SampleBlock
from fleetpulse.model.metric import Kind


def remove_expired(work: CompactionInput, manifest: Manifest) -> Change | None:
    """The first part that holds expired metrics, without them; None where there is none. Raises: OSError."""
    for block in manifest.samples:
        if block.day is None:
            continue
        expired, rawless = expired_metrics(work, block.kind, block.day)
        if not expired and not rawless:
            continue
        if expired == work.metrics_of_kind(block.kind):
            return Change((block,), (), _counted(work, block))
        try:
            expired_by_tier = {
                tier: work.metrics_in(block, tier) & (expired | rawless if tier == RAW else expired)
                for tier in block.files
            }
        except DamagedData as error:
            work.on_damage(block, error)
            continue
        tiers = [tier for tier, metrics in expired_by_tier.items() if metrics]
        if tiers and work.is_sound(block, tiers):
            expired_samples = {
                number: {block.day: count}
                for number, count in _count_samples(work, block, expired_by_tier[DAY]).items()
            }
            return Change((block,), _without(work, block, expired_by_tier), expired_samples)
    return None


def _counted(work: CompactionInput, block: SampleBlock) -> Expired:
    """The samples of a part of which nothing is kept; of one that cannot be read, 0 of each metric that it may hold."""
    assert block.day is not None, "fresh blocks are folded before they expire"
    try:
        counts = _count_samples(work, block, work.metrics_in(block, DAY))
    except DamagedData as error:
        work.on_damage(block, error)
        counts = dict.fromkeys(work.metrics_of_kind(block.kind), 0)
    return {number: {block.day: count} for number, count in counts.items()}


def expired_metrics(work: CompactionInput, kind: Kind, day: int) -> tuple[set[int], set[int]]:
    """Metrics of a kind of which nothing of `day` is kept any more, and those of which no samples are.

    `day` counts days since 1970-01-01 UTC.
    """
    definitions = {number: work.metrics[number] for number in work.metrics_of_kind(kind)}
    age_days = work.today - day
    return (
        {number for number, metric in definitions.items() if age_days > metric.retention_days},
        {
            number
            for number, metric in definitions.items()
            if metric.raw_days is not None and age_days > metric.raw_days
        },
    )


def _without(
    work: CompactionInput, block: SampleBlock, expired_by_tier: Mapping[str, set[int]]
) -> tuple[SampleBlock, ...]:
    """The block without the expired metrics of each tier; empty where nothing of it is left."""
    files: dict[str, BlockFile] = {}
    for tier, file in block.files.items():
        expired = expired_by_tier[tier]
        if not expired:
            files[tier] = file
        elif groups := np.flatnonzero(~np.isin(work.history.footer(file).least["metric"], list(expired))).tolist():
            files[tier] = _copy(work, block, tier, groups)
    if DAY not in files:
        return ()
    removed_samples = sum(_count_samples(work, block, expired_by_tier[DAY]).values())
    return (replace(block, files=files, samples=block.samples - removed_samples),)


def _copy(work: CompactionInput, block: SampleBlock, tier: str, groups: list[int]) -> BlockFile:
    """The chosen row groups of a file as a file of its own."""
    assert block.day is not None, "fresh blocks are folded, not copied"
    history, file = work.history, block.files[tier]
    if tier == RAW:
        samples = history.sample_groups(file, groups)
        return put_samples(history.store, kind=block.kind, day=block.day, pieces=samples, pause=work.pause)
    rows = history.rollup_groups(file, groups, block.kind)
    return put_rollups(history.store, kind=block.kind, day=block.day, tier=tier, pieces=rows, pause=work.pause)


def _count_samples(work: CompactionInput, block: SampleBlock, metrics: set[int]) -> dict[int, int]:
    """How many samples of each of these metrics a part is made of, by its roll-up of the day. Raises: DamagedData."""
    file, counts = block.files[DAY], dict.fromkeys(metrics, 0)
    numbers = work.history.footer(file).least["metric"]
    groups = np.flatnonzero(np.isin(numbers, list(metrics))).tolist()
    for group, columns in zip(groups, work.history.read(file, groups, ["count"]), strict=True):
        counts[int(numbers[group])] += int(columns["count"].sum())
    return counts
