"""Writing a part: the samples of one day and kind, with their roll-ups by minute, hour and day.

Roll-ups are made from the file of samples just written, a row group at a time: reading it again costs less memory than
to hold all roll-ups, or three files that are being written at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import chain
from typing import TypeVar

import numpy as np

from fleetpulse.aggregate.rollup import fold_samples
from fleetpulse.aggregate.runs import first_of_runs, run_bounds, run_numbers
from fleetpulse.blocks.compaction.rollup_rows import distinct_cells, fold_rows
from fleetpulse.blocks.history import History
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.samples import DENSE, RollupRows, write_rollup, write_samples
from fleetpulse.blocks.store import BlockStore, put_block
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import Kind
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE

MINUTE_SHARE = 2
"""Samples for each of their minutes, at least, for the minutes to be worth a file."""
_BUCKET_NS = {MINUTE: NS_PER_MINUTE, HOUR: 60 * NS_PER_MINUTE}
_Piece = TypeVar("_Piece")
_NO_ROLLUPS: Mapping[str, Iterable[RollupRows]] = {}


def write_part(
    store: BlockStore,
    *,
    kind: Kind,
    day: int,
    pieces: Iterable[SampleColumns],
    pause: Callable[[], None],
    rollups: Mapping[str, Iterable[RollupRows]] = _NO_ROLLUPS,
    rolled_up: Collection[int] = (),
) -> SampleBlock:
    """Write samples of one day, and roll-ups of metrics whose samples are gone; at least one sample or hour.

    Args:
        day: since 1970-01-01 UTC.
        pieces: samples of the day, none twice, sorted by metric, device and time, each piece after the one before it.
            A piece becomes row groups of its own, so it is best of one metric and of 65,536 samples or more.
        pause: called between pieces.
        rollups: by MINUTE and HOUR, sorted cells of metrics that have no sample in `pieces`.
        rolled_up: metrics whose samples will be removed at once, so that minutes are worth a file however few they are.
    Returns: the part. Its times and number of samples are those of `pieces` alone.
    Raises: OSError. DamagedData: what was written does not read as such.
    """
    history = History(store, Manifest())
    files: dict[str, BlockFile] = {}
    tally = _Tally()
    samples = _unless_empty(tally.counted(pieces))
    if samples is not None:
        files[RAW] = put_samples(store, kind=kind, day=day, pieces=samples, pause=pause)
    for tier, metrics in ((MINUTE, tally.metrics_worth_minutes(rolled_up)), (HOUR, list(tally.samples))):
        of_samples = _roll_up(history, files[RAW], kind, metrics, _BUCKET_NS[tier]) if metrics else ()
        rows = _unless_empty(merge(of_samples, rollups.get(tier, ()), key=lambda rows: rows.metric))
        if rows is not None:
            files[tier] = put_rollups(store, kind=kind, day=day, tier=tier, pieces=rows, pause=pause)
    days = _days_of_hours(history, files[HOUR], kind)
    files[DAY] = put_rollups(store, kind=kind, day=day, tier=DAY, pieces=days, pause=pause)
    return SampleBlock(kind, day, tally.start_ns, tally.end_ns, sum(tally.samples.values()), files, is_distinct=True)


def put_samples(
    store: BlockStore, *, kind: Kind, day: int, pieces: Iterable[SampleColumns], pause: Callable[[], None]
) -> BlockFile:
    """Write the file of samples of a part; see `write_part`. Raises: OSError."""
    return put_block(
        store, f"samples-{kind}-{day}-{RAW}", lambda file: write_samples(file, kind, paced(pieces, pause), level=DENSE)
    )


def put_rollups(
    store: BlockStore, *, kind: Kind, day: int, tier: str, pieces: Iterable[RollupRows], pause: Callable[[], None]
) -> BlockFile:
    """Write the file of roll-ups of a part in one tier; see `write_part`. Raises: OSError."""
    return put_block(store, f"samples-{kind}-{day}-{tier}", lambda file: write_rollup(file, kind, paced(pieces, pause)))


def _unless_empty(pieces: Iterable[_Piece]) -> Iterator[_Piece] | None:
    """The pieces, or None where there is none: no file is written for nothing."""
    rest = iter(pieces)
    first = next(rest, None)
    return None if first is None else chain([first], rest)


@dataclass(slots=True)
class _Tally:
    """What is learned of samples while they are written: their times, and how many samples and minutes a metric has."""

    start_ns: int = 2**63 - 1
    end_ns: int = -(2**63)
    samples: dict[int, int] = field(default_factory=dict)
    minutes: dict[int, int] = field(default_factory=dict)

    def counted(self, pieces: Iterable[SampleColumns]) -> Iterator[SampleColumns]:
        """The pieces, cut where the metric changes."""
        for piece in pieces:
            for start, end in run_bounds(piece.metrics):
                part = piece.where(slice(start, end))
                self._count(part)
                yield part

    def _count(self, piece: SampleColumns) -> None:
        number = int(piece.metrics[0])
        self.start_ns = min(self.start_ns, int(piece.at_ns.min()))
        self.end_ns = max(self.end_ns, int(piece.at_ns.max()) + 1)
        self.samples[number] = self.samples.get(number, 0) + len(piece)
        is_first = first_of_runs(piece.devices, piece.at_ns // NS_PER_MINUTE)
        self.minutes[number] = self.minutes.get(number, 0) + int(is_first.sum())

    def metrics_worth_minutes(self, rolled_up: Collection[int]) -> list[int]:
        """Metrics that have much fewer minutes than samples, and those that are `rolled_up`."""
        return [
            number
            for number, minutes in self.minutes.items()
            if minutes * MINUTE_SHARE <= self.samples[number] or number in rolled_up
        ]


def _roll_up(
    history: History, file: BlockFile, kind: Kind, metrics: Sequence[int], bucket_ns: int
) -> Iterator[RollupRows]:
    """The cells of these metrics of a file of samples, in its order."""
    groups = np.flatnonzero(np.isin(history.footer(file).least["metric"], metrics)).tolist()

    def cells_of_groups() -> Iterator[RollupRows]:
        for samples in history.sample_groups(file, groups):
            buckets = samples.at_ns // bucket_ns
            is_first = first_of_runs(samples.devices, buckets)
            numbers = run_numbers(is_first)
            values = samples.values if kind == "integer" else samples.values.view(np.float64)
            cells = fold_samples(numbers, values, samples.at_ns, count=int(numbers[-1]) + 1)
            starts_ns = buckets[is_first] * bucket_ns
            yield RollupRows(int(samples.metrics[0]), samples.devices[is_first], starts_ns, cells)

    return distinct_cells(cells_of_groups())


def _days_of_hours(history: History, file: BlockFile, kind: Kind) -> Iterator[RollupRows]:
    """The cells of days of a file of hours, in its order."""
    groups = range(len(history.footer(file).rows))
    return distinct_cells(
        fold_rows([replace(rows, at_ns=rows.at_ns // NS_PER_DAY * NS_PER_DAY)])
        for rows in history.rollup_groups(file, groups, kind)
    )
