"""Recovery: snapshot, then the journal after it. Pure replay and snapshot + replay end in the same fleet."""

from collections.abc import Callable

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.blocks.presence import read_presence
from fleetpulse.blocks.snapshot import read_snapshot
from fleetpulse.blocks.store import check_file
from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventColumns, Position
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.readiness import ReplayProgress

log = structlog.get_logger("recover")
APPLY_AT_EVENTS = 65_536


def load_snapshot(fleet: Fleet, history: History) -> None:
    """The fleet of the last checkpoint. Raises: DamagedData: a file of the manifest is missing or not as written."""
    manifest = history.manifest
    if manifest.snapshot is None:
        return
    _look_for_missing(history, manifest)
    check_file(history.store, manifest.snapshot)
    with history.store.open(manifest.snapshot.name) as reader:
        columns = read_snapshot(reader)
    fleet.restore(
        columns, open_from_day=manifest.open_from_day, alive_at_ns=manifest.alive_at_ns, blind_ns=manifest.blind_ns
    )
    for day, file in manifest.presence.items():
        if day >= manifest.open_from_day:
            check_file(history.store, file)
            with history.store.open(file.name) as reader:
                for devices, rows in read_presence(reader):
                    fleet.restore_presence(day, devices=devices, rows=rows)


def _look_for_missing(history: History, manifest: Manifest) -> None:
    """Say which blocks are gone. What they held is missing in answers, which say so; all else is right, so the service stays up."""
    try:
        missing = {file.name for file in manifest.files()} - history.store.names()
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
    """Apply the journal past `after`; returns the position reached. `advanced` is called as `progress` moves on.

    Raises: DamagedData: an entry is damaged or missing, or the journal ends before the snapshot does.
    """
    progress.until = journal.last_position()
    if progress.until < after:
        raise DamagedData(
            f"the journal ends at entry {progress.until}, before the snapshot's {after}: journal and catalog are not of one "
            "time. Restore the whole data folder from one copy."
        )
    position = after
    gathered: list[EventColumns] = []
    gathered_events = 0
    for position, body in journal.read(after=after):
        events = decode_entry(body, where=f"journal entry {position}")
        highest = max(
            (int(devices.max()) for devices in (events.heartbeat_devices, events.sample_devices) if len(devices)),
            default=-1,
        )
        metric = int(events.sample_metrics.max()) if len(events.sample_metrics) else 0
        if metric >= metrics_count:
            raise DamagedData(
                f"journal entry {position} speaks of metric number {metric}, but the catalog knows {metrics_count}: they are not "
                "of one time. Restore the whole data folder from one copy."
            )
        if highest >= fleet.count:
            raise DamagedData(
                f"journal entry {position} speaks of device number {highest}, but the catalog knows {fleet.count}: they are not "
                "of one time. Restore the whole data folder from one copy."
            )
        gathered.append(events)
        gathered_events += len(events)
        if gathered_events >= APPLY_AT_EVENTS:
            fleet.apply(gathered)
            progress.position, progress.events = position, progress.events + gathered_events
            gathered, gathered_events = [], 0
            advanced()
    fleet.apply(gathered)
    progress.position, progress.events = position, progress.events + gathered_events
    if position != progress.until:
        raise DamagedData(f"the journal says it ends at entry {progress.until}, but the last one found is {position}.")
    return position
