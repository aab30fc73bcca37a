"""Adopting blocks: a lost catalog is made anew from what stands beside and in the blocks, and from the journal.

In come a block store, a journal and a catalog that knows nothing. Out comes a catalog whose manifest is that of the
last checkpoint. Numbers of devices and metrics are what the blocks hold, so each gets the number that it had. Devices
and metrics that were declared after the last checkpoint have a number only in the journal: they get a name that says
so, and their events count. A crash meanwhile leaves the catalog as it was: it is one transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import structlog

from fleetpulse.blocks.file_checks import check_file
from fleetpulse.blocks.manifest_note import MANIFEST, read_manifest_note
from fleetpulse.blocks.names import (
    NamedDevice,
    NamedMetric,
    metrics_in_samples,
    read_defaults,
    read_devices,
    read_metrics,
)
from fleetpulse.blocks.owner import Owner, new_identity, read_owner
from fleetpulse.blocks.snapshot import read_snapshot
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog, DeviceRecord
from fleetpulse.errors import DamagedData, ForeignBlocks, Unreadable
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.device import Device
from fleetpulse.model.forgotten import FIELDS
from fleetpulse.model.manifest import BlockFile, Manifest, files_to_start
from fleetpulse.model.metric import Kind, MetricDefinition
from fleetpulse.model.policy_history import PolicyHistory
from fleetpulse.pipeline.losses import settle_losses

log = structlog.get_logger("adopt")
GONE = (
    "pauses, maintenance windows and rules of alerts: declare them again",
    "what the declared files said when they were last read: they are read as if for the first time",
    "retentions that were shortened and had not taken effect yet: what is in effect is the shorter one",
)
"""What only the catalog knows."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a block store holds for a new catalog."""

    manifest: Manifest
    owner: Owner | None
    missing: tuple[str, ...]
    """Files that the manifest names and the store lacks; answers will name their days as missing."""
    others: tuple[str, ...]
    """Files of the store that the manifest does not name; they stay as they are."""
    devices: int
    deleted: int
    metrics: int
    damaged: tuple[str, ...] = ()
    """What is wrong with files that a start needs, or that hold names: what they hold does not come back."""
    are_devices_named: bool = True
    unnamed_metrics: Mapping[int, Kind] = field(default_factory=dict)
    """Metrics whose names are lost with the block of names, by number, and what the blocks hold of them."""
    are_metrics_named: bool = True
    is_start_damaged: bool = False
    """Whether the snapshot, or what belongs to it, is among what is damaged."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What the journal holds after the last checkpoint."""

    is_lost: bool
    events: int = 0
    unnamed_devices: int = 0
    unnamed_metrics: int = 0


def look(store: BlockStore, note: str = MANIFEST) -> Found:
    """What a store holds, by the manifest in `note`. Changes nothing.

    Raises: ForeignBlocks: there is nothing to make a catalog from. DamagedData: what it needs first is lost. OSError.
    """
    owner, _ = read_owner(store)
    manifest = read_manifest_note(store, note)
    if manifest is None and note == MANIFEST and not store.names():
        # Nothing was ever written there: all that is left is in the journal. A new catalog has the built-in metric.
        return Found(Manifest(), owner, missing=(), others=(), devices=0, deleted=0, metrics=1)
    if manifest is None:
        raise ForeignBlocks(
            f"there is no {note} in {store.place}: no service of this version has taken a checkpoint there, so it "
            "cannot be told which of its blocks count. Restore the catalog from a copy."
        )
    if manifest.snapshot is None or "devices" not in manifest.names:
        raise ForeignBlocks(f"the last checkpoint in {store.place} holds no devices: there is nothing to adopt.")
    present = store.names()
    named = {file.name for file in manifest.files()}
    damaged: dict[str, str] = {}
    for file in (*files_to_start(manifest), *manifest.names.values()):
        try:
            check_file(store, file)
        except Unreadable:
            raise  # the store does not give it now, which says nothing about the file
        except DamagedData as error:
            damaged[file.name] = str(error)
    are_devices_named = manifest.names["devices"].name not in damaged
    if not are_devices_named and manifest.snapshot.name in damaged:
        raise DamagedData(
            f"{'; '.join(damaged.values())} Without the one and the other it is not known how many devices there were."
        )
    devices = list(_devices(store, manifest)) if are_devices_named else []
    metrics_file = manifest.names.get("metrics")
    are_metrics_named = metrics_file is None or metrics_file.name not in damaged
    unnamed = {} if are_metrics_named else _metrics_in_use(store, manifest)
    return Found(
        manifest,
        owner,
        missing=tuple(sorted(named - present - damaged.keys())),
        others=tuple(sorted(present - named)),
        devices=len(devices) if are_devices_named else _count_in_snapshot(store, manifest.snapshot),
        deleted=sum(device.is_deleted for device in devices),
        metrics=len(_metrics(store, manifest)) if are_metrics_named else max(unnamed, default=0) + 1,
        damaged=tuple(damaged.values()),
        are_devices_named=are_devices_named,
        unnamed_metrics=unnamed,
        are_metrics_named=are_metrics_named,
        is_start_damaged=any(file.name in damaged for file in files_to_start(manifest)),
    )


def _count_in_snapshot(store: BlockStore, file: BlockFile) -> int:
    with store.open(file.name) as reader:
        return len(read_snapshot(reader)["closed_minutes"])


