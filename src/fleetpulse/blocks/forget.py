"""Forgetting what a device sent before a time, in blocks: counting it, and writing the blocks without it.

A cut is a device and a time, by the device's clock, which is a whole minute. In parts of which samples are gone, the
cells of roll-ups that begin before the time and end after it stay whole, since nobody knows what is in them of either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Chunk, Rows, count_minutes, first_minute_of, minutes_from
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.history import History, OnDamage, SampleRange
from fleetpulse.blocks.late import LateRows
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.samples import RollupRows, write_samples
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_late import all_late, late_of_device
from fleetpulse.errors import DamagedData
from fleetpulse.model.forgotten import NO_MINUTE, BeforeCut
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, LateBlock, Manifest, SampleBlock, closed_days
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE

Cuts = Mapping[int, int]
"""By device number: from when on (ns) what it sent stays."""
_BUCKET_NS = {MINUTE: NS_PER_MINUTE, HOUR: 60 * NS_PER_MINUTE, DAY: NS_PER_DAY}
_ALWAYS_NS = -(2**63)


def kept_minutes(day: int, before_ns: int) -> Rows:
    """The minutes of a day (since 1970-01-01) that do not begin before a time, as a row, shape (23,)."""
    return minutes_from(min(max(0, before_ns // NS_PER_MINUTE - day * MINUTES_PER_DAY), MINUTES_PER_DAY))


def days_to_cut(history: History, manifest: Manifest, cuts: Cuts, on_damage: OnDamage) -> list[int]:
    """The closed days, ascending, in which one of the devices was present before its cut."""
    found = []
    for day in sorted(closed_days(manifest)):
        try:
            if any(_is_cut(history.row(day, device, manifest=manifest), day, cuts[device]) for device in cuts):
                found.append(day)
        except DamagedData as error:
            on_damage(day, error)
    return found


def _is_cut(row: Rows | None, day: int, before_ns: int) -> bool:
    return row is not None and bool((row & ~kept_minutes(day, before_ns)).any())


def count_before(
    history: History,
    manifest: Manifest,
    device: int,
    *,
    before_ns: int,
    live: Mapping[int, Rows],
    pause: Callable[[], None],
) -> BeforeCut:
    """What blocks hold of a device before a time, a whole minute; minutes are counted together with those in memory.

    Args: live: its presence in memory by day, each shape (23,). Raises: DamagedData.
    """
    minutes, first = 0, NO_MINUTE
    late = late_of_device(history, manifest, device)
    for day in sorted({*closed_days(manifest), *live, *late}):
        if first != NO_MINUTE and day * NS_PER_DAY >= before_ns:
            break
        row = history.row(day, device, manifest=manifest)
        pause()
        kept = kept_minutes(day, before_ns)
        if day in late:
            row = late[day] if row is None else row | late[day]
        if row is not None and first == NO_MINUTE and (minute := first_minute_of(row & kept)) is not None:
            first = day * MINUTES_PER_DAY + minute
        present = [part for part in (row, live.get(day)) if part is not None]
        if present:
            minutes += int(count_minutes((np.bitwise_or.reduce(present) & ~kept)[None])[0])
    samples = uploads = total = 0
    for block in manifest.samples:
        if block.start_ns < before_ns:
            for metric, count, values in _counts(history, block, device, before_ns):
                samples += count
                if metric == UPLOAD_TIME:
                    uploads, total = uploads + count, total + values
            pause()
    return BeforeCut(minutes, first, samples, uploads, total)


def _counts(history: History, block: SampleBlock, device: int, before_ns: int) -> Iterator[tuple[int, int, int]]:
    """(metric, samples, sum of its values where it is the upload time) of a device before a time, in a block."""
    with_samples = set(history.metrics_of(block.files[RAW])) if RAW in block.files else set()
    for metric in sorted(with_samples):
        wanted = SampleRange(metric, device, _ALWAYS_NS, before_ns)
        pieces = list(history.samples(block, wanted))
        values = [value for piece in pieces for value in piece.values.tolist()] if metric == UPLOAD_TIME else []
        yield metric, sum(map(len, pieces)), sum(values)
    if HOUR not in block.files:
        return
    for metric in sorted(set(history.metrics_of(block.files[HOUR])) - with_samples):
        wanted = SampleRange(metric, device, _ALWAYS_NS, before_ns - _BUCKET_NS[HOUR] + 1)
        rows = list(history.rollups(block, HOUR, wanted, parts=("sums",)))
        total = sum(chain.from_iterable(piece.cells.sums.totals() for piece in rows)) if metric == UPLOAD_TIME else 0
        yield metric, sum(int(piece.cells.counts.sum()) for piece in rows), total


def without_minutes(chunks: Iterable[Chunk], day: int, cuts: Cuts) -> Iterator[Chunk]:
    """The chunks of a closed day without the minutes before the cuts."""
    for devices, rows in chunks:
        known = [(device, before_ns) for device, before_ns in cuts.items() if device in devices]
        kept = rows.copy() if known else rows
        for device, before_ns in known:
            kept[np.searchsorted(devices, np.uint32(device))] &= kept_minutes(day, before_ns)
        yield devices, kept


def late_without(history: History, manifest: Manifest, block: LateBlock, cuts: Cuts) -> LateRows | None:
    """The rows of a late block without the minutes before the cuts; None where it has no such minute.

    Raises: DamagedData.
    """
    alone = replace(manifest, late=(block,))
    if not any(
        _is_cut(row, day, before_ns)
        for device, before_ns in cuts.items()
        for day, row in late_of_device(history, alone, device).items()
    ):
        return None
    late = all_late(history, block)
    kept = late.rows.copy()
    for place in np.flatnonzero(np.isin(late.devices, list(cuts))).tolist():
        kept[place] &= kept_minutes(int(late.days[place]), cuts[int(late.devices[place])])
    return late._replace(rows=kept).where(np.flatnonzero(kept.any(axis=1)))


def without_samples(
    history: History, block: SampleBlock, cuts: Cuts, *, pause: Callable[[], None]
) -> SampleBlock | None:
    """The block without the samples before the cuts: itself where it has none, None where nothing of it is left.

    Raises: DamagedData: a file of it is not as it was written; OSError.
    """
    removed = sum(
        count
        for device, before_ns in cuts.items()
        if block.start_ns < before_ns
        for _, count, _ in _counts(history, block, device, before_ns)
    )
    if not removed:
        return block
    for file in block.files.values():  # a damaged file must not be rewritten: its new checksum would hide the damage
        history.check(file)
    if block.day is None:
        return _fresh_without(history, block, cuts, pause)
    return _part_without(history, block, cuts, pause, samples=block.samples - removed)


def _fresh_without(history: History, block: SampleBlock, cuts: Cuts, pause: Callable[[], None]) -> SampleBlock | None:
    pieces = list(_samples_without(history, block, cuts))
    if not pieces:
        return None
    start_ns, end_ns = min(int(piece.at_ns.min()) for piece in pieces), max(int(piece.at_ns.max()) for piece in pieces)
    put = put_block(
        history.store, f"samples-{block.kind}-cut", lambda out: write_samples(out, block.kind, paced(pieces, pause))
    )
    return replace(block, start_ns=start_ns, end_ns=end_ns + 1, samples=sum(map(len, pieces)), files={RAW: put})


def _part_without(
    history: History, block: SampleBlock, cuts: Cuts, pause: Callable[[], None], *, samples: int
) -> SampleBlock | None:
    """Args: samples: how many there are without those before the cuts."""
    assert block.day is not None, "fresh blocks have no roll-ups"
    with_samples = set(history.metrics_of(block.files[RAW])) if RAW in block.files else set()
    tiers = [tier for tier in (MINUTE, HOUR) if tier in block.files]
    cells = partial(_cells_without, history, block, cuts, with_samples)
    is_empty = not with_samples or next(_samples_without(history, block, cuts), None) is None
    if is_empty and next(cells(HOUR), None) is None:
        return None
    part = write_part(
        history.store,
        kind=block.kind,
        day=block.day,
        pieces=_samples_without(history, block, cuts) if with_samples else (),
        pause=pause,
        rollups={tier: cells(tier) for tier in tiers},
    )
    return replace(part, start_ns=block.start_ns, end_ns=block.end_ns, samples=samples, is_distinct=block.is_distinct)


def _samples_without(history: History, block: SampleBlock, cuts: Cuts) -> Iterator[SampleColumns]:
    file = block.files[RAW]
    for piece in history.sample_groups(file, range(len(history.footer(file).rows))):
        is_kept = np.ones(len(piece), bool)
        for device, before_ns in cuts.items():
            is_kept &= (piece.devices != device) | (piece.at_ns >= before_ns)
        if is_kept.any():
            yield piece if is_kept.all() else piece.where(is_kept)


def _cells_without(
    history: History, block: SampleBlock, cuts: Cuts, with_samples: set[int], tier: str
) -> Iterator[RollupRows]:
    """The cells of metrics whose samples are gone, less those that end before the cuts."""
    file = block.files[tier]
    groups = np.flatnonzero(~np.isin(history.footer(file).least["metric"], list(with_samples))).tolist()
    for rows in history.rollup_groups(file, groups, block.kind):
        is_kept = np.ones(len(rows), bool)
        for device, before_ns in cuts.items():
            is_kept &= (rows.devices != device) | (rows.at_ns + _BUCKET_NS[tier] > before_ns)
        for start, end in _runs(is_kept):
            yield rows.cut(start, end)


def _runs(truths: NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """The stretches of a bool column, shape (n,), that are true, as half-open ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], truths, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
