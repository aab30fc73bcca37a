"""Beats of a few devices that become gaps and backfill in files, checkpoint by checkpoint; and the set of these beats.

What the live fleet does between two checkpoints is done here in plain Python, beat by beat.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from fleetpulse.aggregate.beat_gaps import IsKept, divide, join_backfill
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.change import Change, apply_change
from fleetpulse.blocks.compaction.divide_gaps import divide_gap_files
from fleetpulse.blocks.compaction.merge_gaps import merge_gap_files
from fleetpulse.blocks.compaction.resolve_backfill import resolve_backfill
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.forget_gaps import without_beats
from fleetpulse.blocks.gap_rows import BEATS, COVERS
from fleetpulse.blocks.history import History, OnDamage
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.blocks.stored_gaps import ALL_DEVICES
from fleetpulse.catalog.manifest_rows import read_manifest, write_manifest
from fleetpulse.catalog.schema import migrate
from fleetpulse.errors import DamagedData
from fleetpulse.model.device_spans import NO_SPANS_OF_DEVICES, DeviceSpans, join_device_spans, sort_device_spans
from fleetpulse.model.manifest import BlockFile, Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

DAY = 20_000
KEPT_NS = 2 * NS_PER_HOUR
"""A longer stretch without a beat is a gap."""
Row = tuple[int, int, int]


def is_kept(_devices: object, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """See `IsKept`."""
    return end_ns - start_ns > KEPT_NS


IS_KEPT: IsKept = is_kept


def spans_of(rows: list[Row]) -> DeviceSpans:
    """Rows of device, start and end as columns."""
    devices, starts, ends = (np.array([row[place] for row in rows], np.int64) for place in range(3))
    return DeviceSpans(devices.astype(np.uint32), starts, ends)


def rows_of(spans: DeviceSpans) -> list[Row]:
    """The opposite."""
    return list(zip(spans.devices.tolist(), spans.start_ns.tolist(), spans.end_ns.tolist(), strict=True))


def compact_once(work: CompactionInput, manifest: Manifest, *, is_forced: bool = False) -> Change | None:
    """What compaction does with beat gaps, in small pieces."""
    return (
        merge_gap_files(work, manifest, layout=BEATS, piece_rows=3)
        or resolve_backfill(work, manifest, piece_rows=2, is_forced=is_forced)
        or merge_gap_files(work, manifest, layout=COVERS, piece_rows=3)
        or divide_gap_files(work, manifest, piece_rows=2)
    )


@dataclass
class BeatDays:
    """Two of the devices that a live fleet has, as far as gaps between beats go, and the blocks behind them."""

    history: History = field(default_factory=lambda: History(MemoryBlockStore(), Manifest()))
    beats: dict[int, set[int]] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    gap_until: dict[int, int] = field(default_factory=dict)
    gaps: list[Row] = field(default_factory=list)
    backfill: list[Row] = field(default_factory=list)
    today: int = DAY
    damaged: list[SampleBlock | BlockFile] = field(default_factory=list)
    kept: list[DamagedData] = field(default_factory=list)
    """Why files keep what was to be forgotten."""

    def beat(self, device: int, at_ns: int) -> None:
        """A beat of a device, as the live fleet takes it."""
        first, last = self.first.get(device, at_ns), self.last.get(device, at_ns)
        self.beats.setdefault(device, set()).add(at_ns)
        if at_ns > last:
            self._add_gap(device, last, at_ns)
        elif at_ns < first:
            self._add_gap(device, at_ns, first)
        elif at_ns < self.gap_until.get(device, 0):
            self.backfill.append((device, at_ns, at_ns))
        self.first[device], self.last[device] = min(first, at_ns), max(last, at_ns)

    def _add_gap(self, device: int, start_ns: int, end_ns: int) -> None:
        if end_ns - start_ns > KEPT_NS:
            self.gaps.append((device, start_ns, end_ns))
            self.gap_until[device] = max(self.gap_until.get(device, 0), end_ns)

    def live_backfill(self) -> DeviceSpans:
        """What late beats cover that no block holds."""
        return join_backfill(spans_of(self.backfill), IS_KEPT)

    def live_gaps(self) -> DeviceSpans:
        """The gaps that no block holds."""
        return divide(sort_device_spans(spans_of(self.gaps)), self.live_backfill())

    def checkpoint(self) -> None:
        """Write what is in memory."""
        files = CheckpointFiles(self.history, position=1, device_count=1, pause=lambda: None)
        gaps = self.live_gaps()
        gaps = gaps.where(is_kept(gaps.devices, gaps.start_ns, gaps.end_ns))
        beat_gaps = files.put_beat_gaps([gaps] if len(gaps) else [])
        self.history.manifest = replace(
            self.history.manifest,
            taken_at_ns=self.today * NS_PER_DAY,
            beat_gaps=beat_gaps,
            backfill=files.put_backfill([self.live_backfill()], last_day=max(beat_gaps, default=-1)),
        )
        self.gaps, self.backfill = [], []

    def compact(self, work: Callable[[CompactionInput, Manifest], Change | None] = compact_once) -> bool:
        """Do one piece of work; whether there was any."""
        change = work(
            CompactionInput(self.history, {}, 0, lambda: None, lambda file, _: self.damaged.append(file)),
            self.history.manifest,
        )
        if change is not None:
            self.history.manifest = apply_change(self.history.manifest, change)
        return change is not None

    def forget(self, device: int, before_ns: int) -> None:
        """Forget what a device sent before a time, and take a checkpoint with it; what is in memory was written before.

        As the live fleet does, except that this knows the first beat that stays, and not its minute alone.
        """
        self.checkpoint()
        kept = {at_ns for at_ns in self.beats.pop(device, ()) if at_ns >= before_ns}
        if kept:
            self.beats[device], self.first[device] = kept, min(kept)
        else:
            for column in (self.first, self.last, self.gap_until):
                column.pop(device, None)
        self.history.manifest = without_beats(
            self.history,
            self.history.manifest,
            {device: before_ns},
            backfill=NO_SPANS_OF_DEVICES,
            pause=lambda: None,
            on_damage=lambda _, error: self.kept.append(error),
        )

    def restart(self) -> None:
        """Read the manifest from a catalog, as a process does that follows one that was killed."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection)
            write_manifest(connection, self.history.manifest)
            self.history = History(self.history.store, read_manifest(connection))

    def found(self, devices: range = ALL_DEVICES, *, on_damage: OnDamage | None = None) -> list[Row]:
        """The gaps of devices that blocks and memory hold, sorted."""
        backfill = self.live_backfill()
        stored = list(
            read_beat_gaps(
                self.history,
                self.history.manifest,
                start_day=0,
                end_day=2**31,
                devices=devices,
                backfill=backfill,
                on_damage=on_damage,
            )
        )
        for piece in stored:
            assert rows_of(piece) == sorted(rows_of(piece))
        rows = rows_of(join_device_spans([*stored, self.live_gaps()]))
        return sorted(row for row in rows if row[0] in devices and row[2] - row[1] > KEPT_NS)

    def expected(self, devices: range = ALL_DEVICES) -> list[Row]:
        """The gaps of the set of all beats, sorted."""
        return [
            (device, start_ns, end_ns)
            for device, beats in sorted(self.beats.items())
            for start_ns, end_ns in zip(sorted(beats), sorted(beats)[1:], strict=False)
            if end_ns - start_ns > KEPT_NS and device in devices
        ]