def _metrics_in_use(store: BlockStore, manifest: Manifest) -> dict[int, Kind]:
    """The metrics that blocks of samples are about. What cannot be read of them is left out: it is lost, too."""
    found: dict[int, Kind] = {}
    for block in manifest.samples:
        for file in block.files.values():
            try:
                check_file(store, file)
                with store.open(file.name) as reader:
                    found |= dict.fromkeys(metrics_in_samples(reader), block.kind)
            except Unreadable:
                raise
            except DamagedData as error:
                log.error("a block of samples is not as it was written", error=str(error))
    return found


def look_at_tail(found: Found, journal: Journal | None) -> Tail:
    """What the journal adds to the blocks; None: there is none. Changes nothing.

    Raises: ForeignBlocks: it is the journal of another data folder. DamagedData: it cannot be read.
    """
    position = found.manifest.position
    if journal is None or (journal.identity() is None and journal.last_position() == 0):
        return Tail(is_lost=position > 0)
    if found.owner is not None and journal.identity() not in {None, found.owner.id}:
        raise ForeignBlocks(
            f"the journal belongs to data folder {journal.identity()}, and the blocks to {found.owner.id}. "
            "Move the journal away, or name the blocks that belong to it with --blocks."
        )
    if journal.last_position() < position:
        raise DamagedData(
            f"the journal ends at entry {journal.last_position()}, before the last checkpoint ({position}): it comes "
            "from an older copy. Move it away; what it holds is in the blocks."
        )
    events, devices, metrics = 0, found.devices, found.metrics
    for number, body in journal.read(after=position):
        entry = decode_entry(body, where=f"journal entry {number}")
        events += len(entry)
        for numbers in (entry.heartbeat_devices, entry.sample_devices, entry.forgotten[::FIELDS]):
            devices = max(devices, int(numbers.max()) + 1 if len(numbers) else 0)
        metrics = max(metrics, int(entry.sample_metrics.max()) + 1 if len(entry.sample_metrics) else 0)
    return Tail(
        is_lost=False, events=events, unnamed_devices=devices - found.devices, unnamed_metrics=metrics - found.metrics
    )


def check_is_empty(catalog: Catalog) -> None:
    """Raises: ForeignBlocks: the catalog knows something, which a new one must not replace."""
    if catalog.manifest().files() or catalog.device_count():
        raise ForeignBlocks(
            "the catalog of this data folder knows devices or blocks: there is nothing to adopt. Start the service; if "
            "the catalog is the wrong one, move catalog.sqlite and its -wal away first."
        )


def adopt(found: Found, tail: Tail, store: BlockStore, *, journal: Journal, catalog: Catalog, now_ns: int) -> str:
    """Make the catalog from what was found; returns the id of the data folder.

    Raises: ForeignBlocks: the catalog is not empty. OSError; DatabaseBusy.
    """
    check_is_empty(catalog)
    manifest = found.manifest
    identity = found.owner.id if found.owner else journal.identity() or new_identity()
    first = found.devices if found.are_devices_named else 0
    named = _devices(store, manifest) if found.are_devices_named else ()
    unnamed = _numbers(first, found.devices - first + tail.unnamed_devices)
    devices = chain(named, map(_unnamed_device, unnamed))
    metrics = list(_metrics(store, manifest)) if found.are_metrics_named else []
    # Number 0 is built in. A number that no block is about gets a name as well, since there must be no gap.
    first = found.metrics if found.are_metrics_named else 1
    kinds = found.unnamed_metrics
    metrics += [
        _unnamed_metric(number, kinds.get(number, "float"))
        for number in _numbers(first, found.metrics - first + tail.unnamed_metrics)
    ]
    if journal.identity() is None:
        journal.identify(identity)
    with catalog.transaction():
        defaults = _defaults(store, manifest) if found.are_devices_named else ()
        catalog.restore(map(_record, devices), metrics, defaults=defaults)
        catalog.files.identify(identity)
        catalog.commit_manifest(manifest)
    # What has not come back was told, so the next start need not refuse because of it.
    settle_losses(journal, catalog, manifest, is_accepted=True, at_ns=now_ns)
    return identity


def _record(named: NamedDevice) -> DeviceRecord:
    return DeviceRecord(
        named.number,
        named.device,
        named.created_at_ns,
        named.is_deleted,
        deletions=tuple(named.deletions),
        policies=tuple(named.policies),
        is_undeclared=named.is_undeclared,
    )


def _numbers(first: int, count: int) -> range:
    return range(first, first + count)


def _unnamed_device(number: int) -> NamedDevice:
    return NamedDevice(number, Device(f"unnamed-{number:07d}", note="its name was lost with the catalog"))


def _unnamed_metric(number: int, kind: Kind = "float") -> NamedMetric:
    metric = MetricDefinition(name=f"unnamed_{number}", kind=kind, description="its name was lost with the catalog")
    return NamedMetric(number, metric, is_defined=False)


def _devices(store: BlockStore, manifest: Manifest) -> Iterator[NamedDevice]:
    if "devices" in manifest.names:
        with store.open(manifest.names["devices"].name) as reader:
            yield from read_devices(reader)


def _defaults(store: BlockStore, manifest: Manifest) -> PolicyHistory:
    if "devices" not in manifest.names:
        return ()
    with store.open(manifest.names["devices"].name) as reader:
        return read_defaults(reader)


def _metrics(store: BlockStore, manifest: Manifest) -> Sequence[NamedMetric]:
    if "metrics" not in manifest.names:
        return []
    with store.open(manifest.names["metrics"].name) as reader:
        return list(read_metrics(reader))
