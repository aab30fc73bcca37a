"""The checkpoint: the live fleet at a journal position becomes files, and the journal before it is dropped.

1  on the loop    apply all, freeze                                     crash: nothing has happened
2  in a thread    write blocks of closed days, of silences and of       crash: files nobody names, removed later
                  samples, presence of open days
3                 write the snapshot                                    crash: the same
4                 one catalog transaction names them and the position   crash before: the old checkpoint; after: the new
5  on the loop    the closed days leave memory
6  journal thread drop the journal up to the position, piece by piece   crash: entries are there twice over, and replay
                                                                        starts after the position all the same
7  in a thread    remove files no longer named
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows
from fleetpulse.blocks.history import History
from fleetpulse.blocks.names import write_devices, write_metrics
from fleetpulse.blocks.presence import Chunk, write_presence
from fleetpulse.blocks.presence_merge import counted, merge_presence
from fleetpulse.blocks.reception_gaps import sort_gaps, write_gaps
from fleetpulse.blocks.samples import sort_samples, write_samples
from fleetpulse.blocks.snapshot import write_snapshot
from fleetpulse.blocks.store import BlockStore, put_block
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.live.frozen import FrozenFleet
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import RAW, BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import KINDS, MetricDefinition
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_DAY


@dataclass(frozen=True, slots=True)
class Written:
    """A checkpoint whose files are durable and not yet named."""

    manifest: Manifest
    closed_minutes: NDArray[np.int32]


def write_files(
    frozen: FrozenFleet,
    *,
    position: Position,
    taken_at_ns: int,
    history: History,
    metrics: Mapping[int, MetricDefinition],
    names: Mapping[str, BlockFile],
    pause: Callable[[], None],
) -> Written:
    """Steps 2 and 3. `pause` is called between chunks, so that the loop gets its turn.

    Raises: OSError: the disk is full or failing; nothing is named, and the next checkpoint begins anew.
    """
    store = history.store
    closed = frozen.columns["closed_minutes"].astype(np.int32)
    presence = {day: file for day, file in history.manifest.presence.items() if day < history.manifest.open_from_day}
    for day in frozen.closing.days:
        # The minutes that the merge brings beyond the block that was there.
        merged = merge_presence(
            frozen.count,
            stored=counted(history.chunks(day), closed, sign=-1),
            dense=_dense(frozen.closing.dense, day),
            sparse=[frozen.closing.sparse.of_day(day)],
        )
        chunks = counted(merged, closed, sign=1)
        presence[day] = put_block(
            store, f"presence-{day}-{position}", lambda file, chunks=chunks: write_presence(file, _paced(chunks, pause))
        )
    for day in sorted({*frozen.open_dense, *frozen.open_sparse.days}):
        # Copied as they are now: marks newer than the position do no harm.
        open_chunks = merge_presence(
            frozen.count, dense=_dense(frozen.open_dense, day), sparse=[frozen.open_sparse.of_day(day)]
        )
        presence[day] = put_block(
            store,
            f"open-{day}-{position}",
            lambda file, chunks=open_chunks: write_presence(file, _paced(chunks, pause)),
        )
    columns = {**frozen.columns, "closed_minutes": closed}
    gaps = _merge_gaps(frozen.closing.gaps, position, history)
    fresh = _cut_samples(frozen.closing.samples, position, store, metrics)
    snapshot = put_block(store, f"snapshot-{position}", lambda file: write_snapshot(file, columns))
    manifest = Manifest(
        position=position,
        open_from_day=frozen.open_from_day,
        taken_at_ns=taken_at_ns,
        alive_at_ns=frozen.alive_at_ns,
        blind_ns=tuple(frozen.blind_ns),
        snapshot=snapshot,
        presence=presence,
        gaps={**history.manifest.gaps, **gaps},
        samples=(*history.manifest.samples, *fresh),
        names={**history.manifest.names, **names},
    )
    return Written(manifest, closed)


def _dense(days: Mapping[int, Rows], day: int) -> list[Rows]:
    return [days[day]] if day in days else []


def write_names(store: BlockStore, catalog: Catalog, *, position: Position) -> dict[str, BlockFile]:
    """The names of all devices and metrics as blocks. On the catalog's thread. Raises: OSError."""
    devices = ((record.number, record.device, record.is_deleted) for record in catalog.records())
    metrics = [(number, metric) for number, metric, _ in catalog.metrics()]
    return {
        "devices": put_block(store, f"devices-{position}", lambda file: write_devices(file, devices)),
        "metrics": put_block(store, f"metrics-{position}", lambda file: write_metrics(file, metrics)),
    }


def _merge_gaps(pieces: list[ReceptionGapColumns], position: Position, history: History) -> dict[int, BlockFile]:
    """The blocks of the days in which silences ended since the last checkpoint: what they held, and the new ones."""
    new = join_gaps(list(pieces))  # the loop may set them right meanwhile, where its clock was ahead
    days = new.end_ns // NS_PER_DAY
    blocks: dict[int, BlockFile] = {}
    for day in np.unique(days).tolist():
        held = history.manifest.gaps.get(day)
        known = [history.read_gaps(held)] if held else []
        merged = sort_gaps(join_gaps([*known, new.where(days == day)]))
        blocks[day] = put_block(
            history.store, f"silences-{day}-{position}", lambda file, merged=merged: write_gaps(file, [merged])
        )
    return blocks


def _cut_samples(
    pieces: list[SampleColumns], position: Position, store: BlockStore, metrics: Mapping[int, MetricDefinition]
) -> list[SampleBlock]:
    """The samples since the last checkpoint as blocks, one for each kind of value."""
    samples = join_samples(pieces)
    blocks: list[SampleBlock] = []
    is_integer = np.array([metrics[number].kind == "integer" for number in range(len(metrics))], bool)
    for kind in KINDS:
        chosen = sort_samples(samples.where(is_integer[samples.metrics] == (kind == "integer")))
        if len(chosen):
            file = put_block(
                store,
                f"samples-{kind}-{position}",
                lambda file, kind=kind, chosen=chosen: write_samples(file, kind, [chosen]),
            )
            span = int(chosen.at_ns.min()), int(chosen.at_ns.max()) + 1
            blocks.append(SampleBlock(kind, None, *span, len(chosen), {RAW: file}))
    return blocks


def _paced(chunks: Iterator[Chunk], pause: Callable[[], None]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield chunk
        pause()


def remove_unnamed(store: BlockStore, in_use: Set[str]) -> int:
    """Step 7: files that the manifest does not name, and nobody reads any more, do not exist. Returns how many were removed."""
    unnamed = store.names() - in_use
    for name in unnamed:
        store.remove(name)
    return len(unnamed)
