"""Merging: the parts of a day become one part, and samples that are in several of them, or twice in one, count once.

A part that is not distinct is merged at once, even if it is the only one of its day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.compaction.units import rollups_of_files, samples_of_files
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.samples import RollupRows
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, TIERS, Manifest, SampleBlock
from fleetpulse.model.metric import Kind
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY


def merge_parts(work: CompactionInput, manifest: Manifest, *, parts_max: int) -> Change | None:
    """The parts of the day that has most of them as one; None where no day has more than `parts_max` sound ones.

    The days of parts with samples that are not distinct come after these. Raises: OSError.
    """
    parts: dict[tuple[Kind, int], list[SampleBlock]] = {}
    for block in manifest.samples:
        if block.day is not None:
            parts.setdefault((block.kind, block.day), []).append(block)
    for (kind, day), blocks in sorted(parts.items(), key=lambda item: -len(item[1])):
        if _is_due(blocks, parts_max):
            sound = work.sound_blocks(blocks)
            if _is_due(sound, parts_max):
                return Change(sound, (_merge(work, kind, day, sound),))
    return None


def _is_due(parts: Sequence[SampleBlock], parts_max: int) -> bool:
    return len(parts) > parts_max or any(RAW in block.files and not block.is_distinct for block in parts)


def _merge(work: CompactionInput, kind: Kind, day: int, parts: Sequence[SampleBlock]) -> SampleBlock:
    history = work.history
    metrics = [{tier: work.metrics_in(block, tier) for tier in TIERS} for block in parts]
    parts_by_metric: dict[int, list[SampleBlock]] = {}
    for block, by_tier in zip(parts, metrics, strict=True):
        for number in by_tier[DAY]:
            parts_by_metric.setdefault(number, []).append(block)
    # Metrics that a part lacks in a tier are left out of it: answers of that tier would lack the part's samples.
    lacking = {tier: set[int]().union(*(by_tier[DAY] - by_tier[tier] for by_tier in metrics)) for tier in TIERS}

    def samples(number: int) -> Iterator[SampleColumns]:
        files = [block.files[RAW] for block in parts_by_metric[number]]
        start_ns, end_ns = day * NS_PER_DAY, (day + 1) * NS_PER_DAY
        is_distinct = work.is_compared(number, day)
        return samples_of_files(history, files, number, start_ns=start_ns, end_ns=end_ns, is_distinct=is_distinct)

    def rollups(tier: str, number: int) -> Iterator[RollupRows]:
        files = [block.files[tier] for block in parts_by_metric[number]]
        return rollups_of_files(history, files, number, kind)

    with_samples = sorted(parts_by_metric.keys() - lacking[RAW])
    merged = write_part(
        history.store,
        kind=kind,
        day=day,
        pieces=chain.from_iterable(map(samples, with_samples)),
        pause=work.pause,
        rollups={
            tier: chain.from_iterable(map(partial(rollups, tier), sorted(lacking[RAW] - lacking[tier])))
            for tier in (MINUTE, HOUR)
        },
    )
    read = sum(_count_samples(work, block, with_samples) for block in parts)
    return replace(
        merged,
        start_ns=min(block.start_ns for block in parts),
        end_ns=max(block.end_ns for block in parts),
        samples=sum(block.samples for block in parts) - (read - merged.samples),
    )


def _count_samples(work: CompactionInput, block: SampleBlock, metrics: Sequence[int]) -> int:
    """How many samples of some metrics the file of samples of a part holds."""
    if RAW not in block.files:
        return 0
    footer = work.history.footer(block.files[RAW])
    return int(footer.rows[np.isin(footer.least["metric"], metrics)].sum())
