"""Declarations of files and imports, merged with the catalog's, one by one and in one transaction of the catalog."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from fleetpulse.access.scopes import OUTSIDE, check_within, is_within
from fleetpulse.access_errors import Forbidden
from fleetpulse.catalog.catalog import Catalog, DeviceRecord
from fleetpulse.catalog.file_readings import FileKind
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.devices_file import NamedDevice
from fleetpulse.ingest.metric_declarations import declared_fields, definition_with
from fleetpulse.ingest.metrics_file import NamedMetric
from fleetpulse.model.access import Scope
from fleetpulse.model.declaration_merge import Fields, FileRule, Known, MergeReport, Merging, Rule, import_rule
from fleetpulse.model.device import Device
from fleetpulse.model.device_fields import device_fields, device_with
from fleetpulse.model.metric import MetricDefinition, check_built_in

_Declaration = TypeVar("_Declaration")
RECORDS_AT_ONCE = 1_000
"""Records of devices that are in memory together, while many are read."""
_NOT_NAMED = object()
"""In JSON a null is named, so it differs from a field that the file did not name."""


def file_rule(catalog: Catalog, kind: FileKind) -> Rule:
    """The rule for a file of this kind, which depends on whether such a file was read before."""
    return FileRule(is_first=catalog.file_read_at(kind) is None, not_named=None if kind == "devices" else _NOT_NAMED)


def merged_devices(
    catalog: Catalog, lines: Iterable[NamedDevice], rule: Rule, report: MergeReport, *, is_file: bool, scope: Scope = ()
) -> Iterator[Device]:
    """The devices to write, as they are after the merge. `report` is filled on the way.

    Args:
        is_file: the lines are those of devices.csv: what they say is compared with what they said before, and recorded.
        scope: of whoever asks: lines of devices outside are in conflict, and so are those that would take one out; new
            devices get its labels.
    """
    merging, remaining = Merging(rule, report), iter(lines)
    while piece := list(islice(remaining, RECORDS_AT_ONCE)):
        yield from _merged_piece(catalog, piece, merging, is_file=is_file, scope=scope)


def _merged_piece(
    catalog: Catalog, lines: Sequence[NamedDevice], merging: Merging, *, is_file: bool, scope: Scope
) -> list[Device]:
    """What `merged_devices` yields for these lines: a few statements for all of them, as a database may be far away."""
    ids, report = [line.device.id for line in lines], merging.report
    records, devices, named_now = catalog.found(ids), list[Device](), dict[str, Fields]()
    reads = catalog.last_reads("devices", ids) if is_file else {}
    for line in lines:
        device_id, named = line.device.id, line.named
        record = records.get(device_id)
        if record is not None and not is_within(record.device.labels, scope):
            report.unchanged += 1
            report.note_conflict(device_id, OUTSIDE)
            continue
        declared = None if record is None or record.is_deleted else record.device
        known = Known(
            in_effect=None if declared is None else device_fields(declared),
            was_deleted=record is not None and record.is_deleted,
            last_read=reads.get(device_id),
        )
        device, is_mergeable = merging.entry(
            device_id, named, known, partial(_device_with, declared or Device(device_id, dict(scope)), scope)
        )
        if is_file and is_mergeable and _is_news(named, known):
            reads[device_id] = named_now[device_id] = {**(known.last_read or {}), **named}
        if device is not None:
            devices.append(device)
    if named_now:
        catalog.note_last_reads("devices", named_now)
    return devices


def _device_with(device: Device, scope: Scope, sets: Fields) -> tuple[Device, Fields]:
    changed = device_with(device, sets)
    try:
        check_within(changed.labels, scope)
    except Forbidden as error:
        raise ValueError(error.msg) from error
    return changed, device_fields(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntry(Generic[_Declaration]):
    """An entry of a declared file that is to be merged.

    Attributes:
        key: by what the catalog remembers what the file said of it, and what it is called in reports.
        named: the fields that the file names.
        in_effect: those that are in effect; None: it is not declared now.
        declare: makes the declaration, and all its fields, of what is known and the fields to set; see `Merging.entry`.
        is_untouched: nobody declared what is in effect, so all that the file names is set, and nothing is in conflict.
    """

    key: str
    named: Fields
    in_effect: Fields | None
    was_deleted: bool
    declare: Callable[[Known, Fields], tuple[_Declaration, Fields]]
    is_untouched: bool = False


def merge_entry(
    catalog: Catalog, kind: FileKind, entry: NamedEntry[_Declaration], rule: Rule, report: MergeReport
) -> _Declaration | None:
    """What to write of an entry after the merge; None: nothing. Call it in a transaction. Raises: OSError."""
    last_read = catalog.last_read(kind, entry.key)
    known = Known(in_effect=entry.in_effect, was_deleted=entry.was_deleted, last_read=last_read)
    merging = Merging(import_rule if entry.is_untouched else rule, report)
    declaration, is_mergeable = merging.entry(entry.key, entry.named, known, partial(entry.declare, known))
    if is_mergeable:
        _record(catalog, kind, entry.key, entry.named, known)
    return declaration


def merge_metrics(
    catalog: Catalog,
    metrics: Iterable[NamedMetric],
    rule: Rule,
    report: MergeReport,
    *,
    put: Callable[[MetricDefinition], None],
) -> None:
    """Write the metrics of metrics.json with `put`. Call it in a transaction. Raises: OutOfRange; OSError."""
    defined = {metric.name: (metric, is_defined) for _, metric, is_defined in catalog.metrics()}
    for metric in metrics:
        before, is_defined = defined.get(metric.name, (None, False))
        entry = NamedEntry(
            key=metric.name,
            named=metric.named,
            in_effect=_metric_fields(before) if before is not None and is_defined else None,
            was_deleted=before is not None and not is_defined,
            declare=partial(_metric_with, metric.name, before),
        )
        if (merged := merge_entry(catalog, "metrics", entry, rule, report)) is not None:
            put(merged)


def _metric_with(
    name: str, before: MetricDefinition | None, known: Known, sets: Fields
) -> tuple[MetricDefinition, Fields]:
    metric = definition_with({"name": name, **(known.in_effect or {}), **sets})
    try:
        check_built_in(metric)
    except OutOfRange as error:
        raise ValueError(error.msg) from error
    if before is not None and before.kind != metric.kind:
        raise ValueError(f"it is of kind {before.kind}, and so are its samples; the kind of a metric never changes")
    return metric, _metric_fields(metric)


def _metric_fields(metric: MetricDefinition) -> Fields:
    return {name: value for name, value in declared_fields(metric).items() if name != "name"}


def _record(catalog: Catalog, kind: FileKind, name: str, named: Fields, known: Known) -> None:
    if _is_news(named, known):
        catalog.note_last_read(kind, name, named)


def _is_news(named: Fields, known: Known) -> bool:
    """Whether a file says something else of an entry than when it was last read."""
    return known.last_read is None or any(known.last_read.get(key, _NOT_NAMED) != value for key, value in named.items())


def changed_devices(
    records: Iterable[DeviceRecord], change: Callable[[Device], Device], report: MergeReport
) -> Iterator[tuple[int, Device]]:
    """The devices that a change makes different, by number."""
    for record in records:
        if record.is_deleted:
            continue
        try:
            changed = change(record.device)
        except OutOfRange as error:
            text = f"device {record.device.id}: {error.msg}; no device was changed"
            raise OutOfRange(text, reason=error.reason, setting=error.setting) from error
        if changed != record.device:
            report.note_change(record.device.id, device_fields(record.device), device_fields(changed))
            yield record.number, changed


def in_pieces(numbers: Sequence[int], at_once: int = RECORDS_AT_ONCE) -> Iterable[Sequence[int]]:
    """Numbers of devices, as many at a time as there should be records in memory."""
    for start in range(0, len(numbers), at_once):
        yield numbers[start : start + at_once]
