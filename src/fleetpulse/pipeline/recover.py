"""Recovery: the snapshot becomes the live fleet, and the journal after it is applied.

In come the blocks of the last checkpoint and the journal. Out comes the live fleet, the same as if the journal had been
kept whole and replayed from its beginning. A crash meanwhile costs nothing: no file is changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.blocks.counted import Minutes, read_counted, recount
from fleetpulse.blocks.history import History
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.journal.event_reader import read_events
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventColumns, Position
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.readiness import ReplayProgress

log = structlog.get_logger("recover")
APPLY_AT_EVENTS = 65_536
"""Events that are gathered before they are applied together: many small entries then cost about as a large one."""


def load_snapshot(fleet: Fleet, history: History) -> None:
    """Restore the fleet of the last checkpoint.

    Raises: DamagedData: the snapshot or an open day is missing, or not as it was written.
    """
    manifest = history.manifest
    if manifest.snapshot is None:
        return
    columns = history.read_snapshot(manifest.snapshot)
    counted = counted_since(history, columns)
    fleet.restore(
        {**columns, **_latest_of_older_version(columns, manifest)},
        open_from_day=manifest.open_from_day,
        alive_at_ns=manifest.alive_at_ns,
        blind_ns=manifest.blind_ns,
        leaps=manifest.leaps,
    )
    fleet.catalog_version = manifest.catalog_version
    fleet.add_closed_minutes(*counted)
    for day, (devices, rows) in history.open_chunks():
        fleet.restore_presence(day, devices=devices, rows=rows)


def counted_since(history: History, columns: Mapping[str, NDArray[Any]]) -> Minutes:
    """The minutes that compaction has counted since the snapshot; where their file is lost, anew.

    Args: columns: those of the snapshot, `closed_minutes` int32, shape (devices,).
    Raises: DamagedData: neither can be told.
    """
    return counted_of(history, history.manifest, lambda: columns)


def counted_of(history: History, manifest: Manifest, columns: Callable[[], Mapping[str, NDArray[Any]]]) -> Minutes:
    """The same of any manifest; `columns` gives those of its snapshot, as above: int32, shape (devices,)."""
    try:
        return read_counted(history, manifest)
    except Unreadable:
        raise
    except DamagedData as error:
        found = recount(history, manifest, columns()["closed_minutes"])
        log.warning("minutes of closed days were counted anew from their blocks", because=str(error))
        return found


def _latest_of_older_version(columns: Mapping[str, NDArray[Any]], manifest: Manifest) -> dict[str, NDArray[np.int64]]:
    """The latest sent_at of samples, where the snapshot of an older version does not have it: that of all devices."""
    if columns["latest_sample_ns"].any() or columns["latest_upload_ns"].any():
        return {}
    until_ns = max((block.end_ns for block in manifest.samples), default=0)
    has_samples = {"latest_upload_ns": columns["uploads"] > 0, "latest_sample_ns": columns["other_samples"] > 0}
    return {name: np.where(found, until_ns, 0) for name, found in has_samples.items()}


def mark_the_end(fleet: Fleet, journal: Journal, manifest: Manifest, *, metrics_count: int, now_ns: int) -> Position:
    """What the journal tells without the snapshot: the last position, when the service last ran, and leaps.

    The journal is applied to a fleet that is thrown away, so it is checked as by `replay`, with the same errors.
    """
    scratch = Fleet(policy=fleet.policies.latest[0])
    scratch.resize(fleet.count)
    scratch.open_from_day, scratch.alive_at_ns = manifest.open_from_day, manifest.alive_at_ns
    scratch.blind_ns, scratch.leaps = list(manifest.blind_ns), manifest.leaps
    scratch.advance(now_ns)
    position = replay(
        scratch,
        journal,
        after=manifest.position,
        metrics_count=metrics_count,
        progress=ReplayProgress(),
        advanced=lambda: None,
    )
    fleet.alive_at_ns, fleet.blind_ns, fleet.leaps = scratch.alive_at_ns, scratch.blind_ns, scratch.leaps
    return position


def log_missing_blocks(history: History) -> None:
    """Log which blocks are missing. The service starts all the same: answers name the days that they lack."""
    try:
        missing = history.missing_files()
    except OSError as error:
        log.error(
            "blocks cannot be listed; answers lack what cannot be read",
            error=str(error),
            todo="see that the store can be reached",
        )
        return
    if missing:
        log.error(
            "blocks are missing", blocks=sorted(missing), todo="run `fleetpulse verify`, restore them from a copy"
        )


def replay(
    fleet: Fleet,
    journal: Journal,
    *,
    after: Position,
    metrics_count: int,
    progress: ReplayProgress,
    advanced: Callable[[], None],
) -> Position:
    """Apply the journal after `after`; returns the position reached. `advanced` is called as `progress` moves on.

    Raises: DamagedData: an entry is damaged or missing, it speaks of devices or metrics that the catalog does not know,
    or the journal ends before the snapshot does.
    """
    progress.until = journal.last_position()
    position = after
    pending: list[EventColumns] = []
    pending_events = 0
    for position, events in read_events(journal, after=after, device_count=fleet.count, metric_count=metrics_count):
        pending.append(events)
        pending_events += len(events)
        if pending_events >= APPLY_AT_EVENTS:
            fleet.apply(pending)
            progress.position, progress.events = position, progress.events + pending_events
            pending, pending_events = [], 0
            advanced()
    fleet.apply(pending)
    progress.position, progress.events = position, progress.events + pending_events
    return position
