"""The files that a checkpoint writes.

In come the figures of the live fleet at a journal position, as plain columns. Out come durable files that no manifest
names yet: after a crash they do not count, and are removed later.

    presence-<day>-…     a closed day
    late-days-…          presence that came in for days that were closed before, of any of them: sorted by day, …
    late-devices-…       … and the same rows sorted by device
    open-<day>-…         a day of which heartbeats are still expected; the next checkpoint replaces it
    silences-<day>-…     the reception gaps that ended in a day, and in no earlier checkpoint
    gaps-<day>-…         the same of gaps between beats, by the clocks of devices
    backfill-…           what late beats cover, perhaps of beat gaps in files of any days
    samples-<kind>-…     the samples since the last checkpoint, of any days
    snapshot-…           the columns of the live fleet

The position follows in each name, and then the time of writing; no code reads either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.aggregate.clock_correction import correct_gaps
from fleetpulse.aggregate.presence import Chunk, RowsOfDay
from fleetpulse.blocks.file_checks import raise_if_away
from fleetpulse.blocks.forget import Cuts, without_minutes
from fleetpulse.blocks.gap_rows import BACKFILL, BEATS, RECEPTION, GapLayout, sorted_pieces, write_gaps
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import BY_DAY, BY_DEVICE, LateRows, write_late
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.presence import write_presence
from fleetpulse.blocks.presence_merge import counted, merge_presence
from fleetpulse.blocks.samples import sort_samples, write_samples
from fleetpulse.blocks.snapshot import write_snapshot
from fleetpulse.blocks.store import put_block
from fleetpulse.blocks.stored_gaps import count_gaps, gaps_of_file
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.device_spans import DeviceSpans, Spans
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import RAW, BackfillFile, BlockFile, GapFile, LateBlock, Manifest, SampleBlock
from fleetpulse.model.metric import KINDS, Kind, MetricDefinition
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_DAY

log = structlog.get_logger("checkpoint")
_NO_CUTS: Cuts = {}
BEAT_GAP_DAYS_MAX = 3
"""Files of gaps between beats that a checkpoint writes at most."""


class CheckpointFiles:
    """Writes the files of one checkpoint. Every method blocks, and raises OSError: the disk is full or failing."""

    def __init__(
        self,
        history: History,
        *,
        position: Position,
        device_count: int,
        pause: Callable[[], None],
        manifest: Manifest | None = None,
    ) -> None:
        """`history` holds the blocks of the last checkpoint, or of `manifest`; `pause` is called between chunks."""
        self._history = history
        self._manifest = history.manifest if manifest is None else manifest
        self._position = position
        self._device_count = device_count
        self._pause = pause

    def put_closed_day(
        self,
        day: int,
        *,
        dense: RowsOfDay | None,
        sparse: Sequence[Iterable[Chunk]] = (),
        closed_minutes: NDArray[np.int32],
        cuts: Cuts = _NO_CUTS,
    ) -> BlockFile:
        """Write a closed day: the union of its block, where it has one already, with the rows given.

        Args:
            day: since 1970-01-01 UTC.
            dense: the row i of device i; None where there is none.
            sparse: of each source its chunks, ascending.
            closed_minutes: int32, shape (device_count,); changed in place as the minutes of the block change.
            cuts: what to leave out of what the block held.
        Raises: DamagedData: the block that is there is not as it was written.
        """
        merged = merge_presence(
            self._device_count,
            stored=without_minutes(
                counted(self._history.chunks(day, manifest=self._manifest), closed_minutes, sign=-1), day, cuts
            ),
            dense=[] if dense is None else [dense],
            sparse=sparse,
        )
        return self._put_presence(f"presence-{day}", counted(merged, closed_minutes, sign=1))

    def put_late(self, late: LateRows, *, written_day: int) -> LateBlock:
        """Write presence of closed days, of any of them, as one late block. No other block is read."""
        by_day, by_device = (
            self._put(stem, partial(write_late, late=late, is_by_day=stem == BY_DAY, pause=self._pause))
            for stem in (BY_DAY, BY_DEVICE)
        )
        return LateBlock(by_day, by_device, Days.of(late.days.tolist()), written_day)

    def put_open_day(self, day: int, *, dense: RowsOfDay | None, sparse: Sequence[Iterable[Chunk]] = ()) -> BlockFile:
        """Write an open day. Args: as for `put_closed_day`; the rows are read while they are written.

        Marks that are made meanwhile may be in the file although they are newer than the position: replaying a mark a
        second time changes nothing.
        """
        merged = merge_presence(self._device_count, dense=[] if dense is None else [dense], sparse=sparse)
        return self._put_presence(f"open-{day}", merged)

    def _put_presence(self, stem: str, chunks: Iterable[Chunk]) -> BlockFile:
        paced_chunks = paced(chunks, self._pause)
        return self._put(stem, lambda file: write_presence(file, paced_chunks))

    def put_gaps(
        self, pieces: Sequence[ReceptionGapColumns], corrections: Sequence[ClockCorrection] = ()
    ) -> dict[int, tuple[GapFile, ...]]:
        """Write new reception gaps, a file for each day in which some ended, and correct those that blocks hold.

        Without corrections no file is read, so the cost does not depend on how many gaps a day has already.
        Returns: the files of all days, by day.
        A damaged file stays as it is, uncorrected.
        """
        return self._with_new(RECEPTION, self._corrected_gaps(corrections), pieces)

    def put_beat_gaps(self, pieces: Sequence[DeviceSpans]) -> dict[int, tuple[GapFile, ...]]:
        """Write new gaps between beats, a file for each day in which some ended. No file is read.

        A backlog of years may have gaps in each of its days, and each file costs time. So those of all days but the
        latest few are in the file of a later day.
        Returns: the files of all days, by day.
        """
        return self._with_new(BEATS, dict(self._manifest.beat_gaps), pieces, days_max=BEAT_GAP_DAYS_MAX)

    def put_backfill(self, pieces: Sequence[DeviceSpans], *, last_day: int) -> tuple[BackfillFile, ...]:
        """Write what late beats cover, and may cover of stored beat gaps, as one file. No file is read.

        Args: last_day: the last day of which there are beat gaps in files, -1 where there is none.
        Returns: the files of all backfill. There is no new one where none of these spans can touch a stored gap.
        """
        before = self._manifest.backfill
        # A gap that ended before all these spans began is touched by none of them.
        start_day = min((int(piece.start_ns.min()) // NS_PER_DAY for piece in pieces if len(piece)), default=2**31)
        if start_day > last_day:
            return before
        file = self._put_gaps(BACKFILL, BACKFILL.stem, sorted_pieces(BACKFILL, pieces), sum(map(len, pieces)))
        new = BackfillFile(file.name, file.size_bytes, file.sha256, start_day=start_day, end_day=last_day + 1)
        return (*before, new)

    def _with_new(
        self,
        layout: GapLayout[Spans],
        files: dict[int, tuple[GapFile, ...]],
        pieces: Sequence[Spans],
        *,
        days_max: int | None = None,
    ) -> dict[int, tuple[GapFile, ...]]:
        """The files of all days, by day, with a further one for each day in which some of these gaps ended."""
        for day, of_day in by_day(pieces, days_max=days_max):
            rows = sum(map(len, of_day))
            put = self._put_gaps(layout, f"{layout.stem}-{day}", sorted_pieces(layout, of_day), rows)
            files[day] = (*files.get(day, ()), put)
        return files

    def _corrected_gaps(self, corrections: Sequence[ClockCorrection]) -> dict[int, tuple[GapFile, ...]]:
        """The files of the manifest; those of days that the wrong time may have touched are written anew."""
        stored = self._history.manifest.gaps
        first = min((correction.since_ns // NS_PER_DAY for correction in corrections), default=2**63)
        files = {day: kept for day, kept in stored.items() if day < first}
        for day in sorted(stored.keys() - files.keys()):
            for file in stored[day]:
                try:
                    self._history.check(file)
                except DamagedData as error:
                    raise_if_away(self._history.store, error)
                    # A damaged file must not be rewritten, since it would look sound; and it must keep neither this
                    # checkpoint nor any later one from being taken.
                    log.error("reception gaps of a damaged block are not corrected", error=str(error))
                    files[day] = (*files.get(day, ()), file)
                    continue
                corrected = partial(self._corrected, file, corrections)
                rows = count_gaps(self._history, RECEPTION, file)
                # A correction moves ends to its own day, and leaves the order by device and start as it is.
                days = {int(end_day) for piece in corrected() for end_day in np.unique(piece.end_ns // NS_PER_DAY)}
                for end_day in sorted(days):
                    of_day = (piece.where(piece.end_ns // NS_PER_DAY == end_day) for piece in corrected())
                    written = replace(
                        self._put_gaps(RECEPTION, f"{RECEPTION.stem}-{end_day}", of_day, rows),
                        first_device=file.first_device,
                        end_device=file.end_device,
                        sequence=file.sequence if end_day == day else 0,
                    )
                    files[end_day] = (*files.get(end_day, ()), written)
        return files

    def _corrected(self, file: GapFile, corrections: Sequence[ClockCorrection]) -> Iterator[ReceptionGapColumns]:
        return (correct_gaps(piece, corrections) for piece in gaps_of_file(self._history, RECEPTION, file))

    def _put_gaps(self, layout: GapLayout[Spans], stem: str, pieces: Iterable[Spans], rows: int) -> GapFile:
        paced_pieces = paced(pieces, self._pause)
        return GapFile.of(self._put(stem, lambda file: write_gaps(file, layout, paced_pieces, rows=rows)))

    def put_samples(
        self, pieces: Sequence[SampleColumns], metrics: Mapping[int, MetricDefinition], *, is_distinct: bool
    ) -> list[SampleBlock]:
        """Write samples in any order as fresh blocks, one for each kind of value that there is.

        Args:
            metrics: definitions by number, for the numbers 0, 1, 2, … without gaps.
            is_distinct: whether no sample is among them twice, or in a block already.
        """
        samples = join_samples(list(pieces))
        is_integer = np.array([metrics[number].kind == "integer" for number in range(len(metrics))], bool)
        blocks: list[SampleBlock] = []
        for kind in KINDS:
            chosen = sort_samples(samples.where(is_integer[samples.metrics] == (kind == "integer")))
            if len(chosen):
                file = self._put(f"samples-{kind}", partial(_write_samples, kind=kind, samples=chosen))
                start_ns, end_ns = int(chosen.at_ns.min()), int(chosen.at_ns.max()) + 1
                blocks.append(SampleBlock(kind, None, start_ns, end_ns, len(chosen), {RAW: file}, is_distinct))
        return blocks

    def put_snapshot(self, columns: Mapping[str, NDArray[np.generic]]) -> BlockFile:
        """Write the columns of the live fleet by name, each of shape (device_count,); dtypes: see `snapshot`."""
        return self._put("snapshot", lambda file: write_snapshot(file, columns))

    def _put(self, stem: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        return put_block(self._history.store, f"{stem}-{self._position}", write)


def by_day(pieces: Sequence[Spans], *, days_max: int | None = None) -> Iterator[tuple[int, list[Spans]]]:
    """The UTC days in which gaps ended, ascending, each with its gaps, in pieces as they came.

    Args: days_max: where there are more days, the first of the latest so many has also the gaps of all earlier ones.
    """
    days = sorted({int(day) for piece in pieces for day in np.unique(piece.end_ns // NS_PER_DAY)})
    days = days if days_max is None else days[-days_max:]
    if len(days) == 1:
        yield days[0], list(pieces)
        return
    ends = [np.maximum(piece.end_ns // NS_PER_DAY, days[0]) for piece in pieces] if days else []
    for day in days:
        yield day, [piece.where(np.flatnonzero(end == day)) for piece, end in zip(pieces, ends, strict=True)]


def _write_samples(file: BinaryIO, *, kind: Kind, samples: SampleColumns) -> None:
    write_samples(file, kind, [samples])
