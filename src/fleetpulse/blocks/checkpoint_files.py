"""The files that a checkpoint writes.

In come the figures of the live fleet at a journal position, as plain columns. Out come durable files that no manifest
names yet: after a crash they do not count, and are removed later.

    presence-<day>-…     a closed day: what its block held, and what came in since
    open-<day>-…         a day of which heartbeats are still expected; the next checkpoint replaces it
    silences-<day>-…     the reception gaps that ended in a day, those of earlier checkpoints included
    samples-<kind>-…     the samples since the last checkpoint, of any days
    snapshot-…           the columns of the live fleet

The position follows in each name, and then the time of writing; no code reads either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.clock_correction import correct_gaps
from fleetpulse.aggregate.presence import Rows
from fleetpulse.blocks.forget import Cuts, without_minutes
from fleetpulse.blocks.history import History
from fleetpulse.blocks.pacing import paced
from fleetpulse.blocks.presence import Chunk, write_presence
from fleetpulse.blocks.presence_merge import counted, merge_presence
from fleetpulse.blocks.reception_gaps import sort_gaps, write_gaps
from fleetpulse.blocks.samples import sort_samples, write_samples
from fleetpulse.blocks.snapshot import write_snapshot
from fleetpulse.blocks.store import put_block
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import RAW, BlockFile, SampleBlock
from fleetpulse.model.metric import KINDS, Kind, MetricDefinition
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.server_clock import ClockCorrection
from fleetpulse.model.units import NS_PER_DAY

_NO_CUTS: Cuts = {}


class CheckpointFiles:
    """Writes the files of one checkpoint. Every method blocks, and raises OSError: the disk is full or failing."""

    def __init__(self, history: History, *, position: Position, device_count: int, pause: Callable[[], None]) -> None:
        """`history` holds the blocks of the last checkpoint; `pause` is called between chunks of devices."""
        self._history = history
        self._position = position
        self._device_count = device_count
        self._pause = pause

    def put_closed_day(
        self,
        day: int,
        *,
        dense: Rows | None,
        sparse: Sequence[Chunk] = (),
        closed_minutes: NDArray[np.int32],
        cuts: Cuts = _NO_CUTS,
    ) -> BlockFile:
        """Write a closed day: the union of its block, where it has one already, with the rows given.

        Args:
            day: since 1970-01-01 UTC.
            dense: shape (devices, 23), row i being that of device i; None where there is none.
            sparse: device numbers, ascending, with their rows.
            closed_minutes: int32, shape (device_count,); changed in place as the minutes of the block change.
            cuts: what to leave out of what the block held.
        Raises: DamagedData: the block that is there is not as it was written.
        """
        merged = merge_presence(
            self._device_count,
            stored=without_minutes(counted(self._history.chunks(day), closed_minutes, sign=-1), day, cuts),
            dense=[] if dense is None else [dense],
            sparse=sparse,
        )
        return self._put_presence(f"presence-{day}", counted(merged, closed_minutes, sign=1))

    def put_open_day(self, day: int, *, dense: Rows | None, sparse: Sequence[Chunk] = ()) -> BlockFile:
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
    ) -> dict[int, BlockFile]:
        """Write the days in which these reception gaps ended: what their blocks held, corrected, and the new gaps.

        Returns: the files of all days, by day: those that nothing changed are as they were.
        Raises: DamagedData: a block that is there is not as it was written.
        """
        files = dict(self._history.manifest.gaps)
        gaps = join_gaps(list(pieces))
        if corrections:
            first = min(correction.since_ns for correction in corrections) // NS_PER_DAY
            stored = [self._history.read_gaps(files.pop(day)) for day in sorted(files) if day >= first]
            gaps = join_gaps([*(correct_gaps(piece, corrections) for piece in stored), gaps])
        days = gaps.end_ns // NS_PER_DAY
        for day in np.unique(days).tolist():
            files[day] = self._put_gaps_of_day(day, gaps.where(days == day), files.get(day))
        return files

    def _put_gaps_of_day(self, day: int, gaps: ReceptionGapColumns, stored: BlockFile | None) -> BlockFile:
        merged = sort_gaps(join_gaps([self._history.read_gaps(stored), gaps] if stored else [gaps]))
        return self._put(f"silences-{day}", lambda file: write_gaps(file, [merged]))

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


def _write_samples(file: BinaryIO, *, kind: Kind, samples: SampleColumns) -> None:
    write_samples(file, kind, [samples])
