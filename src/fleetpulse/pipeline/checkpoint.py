"""The checkpoint: the live fleet at a journal position becomes files, and the journal before it is dropped.

In comes the frozen live fleet. Out come files, and the manifest that names them. The steps, of which `housekeeping`
takes those outside of this module:

1  on the loop      apply all, freeze                                  crash: nothing has happened
2  thread files     write blocks of closed days, late data, gaps       crash: files that no manifest names,
                    and of samples, those left out that repeat                removed later
                    others; and the presence of open days
                    write the names of devices and metrics that
                    have changed; thread catalog reads them
3                   write the snapshot                                 crash: the same
4  thread catalog   one transaction names files and position           crash: the old checkpoint, or the new one
5  on the loop      the closed days leave memory
6  thread journal   drop the journal up to the position, in pieces     crash: events are in blocks and in the journal;
                                                                              replay starts after the position
7  thread files     remove files that the manifest no longer names
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.file_checks import raise_if_away
from fleetpulse.blocks.forget import Cuts, days_to_cut, late_without, without_samples
from fleetpulse.blocks.forget_gaps import without_beats
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import LateRows, distinct_late, join_late
from fleetpulse.blocks.names import ROWS_AT_ONCE, NamedDevice, NamedMetric, put_devices, put_metrics
from fleetpulse.blocks.presence_merge import merge_presence
from fleetpulse.blocks.sample_repeats import Compared, Comparison
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog, DeviceRecord
from fleetpulse.errors import DamagedData
from fleetpulse.live.beat_gaps import settle
from fleetpulse.live.figures import settle_uploads
from fleetpulse.live.frozen import ClosingData, FrozenFleet
from fleetpulse.model.events import Position
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest, SampleBlock, closed_days
from fleetpulse.model.metric import UPLOAD_TIME, MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY

log = structlog.get_logger("checkpoint")
NEW_DAYS_MAX = 4
"""Days of late data that have no block yet are written as blocks of their own, if they are so few: after a pause of the
service of a few days, and of a young service. No other block is read for it."""


def _call(work: Callable[[], Any]) -> Any:
    return work()


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class WrittenCheckpoint:
    """A checkpoint whose files are durable, and which the catalog does not know yet.

    `closed_minutes`, int32, shape (devices,): minutes present that the blocks of closed days hold.
    """

    manifest: Manifest
    closed_minutes: NDArray[np.int32]
    new_uploads: SampleColumns
    """Those of the doubtful upload times that repeat no other."""
    samples_repeated: int
    samples_uncompared: int
    """See `Compared`."""


def write_files(
    frozen: FrozenFleet,
    *,
    position: Position,
    taken_at_ns: int,
    today: int | None = None,
    history: History,
    metrics: Mapping[int, MetricDefinition],
    names: Mapping[str, BlockFile],
    pause: Callable[[], None],
) -> WrittenCheckpoint:
    """Steps 2 and 3. `names` are the files of `write_names`, those that have changed; `pause` is called between chunks.

    Args:
        today: the day now, since 1970-01-01 UTC; None: it is not certain, so no sample is too old to be compared.
        metrics: definitions by number, as samples are kept by them now.
    Raises: OSError; DamagedData: a block that would be made anew is damaged. Nothing is named; the next begins anew.
    """
    files = CheckpointFiles(history, position=position, device_count=frozen.count, pause=pause)
    before, closing = history.manifest, frozen.closing
    closed_minutes = frozen.columns["closed_minutes"].astype(np.int32)
    presence = closed_days(before)
    cuts = cuts_of(frozen.forgotten)
    late = _put_closed_days(
        files, history, closing, cuts, presence=presence, minutes=closed_minutes, today=taken_at_ns // NS_PER_DAY
    )
    for day in sorted({*frozen.open_dense, *frozen.open_sparse.days}):
        presence[day] = files.put_open_day(
            day, dense=frozen.open_dense.get(day), sparse=[frozen.open_sparse.of(day).chunks()]
        )
    gaps = files.put_gaps(closing.gaps, closing.corrections)
    beats = _put_beats(history, frozen, position=position, pause=pause)
    cut = replace(before, samples=tuple(_without(history, before.samples, cuts, pause)))
    comparison = Comparison(closing.samples, history, cut, metrics, today or 0, pause=pause)
    compared, is_distinct = _compare(comparison, closing.doubtful)
    fresh = files.put_samples([*closing.samples, compared.new], metrics, is_distinct=is_distinct)
    new_uploads = compared.new.where(compared.new.metrics == UPLOAD_TIME)
    settle_uploads(frozen.columns, new_uploads)
    snapshot = files.put_snapshot({**frozen.columns, "closed_minutes": closed_minutes})
    manifest = Manifest(
        position=position,
        open_from_day=frozen.open_from_day,
        taken_at_ns=taken_at_ns,
        alive_at_ns=frozen.alive_at_ns,
        blind_ns=tuple(frozen.blind_ns),
        leaps=frozen.leaps,
        snapshot=snapshot,
        presence=presence,
        gaps=gaps,
        samples=(*cut.samples, *fresh),
        late=late,
        names={**before.names, **names},
        expired=before.expired,
        beat_gaps=beats.beat_gaps,
        covers=beats.covers,
        backfill=beats.backfill,
        beats_exact_from_ns=before.beats_exact_from_ns,
        catalog_version=frozen.catalog_version,
    )
    return WrittenCheckpoint(manifest, closed_minutes, new_uploads, compared.repeated, compared.uncompared)


def _put_beats(history: History, frozen: FrozenFleet, *, position: Position, pause: Callable[[], None]) -> Manifest:
    """Write gaps between beats, and the late beats that may lie in gaps of before.

    Returns: the manifest of before with the files of both, and with none of what was forgotten.
    """
    cuts = frozen.first_kept_ns
    gaps, late = settle(frozen.closing.beats, frozen.policies.is_kept, forgotten=cuts)
    before = history.manifest
    if cuts:
        note = partial(_note_damage, history)
        before = without_beats(history, before, cuts, backfill=late, pause=pause, on_damage=note)
    files = CheckpointFiles(history, position=position, device_count=frozen.count, pause=pause, manifest=before)
    beat_gaps = files.put_beat_gaps([gaps])
    backfill = files.put_backfill([late], last_day=max(beat_gaps, default=-1))
    return replace(before, beat_gaps=beat_gaps, backfill=backfill)


def _compare(comparison: Comparison, doubtful: Sequence[SampleColumns]) -> tuple[Compared, bool]:
    """Compare late samples; and whether all blocks could be read. What a lost block may hold counts as new."""
    damage: list[DamagedData] = []
    compared = replace(comparison, on_damage=damage.append).compare(doubtful)
    for error in damage:
        raise_if_away(comparison.history.store, error)
        log.error("late samples could not be compared with a block", error=str(error), todo="run `fleetpulse verify`")
    return compared, not damage


def cuts_of(forgotten: Sequence[Forgotten]) -> Cuts:
    """From when on what a device sent stays, by its number."""
    return {one.device: max(other.before_ns for other in forgotten if other.device == one.device) for one in forgotten}


def _note_damage(history: History, _day: int, error: DamagedData) -> None:
    raise_if_away(history.store, error)
    log.error("a damaged block keeps what was to be forgotten", error=str(error), todo="run `fleetpulse verify`")


def _put_closed_days(
    files: CheckpointFiles,
    history: History,
    closing: ClosingData,
    cuts: Cuts,
    *,
    presence: dict[int, BlockFile],
    minutes: NDArray[np.int32],
    today: int,
) -> tuple[LateBlock, ...]:
    """Write the days that close now, and what came in for others; returns the late blocks.

    A day that is closed for the first time is all in memory. What comes in for a day afterwards does not touch the
    day's block: a checkpoint costs the same however many days late data is about, and whatever state they are in.

    Args: presence, minutes (int32, shape (devices,)): those of the closed days; changed in place.
    """
    # A damaged day stays as it is: a checkpoint must not fail for ever because something in it is to be forgotten.
    for day in days_to_cut(history, history.manifest, cuts, partial(_note_damage, history)) if cuts else ():
        presence[day] = files.put_closed_day(day, dense=None, closed_minutes=minutes, cuts=cuts)
    closing_now = [day for day in sorted(closing.dense) if not history.has_closed(day)]
    never_closed = [day for day in closing.sparse.days if day not in closing.dense and not history.has_closed(day)]
    if len(never_closed) <= NEW_DAYS_MAX:
        closing_now += never_closed
    for day in closing_now:
        presence[day] = files.put_closed_day(
            day, dense=closing.dense.get(day), sparse=[closing.sparse.of(day).chunks()], closed_minutes=minutes
        )
    late_blocks = list(_late_without(history, files, cuts)) if cuts else list(history.manifest.late)
    late = late_rows(closing, len(minutes), leaving_out=closing_now)
    if len(late.days):
        late_blocks.append(files.put_late(late, written_day=today))
    return tuple(late_blocks)


def late_rows(closing: ClosingData, device_count: int, *, leaving_out: Sequence[int]) -> LateRows:
    """The presence that came in for days that have a block already, or never were open here."""
    pieces: list[LateRows] = []
    for day in closing.sparse.days:
        if day not in leaving_out:
            devices, rows = closing.sparse.of(day).all_rows()
            pieces.append(LateRows(np.full(len(devices), day, np.int32), devices, rows))
    for day, dense in closing.dense.items():
        if day not in leaving_out:
            for devices, rows in merge_presence(device_count, dense=[dense]):
                pieces.append(LateRows(np.full(len(devices), day, np.int32), devices, rows))
    late = distinct_late(join_late(pieces))
    return late.where(np.flatnonzero(late.rows.any(axis=1)))  # rows that were forgotten are empty


def _late_without(history: History, files: CheckpointFiles, cuts: Cuts) -> Iterator[LateBlock]:
    """The late blocks without what was forgotten of them. A damaged one stays as it is."""
    for block in history.manifest.late:
        kept: LateBlock | None = block
        try:
            late = late_without(history, history.manifest, block, cuts)
        except DamagedData as error:
            _note_damage(history, 0, error)
        else:
            if late is not None:
                kept = files.put_late(late, written_day=block.written_day) if len(late.days) else None
        if kept is not None:
            yield kept


def _without(
    history: History, blocks: Sequence[SampleBlock], cuts: Cuts, pause: Callable[[], None]
) -> Iterator[SampleBlock]:
    """The blocks without what was forgotten of them. A damaged one stays as it is.

    Late samples are compared with these: what was forgotten may be sent again, and is then no repeat of itself.
    """
    for block in blocks:
        kept: SampleBlock | None = block
        if cuts:
            try:
                kept = without_samples(history, block, cuts, pause=pause)
            except DamagedData as error:
                _note_damage(history, 0, error)
        if kept is not None:
            yield kept


def sound_names(history: History) -> dict[str, BlockFile]:
    """The files of names that are as they were written; the others are set aside.

    No question reads them, so that nobody else would notice. Those of a remote store are not fetched for it.
    """
    sound = {}
    for kind, file in history.manifest.names.items():
        try:
            if not history.store.is_remote:
                history.check(file)
        except DamagedData as error:
            log.warning("names are written anew from the catalog by the next checkpoint", because=str(error))
        else:
            sound[kind] = file
    return sound


def _records(catalog: Catalog, numbers: range) -> list[DeviceRecord]:
    return list(catalog.records(numbers))


def write_names(
    store: BlockStore,
    catalog: Catalog,
    *,
    position: Position,
    known: Mapping[str, BlockFile] | None = None,
    check: Callable[[], None] = _nothing,
    run: Callable[[Callable[[], Any]], Any] = _call,
) -> dict[str, BlockFile]:
    """The names of all devices and metrics of the catalog as blocks. Raises: OSError.

    Args:
        known: the files so far: that of devices is not written again where no device has changed since, as is usual
            in the first checkpoint of a process; of a million devices it takes some seconds.
        check: called every few thousand devices; what it raises ends the work.
        run: calls the catalog, a few thousand devices at a time, where others may call it in between.
    """
    declared = run(catalog.declared)  # read before the devices, so that these are never older than it
    stem = f"devices-v{declared.version:x}-{declared.changed_at_ns:x}-"
    metrics = put_metrics(store, position=position, metrics=[NamedMetric(*row) for row in run(catalog.metrics)])
    if known and "devices" in known and known["devices"].name.startswith(stem):
        return {"metrics": metrics}

    def devices() -> Iterator[NamedDevice]:
        count = run(catalog.device_count)
        for start in range(0, count, ROWS_AT_ONCE):
            check()
            numbers = range(start, min(start + ROWS_AT_ONCE, count))
            for record in run(partial(_records, catalog, numbers)):
                spans, own = record.deletions, (record.policies, record.is_undeclared)
                yield NamedDevice(record.number, record.device, record.is_deleted, record.created_at_ns, spans, *own)

    defaults = run(catalog.policies.defaults)
    put = put_devices(store, stem=f"{stem}{position}", devices=devices(), defaults=defaults)
    return {"metrics": metrics, "devices": put}
