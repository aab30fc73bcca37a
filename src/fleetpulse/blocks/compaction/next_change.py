"""Compaction: fresh blocks of samples become parts of days with roll-ups, parts of a day are merged, retention removes.

Comes in: the sample blocks that a manifest names. Goes out: new files, and which blocks of theirs replace which. Nothing that is
named is touched, so a crash leaves files that nobody names, and the work is found and done anew; the caller names the new blocks
in one catalog transaction, and removes unnamed files afterwards, never between the two.

    fresh blocks   [ · · any days · · ] [ · · ] [ · · ]      fold: all of a kind at once, each sample goes into exactly one part
                           |        |
    parts          day 1 [raw minute hour day]   day 2 [raw hour day] [raw hour day]      merge: the parts of a day become one

In a file of a part a metric is whole or absent: its samples may be gone by `raw_days` while its roll-ups stay, and its minutes are
kept only where they are much fewer than its samples. Memory is bounded by units of work, not by the length of a day: a unit is a
range of devices of one metric, cut by what the footers say of the row groups.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import merge
from itertools import chain, pairwise
from typing import Any, BinaryIO, TypeVar

import numpy as np

from fleetpulse.aggregate.rollup import cut_cells, fold_cells, fold_samples, join_cells
from fleetpulse.aggregate.runs import first_of_runs, run_bounds, run_numbers
from fleetpulse.blocks.columns import Footer
from fleetpulse.blocks.history import History, SampleRange
from fleetpulse.blocks.samples import (
    DENSE,
    ROW_GROUP_CELLS,
    SAMPLE_COLUMNS,
    RollupRows,
    rollup_columns,
    rollup_rows,
    sample_rows,
    sort_samples,
    write_rollup,
    write_samples,
)
from fleetpulse.blocks.store import BlockStore, check_file, put_block
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, TIERS, BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import KINDS, Kind, MetricDefinition
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE

FRESH_MAX = 8
"""Fresh blocks of a kind before they are folded into parts."""
PARTS_MAX = 4
"""Parts of a day before they are merged."""
UNIT_SAMPLES = 1_000_000
"""Samples that are in memory at once, about."""
UNIT_CELLS = 16_384
"""The same of roll-ups, whose sketches make them larger."""
MINUTE_SHARE = 2
"""Samples for each of their minutes, at least, for the minutes to be worth a file."""
_BUCKET_NS = {MINUTE: NS_PER_MINUTE, HOUR: 60 * NS_PER_MINUTE}
_DEVICES = 2**32
_Piece = TypeVar("_Piece")
_OnDamage = Callable[[SampleBlock, DamagedData], None]


@dataclass(frozen=True, slots=True)
class Change:
    """Blocks that others replace; both may share files."""

    removed: tuple[SampleBlock, ...]
    added: tuple[SampleBlock, ...]


def apply_change(manifest: Manifest, change: Change) -> Manifest:
    """The manifest with the change made; blocks that a checkpoint has added meanwhile stay."""
    kept = tuple(block for block in manifest.samples if block not in change.removed)
    return replace(manifest, samples=(*kept, *change.added))


def next_change(
    history: History,
    manifest: Manifest,
    *,
    metrics: Mapping[int, MetricDefinition],
    today: int,
    pause: Callable[[], None],
    fresh_max: int = FRESH_MAX,
    parts_max: int = PARTS_MAX,
    is_forced: bool = False,
    on_damage: _OnDamage = lambda block, error: None,
) -> Change | None:
    """Do the most useful piece of work; None where there is none. Blocks for seconds, `pause` is called between units.

    Retention comes first, so that nothing is merged which goes anyway. A block that is missing or damaged is told to `on_damage`
    and left as it is: it goes when all of its metrics have expired.

    Args:
        today: the day now, since 1970-01-01 UTC.
        is_forced: fold fresh blocks however few they are.
    Raises: OSError: the disk is full or failing; nothing has changed.
    """
    work = _Work(history, metrics, today, pause, on_damage)
    return (
        work.retain(manifest) or work.fold(manifest, 1 if is_forced else fresh_max) or work.merge(manifest, parts_max)
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """What all kinds of work need to know."""

    history: History
    metrics: Mapping[int, MetricDefinition]
    today: int
    pause: Callable[[], None]
    on_damage: _OnDamage

    def retain(self, manifest: Manifest) -> Change | None:
        """The first part that holds what is to go, without it."""
        for block in manifest.samples:
            if block.day is None:
                continue
            expired, rawless = self._expired(block.kind, block.day)
            if not expired and not rawless:
                continue
            if expired == self._of_kind(block.kind):
                return Change((block,), ())
            try:
                gone = {
                    tier: self._held(block, tier) & (expired | rawless if tier == RAW else expired)
                    for tier in block.files
                }
            except DamagedData as error:
                gone = {}
                self.on_damage(block, error)
            if any(gone.values()) and self._is_sound(block, [tier for tier in gone if gone[tier]]):
                return Change((block,), self._without(block, gone))
        return None

    def _expired(self, kind: Kind, day: int) -> tuple[set[int], set[int]]:
        """Metrics of a kind that are past their retention on a day, and those whose samples are."""
        ages = {
            number: (self.metrics[number].retention_days, self.metrics[number].raw_days)
            for number in self._of_kind(kind)
        }
        expired = {number for number, (days, _) in ages.items() if day < self.today - days}
        return expired, {
            number for number, (_, raw_days) in ages.items() if raw_days is not None and day < self.today - raw_days
        }

    def _of_kind(self, kind: Kind) -> set[int]:
        return {number for number, metric in self.metrics.items() if metric.kind == kind}

    def _held(self, block: SampleBlock, tier: str) -> set[int]:
        return set(self.history.metrics_of(block.files[tier])) if tier in block.files else set()

    def _is_sound(self, block: SampleBlock, tiers: Iterable[str] = TIERS) -> bool:
        """Whether the files of a block are what was written: damage must not be signed anew."""
        try:
            for tier in tiers:
                if tier in block.files:
                    check_file(self.history.store, block.files[tier])
                    self.pause()
        except DamagedData as error:
            self.on_damage(block, error)
            return False
        return True

    def _without(self, block: SampleBlock, gone: Mapping[str, set[int]]) -> tuple[SampleBlock, ...]:
        """The block without metrics in a tier; nothing where nothing is left."""
        files = {tier: file for tier, file in block.files.items() if not gone[tier]}
        for tier in block.files.keys() - files.keys():
            footer = self.history.footer(block.files[tier])
            groups = np.flatnonzero(~np.isin(footer.least["metric"], list(gone[tier]))).tolist()
            if groups:
                files[tier] = self._copy(block, tier, groups)
        if DAY not in files:
            return ()
        return (replace(block, files=files, samples=block.samples - self._count(block, gone[DAY])),)

    def _copy(self, block: SampleBlock, tier: str, groups: list[int]) -> BlockFile:
        """The chosen row groups of a file as a file of its own."""
        file = block.files[tier]
        numbers = self.history.footer(file).least["metric"][groups].tolist()
        stem = f"samples-{block.kind}-{block.day}-{tier}"
        if tier == RAW:
            read = self.history.read(file, groups, SAMPLE_COLUMNS)
            pieces = (sample_rows(columns, number) for number, columns in zip(numbers, read, strict=True))
            return put_block(
                self.history.store,
                stem,
                lambda to: write_samples(to, block.kind, _paced(pieces, self.pause), level=DENSE),
            )
        read = self.history.read(file, groups, rollup_columns(block.kind))
        rows = (rollup_rows(columns, number, block.kind) for number, columns in zip(numbers, read, strict=True))
        return put_block(self.history.store, stem, lambda to: write_rollup(to, block.kind, _paced(rows, self.pause)))

    def _count(self, block: SampleBlock, metrics: set[int]) -> int:
        """How many samples of some metrics a part is made of."""
        footer = self.history.footer(block.files[DAY])
        groups = np.flatnonzero(np.isin(footer.least["metric"], list(metrics))).tolist()
        return sum(int(columns["count"].sum()) for columns in self.history.read(block.files[DAY], groups, ["count"]))

    def fold(self, manifest: Manifest, fresh_min: int) -> Change | None:
        """All fresh blocks of a kind as a part of each day that they touch."""
        for kind in KINDS:
            fresh = [block for block in manifest.samples if block.kind == kind and block.day is None]
            if len(fresh) >= fresh_min:
                sound = tuple(block for block in fresh if self._is_sound(block))
                if len(sound) >= fresh_min:
                    return Change(sound, tuple(self._fold(kind, sound)))
        return None

    def _fold(self, kind: Kind, fresh: Sequence[SampleBlock]) -> Iterator[SampleBlock]:
        files = [block.files[RAW] for block in fresh]
        held = set[int]().union(*(self._held(block, RAW) for block in fresh))
        # Samples before these times have expired, and are not carried over.
        since_ns = {number: (self.today - self.metrics[number].retention_days) * NS_PER_DAY for number in sorted(held)}
        days = _count_days(self.history, files, since_ns, self.pause)
        for some in _batches(days):
            if len(some) == 1:
                spans = {number: _Span(start_ns=some[0] * NS_PER_DAY, end_ns=(some[0] + 1) * NS_PER_DAY)
                         for number in since_ns if since_ns[number] <= some[0] * NS_PER_DAY}  # fmt: skip
                pieces = chain.from_iterable(
                    _merge_samples(self.history, files, number, span) for number, span in spans.items()
                )
                yield self._part(kind, some[0], pieces)
            else:
                yield from self._fold_small(kind, fresh, since_ns, some)

    def _fold_small(
        self, kind: Kind, fresh: Sequence[SampleBlock], since_ns: Mapping[int, int], days: list[int]
    ) -> Iterator[SampleBlock]:
        """Late data touches many days a little: they are read together, lest all is read for each."""
        found: list[SampleColumns] = []
        for number, first_ns in since_ns.items():
            wanted = SampleRange(number, None, max(first_ns, days[0] * NS_PER_DAY), (days[-1] + 1) * NS_PER_DAY)
            for block in fresh:
                for samples in self.history.samples(block, wanted):
                    found.append(samples)
                    self.pause()
        samples = sort_samples(join_samples(found))
        days_of = samples.at_ns // NS_PER_DAY
        order = np.argsort(days_of, kind="stable")
        starts = np.searchsorted(days_of[order], [*days, days[-1] + 1]).tolist()
        for day, (start, end) in zip(days, pairwise(starts), strict=True):
            yield self._part(kind, day, [samples.where(order[start:end])])

    def _part(self, kind: Kind, day: int, pieces: Iterable[SampleColumns]) -> SampleBlock:
        return write_part(
            self.history.store, kind=kind, day=day, stem=f"samples-{kind}-{day}", pieces=pieces, pause=self.pause
        )

    def merge(self, manifest: Manifest, parts_max: int) -> Change | None:
        """The parts of the day that has most of them as one."""
        parts: dict[tuple[Kind, int], list[SampleBlock]] = {}
        for block in manifest.samples:
            if block.day is not None:
                parts.setdefault((block.kind, block.day), []).append(block)
        for (kind, day), blocks in sorted(parts.items(), key=lambda item: -len(item[1])):
            if len(blocks) > parts_max:
                sound = tuple(block for block in blocks if self._is_sound(block))
                if len(sound) > parts_max:
                    return Change(sound, (self._merge(kind, day, sound),))
        return None

    def _merge(self, kind: Kind, day: int, parts: Sequence[SampleBlock]) -> SampleBlock:
        holders: dict[int, list[SampleBlock]] = {}
        held = [(block, {tier: self._held(block, tier) for tier in TIERS}) for block in parts]
        for block, metrics in held:
            for number in metrics[DAY]:
                holders.setdefault(number, []).append(block)
        # What some parts lack in a tier is left out of it: their samples would be missing from answers of that tier.
        lacking = {tier: set[int]().union(*(metrics[DAY] - metrics[tier] for _, metrics in held)) for tier in TIERS}
        span = _Span(start_ns=day * NS_PER_DAY, end_ns=(day + 1) * NS_PER_DAY)
        pieces = (
            _merge_samples(self.history, [block.files[RAW] for block in holders[number]], number, span)
            for number in sorted(holders.keys() - lacking[RAW])
        )
        rolled = {
            tier: chain.from_iterable(
                [_merge_rollups(self.history, [block.files[tier] for block in holders[number]], number, kind)
                 for number in sorted(lacking[RAW] - lacking[tier])]
            )
            for tier in (MINUTE, HOUR)
        }  # fmt: skip
        merged = _write(
            self.history.store,
            kind=kind,
            day=day,
            stem=f"samples-{kind}-{day}",
            pieces=chain.from_iterable(pieces),
            rolled=rolled,
            pause=self.pause,
        )
        return replace(
            merged,
            start_ns=min(block.start_ns for block in parts),
            end_ns=max(block.end_ns for block in parts),
            samples=sum(block.samples for block in parts),
        )


def write_part(
    store: BlockStore, *, kind: Kind, day: int, stem: str, pieces: Iterable[SampleColumns], pause: Callable[[], None]
) -> SampleBlock:
    """Write samples of one day, at least one, with their roll-ups; `pieces` are sorted and follow each other in order.

    A piece becomes row groups of its own, so it best has some 65,536 samples or more, and is of one metric.
    Raises: OSError. DamagedData: what was written does not read as such.
    """
    return _write(store, kind=kind, day=day, stem=stem, pieces=pieces, rolled={}, pause=pause)


def _write(
    store: BlockStore,
    *,
    kind: Kind,
    day: int,
    stem: str,
    pieces: Iterable[SampleColumns],
    rolled: Mapping[str, Iterable[RollupRows]],
    pause: Callable[[], None],
) -> SampleBlock:
    """A part of samples, and of roll-ups of metrics whose samples are gone.

    Roll-ups are made from the file just written, a row group at a time: reading it again is cheaper than to hold them all, or
    three open files.
    """
    tally = _Tally()
    history = History(store, Manifest())
    files: dict[str, BlockFile] = {}

    def put(tier: str, write: Callable[[BinaryIO, Kind, Iterable[Any]], None], found: Iterable[_Piece]) -> None:
        rest = iter(found)
        first = next(rest, None)
        if first is not None:
            paced = _paced(chain([first], rest), pause)
            files[tier] = put_block(store, f"{stem}-{tier}", lambda file: write(file, kind, paced))

    put(RAW, partial(write_samples, level=DENSE), tally.counted(pieces))
    by_metric = {tier: sorted(metrics) for tier, metrics in ((MINUTE, tally.worth_minutes()), (HOUR, tally.samples))}
    for tier, numbers in by_metric.items():
        made = _roll_up_samples(history, files[RAW], kind, numbers, _BUCKET_NS[tier]) if numbers else iter(())
        put(tier, write_rollup, merge(made, rolled.get(tier, ()), key=lambda rows: rows.metric))
    put(DAY, write_rollup, _coarser(history, files[HOUR], kind))
    return SampleBlock(kind, day, tally.start_ns, tally.end_ns, sum(tally.samples.values()), files)


@dataclass(slots=True)
class _Tally:
    """What is learned of samples as they go by."""

    start_ns: int = 2**63 - 1
    end_ns: int = -(2**63)
    samples: dict[int, int] = field(default_factory=dict)
    minutes: dict[int, int] = field(default_factory=dict)

    def counted(self, pieces: Iterable[SampleColumns]) -> Iterator[SampleColumns]:
        """The pieces, cut where the metric changes."""
        for piece in pieces:
            for start, end in run_bounds(piece.metrics):
                part = _cut(piece, start, end)
                self._count(part)
                yield part

    def _count(self, piece: SampleColumns) -> None:
        number = int(piece.metrics[0])
        self.start_ns = min(self.start_ns, int(piece.at_ns.min()))
        self.end_ns = max(self.end_ns, int(piece.at_ns.max()) + 1)
        self.samples[number] = self.samples.get(number, 0) + len(piece)
        is_first = first_of_runs(piece.devices, piece.at_ns // NS_PER_MINUTE)
        self.minutes[number] = self.minutes.get(number, 0) + int(is_first.sum())

    def worth_minutes(self) -> list[int]:
        """Metrics that have much fewer minutes than samples."""
        return [number for number, minutes in self.minutes.items() if minutes * MINUTE_SHARE <= self.samples[number]]


def _cut(samples: SampleColumns, start: int, end: int) -> SampleColumns:
    """Rows [start, end), without a copy."""
    if start == 0 and end == len(samples):
        return samples
    return SampleColumns(
        samples.devices[start:end], samples.metrics[start:end], samples.at_ns[start:end], samples.values[start:end]
    )


def _paced(pieces: Iterable[_Piece], pause: Callable[[], None]) -> Iterator[_Piece]:
    for piece in pieces:
        yield piece
        pause()


def _roll_up_samples(
    history: History, file: BlockFile, kind: Kind, metrics: Sequence[int], bucket_ns: int
) -> Iterator[RollupRows]:
    """The cells of some metrics of a file of samples, in its order."""
    footer = history.footer(file)
    groups = np.flatnonzero(np.isin(footer.least["metric"], metrics)).tolist()

    def each() -> Iterator[RollupRows]:
        for group, columns in zip(groups, history.read(file, groups, SAMPLE_COLUMNS), strict=True):
            samples = sample_rows(columns, int(footer.least["metric"][group]))
            buckets = samples.at_ns // bucket_ns
            is_first = first_of_runs(samples.devices, buckets)
            cells = run_numbers(is_first)
            values = samples.values if kind == "integer" else samples.values.view(np.float64)
            made = fold_samples(cells, values, samples.at_ns, count=int(cells[-1]) + 1, sketched=True)
            yield RollupRows(int(samples.metrics[0]), samples.devices[is_first], buckets[is_first] * bucket_ns, made)

    return _whole(each())


def _coarser(history: History, file: BlockFile, kind: Kind) -> Iterator[RollupRows]:
    """The days of a file of hours."""
    footer = history.footer(file)
    numbers = footer.least["metric"].tolist()

    def each() -> Iterator[RollupRows]:
        read = history.read(file, range(len(numbers)), rollup_columns(kind))
        for number, columns in zip(numbers, read, strict=True):
            rows = rollup_rows(columns, number, kind)
            yield _fold_rows([replace(rows, at_ns=rows.at_ns // NS_PER_DAY * NS_PER_DAY)])

    return _whole(each())


def _whole(pieces: Iterable[RollupRows]) -> Iterator[RollupRows]:
    """Sorted pieces, of which two neighbours may share a cell, as pieces of whole row groups and of cells that occur once."""
    held: list[RollupRows] = []
    for piece in pieces:
        if held and held[0].metric != piece.metric:
            yield _fold_rows(held)
            held = []
        held.append(piece)
        if sum(map(len, held)) > ROW_GROUP_CELLS:
            rows = _fold_rows(held)
            # The last cell may go on in the next piece.
            end = (len(rows) - 1) // ROW_GROUP_CELLS * ROW_GROUP_CELLS
            if end:
                yield _cut_rows(rows, 0, end)
            held = [_cut_rows(rows, end, len(rows))]
    if held:
        yield _fold_rows(held)


def _fold_rows(pieces: Sequence[RollupRows]) -> RollupRows:
    """Cells of one metric, in any order and perhaps several of one device and bucket, as one each, sorted."""
    devices, at_ns = (
        np.concatenate([piece.devices for piece in pieces]),
        np.concatenate([piece.at_ns for piece in pieces]),
    )
    order = np.lexsort((at_ns, devices))
    devices, at_ns = devices[order], at_ns[order]
    is_first = first_of_runs(devices, at_ns)
    cells = np.empty(len(order), np.int64)
    cells[order] = run_numbers(is_first)
    folded = fold_cells(cells, join_cells([piece.cells for piece in pieces]), count=int(is_first.sum()))
    return RollupRows(pieces[0].metric, devices[is_first], at_ns[is_first], folded)


def _cut_rows(rows: RollupRows, start: int, end: int) -> RollupRows:
    return RollupRows(rows.metric, rows.devices[start:end], rows.at_ns[start:end], cut_cells(rows.cells, start, end))


@dataclass(frozen=True, slots=True)
class _Span:
    """A unit of work: devices [start_device, end_device), times [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    start_device: int = 0
    end_device: int = _DEVICES

    def groups(self, footer: Footer, metric: int) -> list[int]:
        """The row groups that may hold some of it."""
        is_wanted = (
            (footer.least["metric"] == metric)
            & (footer.least["at"] < self.end_ns)
            & (footer.greatest["at"] >= self.start_ns)
        )
        is_wanted &= (footer.least["device"] < self.end_device) & (footer.greatest["device"] >= self.start_device)
        return np.flatnonzero(is_wanted).tolist()


def _units(footers: Sequence[Footer], metric: int, whole: _Span, rows_max: int) -> Iterator[_Span]:
    """Cut a span between devices so that the row groups that begin in a unit hold about `rows_max` rows; in order."""
    groups = [(footer, whole.groups(footer, metric)) for footer in footers]
    firsts = np.concatenate([footer.least["device"][chosen] for footer, chosen in groups])
    rows = np.concatenate([footer.rows[chosen] for footer, chosen in groups])
    devices, places = np.unique(firsts, return_inverse=True)
    start, held = 0, 0
    for device, more in zip(devices.tolist(), np.bincount(places, rows, minlength=len(devices)).tolist(), strict=True):
        if held and held + more > rows_max:
            yield replace(whole, start_device=start, end_device=device)
            start, held = device, 0
        if more > 2 * rows_max:
            # One device fills all of these: it is cut by time.
            if start < device:
                yield replace(whole, start_device=start, end_device=device)
            slices = -(-int(more) // rows_max)
            edges = [whole.start_ns + (whole.end_ns - whole.start_ns) * place // slices for place in range(slices + 1)]
            for start_ns, end_ns in pairwise(edges):
                yield _Span(start_ns, end_ns, device, device + 1)
            start, held = device + 1, 0
        held += int(more)
    yield replace(whole, start_device=start)


def _merge_samples(history: History, files: Sequence[BlockFile], metric: int, whole: _Span) -> Iterator[SampleColumns]:
    """The samples of a metric out of several files, sorted, a unit at a time."""
    for unit in _units([history.footer(file) for file in files], metric, whole, UNIT_SAMPLES):
        found = join_samples([samples for file in files for samples in _read_samples(history, file, metric, unit)])
        if len(found):
            yield _sorted(found, unit)


def _read_samples(history: History, file: BlockFile, metric: int, unit: _Span) -> Iterator[SampleColumns]:
    groups = unit.groups(history.footer(file), metric)
    for columns in history.read(file, groups, SAMPLE_COLUMNS) if groups else ():
        samples = sample_rows(columns, metric)
        samples = _cut(samples, *np.searchsorted(samples.devices, [unit.start_device, unit.end_device]).tolist())
        chosen = (samples.at_ns >= unit.start_ns) & (samples.at_ns < unit.end_ns)
        yield samples if chosen.all() else samples.where(chosen)


def _sorted(samples: SampleColumns, unit: _Span) -> SampleColumns:
    """By device and time. Most often both fit into one word, and what is joined is sorted already in long runs."""
    first = int(samples.devices.min())
    length_ns = unit.end_ns - unit.start_ns
    if (int(samples.devices.max()) - first + 1) * length_ns >= 2**63:
        return sort_samples(samples)
    keys = (samples.devices.astype(np.int64) - first) * length_ns + (samples.at_ns - unit.start_ns)
    return samples.where(np.argsort(keys, kind="stable"))


def _merge_rollups(history: History, files: Sequence[BlockFile], metric: int, kind: Kind) -> Iterator[RollupRows]:
    """The cells of a metric out of several files of one tier, sorted and each once, a unit at a time."""
    always = _Span(-(2**63), 2**63 - 1)

    def each() -> Iterator[RollupRows]:
        for unit in _units([history.footer(file) for file in files], metric, always, UNIT_CELLS):
            found = [rows for file in files for rows in _read_rollups(history, file, metric, kind, unit) if len(rows)]
            if found:
                yield _fold_rows(found)

    return _whole(each())


def _read_rollups(history: History, file: BlockFile, metric: int, kind: Kind, unit: _Span) -> Iterator[RollupRows]:
    groups = unit.groups(history.footer(file), metric)
    for columns in history.read(file, groups, rollup_columns(kind)) if groups else ():
        rows = rollup_rows(columns, metric, kind)
        yield _cut_rows(rows, *np.searchsorted(rows.devices, [unit.start_device, unit.end_device]).tolist())


def _count_days(
    history: History, files: Sequence[BlockFile], since_ns: Mapping[int, int], pause: Callable[[], None]
) -> dict[int, int]:
    """Samples by day, ascending, those aside that are before the time of their metric."""
    counts: dict[int, int] = {}
    for file in files:
        footer = history.footer(file)
        since = np.array([since_ns[number] for number in footer.least["metric"].tolist()], np.int64)
        is_whole = (footer.least["at"] // NS_PER_DAY == footer.greatest["at"] // NS_PER_DAY) & (
            footer.least["at"] >= since
        )
        for group in np.flatnonzero(is_whole).tolist():
            day = int(footer.least["at"][group] // NS_PER_DAY)
            counts[day] = counts.get(day, 0) + int(footer.rows[group])
        groups = np.flatnonzero(~is_whole & (footer.greatest["at"] >= since)).tolist()
        for group, columns in zip(groups, history.read(file, groups, ["at"]) if groups else (), strict=True):
            at_ns = columns["at"]
            days, found = np.unique(at_ns[at_ns >= since[group]] // NS_PER_DAY, return_counts=True)
            for day, count in zip(days.tolist(), found.tolist(), strict=True):
                counts[day] = counts.get(day, 0) + count
            pause()
    return dict(sorted(counts.items()))


def _batches(days: Mapping[int, int]) -> Iterator[list[int]]:
    """Days in order, together while their samples are no more than a unit."""
    some: list[int] = []
    held = 0
    for day, count in days.items():
        if some and held + count > UNIT_SAMPLES:
            yield some
            some, held = [], 0
        some.append(day)
        held += count
    if some:
        yield some
