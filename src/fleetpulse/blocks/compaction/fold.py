"""Folding: the fresh blocks of a kind become a part of each day that their samples are of.

A device that sends a backlog touches many days a little. Days of few samples are read together, because reading the
fresh blocks once for each of them would cost as much as reading everything each time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from fleetpulse.aggregate.runs import run_bounds
from fleetpulse.aggregate.sample_set import drop_repeats
from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.compaction.units import UNIT_SAMPLES, samples_of_files
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.history import History, SampleRange
from fleetpulse.blocks.samples import sort_samples
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import MINUTE, RAW, BlockFile, Expired, Manifest, SampleBlock
from fleetpulse.model.metric import KINDS, Kind
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_DAY


def fold_fresh_blocks(work: CompactionInput, manifest: Manifest, *, fresh_min: int) -> Change | None:
    """All sound fresh blocks of a kind as parts of days; None where no kind has `fresh_min` of them.

    Raises: OSError.
    """
    for kind in KINDS:
        fresh = [block for block in manifest.samples if block.kind == kind and block.day is None]
        if len(fresh) >= fresh_min:
            sound = work.sound_blocks(fresh)
            if len(sound) >= fresh_min:
                is_distinct = all(block.is_distinct for block in sound)
                parts = _fold(work, manifest, kind, sound)
                return Change(
                    sound,
                    tuple(replace(part, is_distinct=is_distinct) for part in parts),
                    _count_expired(work, [block.files[RAW] for block in sound], _since_ns(work, sound)),
                )
    return None


def _since_ns(work: CompactionInput, fresh: Sequence[SampleBlock]) -> dict[int, int]:
    """By metric, ascending, the time before which samples have expired, so that they are not carried over."""
    metrics = set[int]().union(*(work.metrics_in(block, RAW) for block in fresh))
    return {number: (work.today - work.metrics[number].retention_days) * NS_PER_DAY for number in sorted(metrics)}


def _fold(work: CompactionInput, manifest: Manifest, kind: Kind, fresh: Sequence[SampleBlock]) -> Iterator[SampleBlock]:
    since_ns = _since_ns(work, fresh)
    files = [block.files[RAW] for block in fresh]
    for days in _batches(_count_days(work.history, files, since_ns, work.pause)):
        if len(days) == 1:
            yield _part(work, manifest, kind, days[0], _samples_of_day(work, files, since_ns, days[0]))
        else:
            for day, samples in _small_days(work, fresh, since_ns, days):
                yield _part(work, manifest, kind, day, [samples])


def _part(
    work: CompactionInput, manifest: Manifest, kind: Kind, day: int, pieces: Iterable[SampleColumns]
) -> SampleBlock:
    rolled_up = set[int]().union(
        *(_only_in_minutes(work, block) for block in manifest.samples if (block.kind, block.day) == (kind, day))
    )
    return write_part(work.history.store, kind=kind, day=day, pieces=pieces, pause=work.pause, rolled_up=rolled_up)


def _only_in_minutes(work: CompactionInput, part: SampleBlock) -> set[int]:
    """The metrics of which a part has minutes and no samples any more."""
    try:
        return work.metrics_in(part, MINUTE) - work.metrics_in(part, RAW)
    except DamagedData as error:
        work.on_damage(part, error)
        return set()


def _samples_of_day(
    work: CompactionInput, files: Sequence[BlockFile], since_ns: Mapping[int, int], day: int
) -> Iterator[SampleColumns]:
    start_ns, end_ns = day * NS_PER_DAY, (day + 1) * NS_PER_DAY
    for number, first_ns in since_ns.items():
        if first_ns <= start_ns:
            is_distinct = work.is_compared(number, day)
            yield from samples_of_files(
                work.history, files, number, start_ns=start_ns, end_ns=end_ns, is_distinct=is_distinct
            )


def _small_days(
    work: CompactionInput, fresh: Sequence[SampleBlock], since_ns: Mapping[int, int], days: list[int]
) -> Iterator[tuple[int, SampleColumns]]:
    """The samples of each of several days, sorted, out of one reading of the fresh blocks."""
    pieces: list[SampleColumns] = []
    for number, first_ns in since_ns.items():
        wanted = SampleRange(number, None, max(first_ns, days[0] * NS_PER_DAY), (days[-1] + 1) * NS_PER_DAY)
        for block in fresh:
            for piece in work.history.samples(block, wanted):
                pieces.append(piece)
                work.pause()
    samples = sort_samples(join_samples(pieces))
    days_of = samples.at_ns // NS_PER_DAY
    order = np.argsort(days_of, kind="stable")
    starts = np.searchsorted(days_of[order], [*days, days[-1] + 1]).tolist()
    for day, (start, end) in zip(days, pairwise(starts), strict=True):
        of_day = samples.where(order[start:end])
        metrics = [of_day.where(slice(*bounds)) for bounds in run_bounds(of_day.metrics)]
        distinct = [drop_repeats(one) if work.is_compared(int(one.metrics[0]), day) else one for one in metrics]
        yield day, join_samples(distinct)


def _count_days(
    history: History, files: Sequence[BlockFile], since_ns: Mapping[int, int], pause: Callable[[], None]
) -> dict[int, int]:
    """Samples by day, ascending, without those that are older than their metric's `since_ns`.

    Most row groups are of one day, and are counted by their footers alone.
    """
    counts: dict[int, int] = {}
    for file in files:
        footer = history.footer(file)
        least_ns, greatest_ns = footer.least["at"], footer.greatest["at"]
        since = np.array([since_ns[number] for number in footer.least["metric"].tolist()], np.int64)
        is_of_one_day = (least_ns // NS_PER_DAY == greatest_ns // NS_PER_DAY) & (least_ns >= since)
        for group in np.flatnonzero(is_of_one_day).tolist():
            day = int(least_ns[group] // NS_PER_DAY)
            counts[day] = counts.get(day, 0) + int(footer.rows[group])
        groups = np.flatnonzero(~is_of_one_day & (greatest_ns >= since)).tolist()
        for group, columns in zip(groups, history.read(file, groups, ["at"]), strict=True):
            at_ns = columns["at"]
            days, rows = np.unique(at_ns[at_ns >= since[group]] // NS_PER_DAY, return_counts=True)
            for day, count in zip(days.tolist(), rows.tolist(), strict=True):
                counts[day] = counts.get(day, 0) + count
            pause()
    return dict(sorted(counts.items()))


def _count_expired(work: CompactionInput, files: Sequence[BlockFile], since_ns: Mapping[int, int]) -> Expired:
    """Samples by metric and day that are older than their metric's `since_ns`, so that they are left out."""
    expired: dict[int, dict[int, int]] = {}
    for file in files:
        footer = work.history.footer(file)
        numbers = footer.least["metric"].tolist()
        since = np.array([since_ns[number] for number in numbers], np.int64)
        groups = np.flatnonzero(footer.least["at"] < since).tolist()
        for group, columns in zip(groups, work.history.read(file, groups, ["at"]), strict=True):
            at_ns = columns["at"]
            days, rows = np.unique(at_ns[at_ns < since[group]] // NS_PER_DAY, return_counts=True)
            counts = expired.setdefault(numbers[group], {})
            for day, count in zip(days.tolist(), rows.tolist(), strict=True):
                counts[day] = counts.get(day, 0) + count
            work.pause()
    return expired


def _batches(days: Mapping[int, int]) -> Iterator[list[int]]:
    """Days in order, together while their samples are no more than a unit."""
    batch: list[int] = []
    samples = 0
    for day, count in days.items():
        if batch and samples + count > UNIT_SAMPLES:
            yield batch
            batch, samples = [], 0
        batch.append(day)
        samples += count
    if batch:
        yield batch
