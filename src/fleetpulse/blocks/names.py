"""The Parquet layouts of names: what numbers of devices and metrics mean, so that blocks need no catalog.

devices                                        metrics
device      uint32                             metric          uint16
id          string                             name, unit      string
labels      string, a JSON object              kind            string, float or integer
is_deleted  bool                               aggregation     string
interval_s  uint32, or null                    retention_days  uint32
grace_s     uint32, or null                    definition      string, all of it as a JSON object
note        string                             is_defined      bool
created_at  int64, ns since 1970
deletions   string, JSON: [[start_ns, end_ns], ...], an end of null: not declared again
policies    string, JSON: [[declared_at_ns, since_ns, interval_s, grace_s], ...], see `model/own_policy.py`
is_undeclared  bool, it registered itself

The parts from interval_s and from definition on are missing in files of older versions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fleetpulse.blocks.columns import open_parquet
from fleetpulse.blocks.store import BlockStore, put_block
from fleetpulse.errors import DamagedData
from fleetpulse.model.device import Device
from fleetpulse.model.events import Position
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import BlockFile
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.own_policy import OwnPolicy
from fleetpulse.model.policy_history import PolicyChange, PolicyHistory
from fleetpulse.storage_causes import unreadable

ROWS_AT_ONCE = 8_192
DEFAULTS = "default_policies"
"""In the metadata of a file of devices: the service's own policies, a JSON array of [at_ns, interval_s, grace_s,
factor_thousandths]."""
_DEVICES = pa.schema(
    [
        ("device", pa.uint32()),
        ("id", pa.string()),
        ("labels", pa.string()),
        ("is_deleted", pa.bool_()),
        ("interval_s", pa.uint32()),
        ("grace_s", pa.uint32()),
        ("note", pa.string()),
        ("created_at", pa.int64()),
        ("deletions", pa.string()),
        ("policies", pa.string()),
        ("is_undeclared", pa.bool_()),
    ]
)
_METRICS = pa.schema(
    [
        ("metric", pa.uint16()),
        ("name", pa.string()),
        ("unit", pa.string()),
        ("kind", pa.string()),
        ("aggregation", pa.string()),
        ("retention_days", pa.uint32()),
        ("definition", pa.string()),
        ("is_defined", pa.bool_()),
    ]
)


class NamedDevice(NamedTuple):
    """A device with its number, as the catalog knows it."""

    number: int
    device: Device
    is_deleted: bool = False
    created_at_ns: int = 0
    deletions: Sequence[tuple[int, int | None]] = ()
    """Spans [start_ns, end_ns) in which it was deleted; an end of None: it has not been declared again."""
    policies: Sequence[OwnPolicy] = ()
    """What was declared of its interval and grace, once these have changed."""
    is_undeclared: bool = False
    """It registered itself."""


class NamedMetric(NamedTuple):
    """A metric with its number. `is_defined`: devices may report it."""

    number: int
    metric: MetricDefinition
    is_defined: bool = True


def write_devices(file: BinaryIO, devices: Iterable[NamedDevice], defaults: PolicyHistory = ()) -> None:
    """Write all that is known of devices, ROWS_AT_ONCE at a time, and the service's own policies over time."""
    schema = _DEVICES.with_metadata({DEFAULTS: json.dumps([_default_row(change) for change in defaults])})
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        rows: list[tuple[object, ...]] = []
        for number, device, is_deleted, created_at_ns, deletions, policies, is_undeclared in devices:
            labels = json.dumps(device.labels, sort_keys=True) if device.labels else "{}"
            policy = device.interval_s, device.grace_s
            spans = json.dumps(deletions) if deletions else "[]"
            own = json.dumps(policies) if policies else "[]"
            row = (number, device.id, labels, is_deleted, *policy, device.note, created_at_ns, spans)
            rows.append((*row, own, is_undeclared))
            if len(rows) == ROWS_AT_ONCE:
                writer.write_table(_table(rows, schema))
                rows = []
        writer.write_table(_table(rows, schema))


def _default_row(change: PolicyChange) -> list[int]:
    policy = change.policy
    return [change.at_ns, policy.interval_s, policy.grace_s, policy.factor_thousandths]


def read_defaults(file: BinaryIO) -> PolicyHistory:
    """The service's own policies, of a file of devices; none in files of older versions. Raises: DamagedData."""
    try:
        text = (open_parquet(file).schema_arrow.metadata or {}).get(DEFAULTS.encode(), b"[]")
        return tuple(PolicyChange(at_ns, HeartbeatPolicy(*terms)) for at_ns, *terms in json.loads(text))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DamagedData(f"names cannot be read: {error}. Run `fleetpulse verify`.") from error


def write_metrics(file: BinaryIO, metrics: Iterable[NamedMetric]) -> None:
    """Write number and definition of all metrics."""
    rows = [
        (
            *(number, metric.name, metric.unit, metric.kind, metric.aggregation, metric.retention_days),
            *(msgspec.json.encode(metric).decode(), is_defined),
        )
        for number, metric, is_defined in metrics
    ]
    pq.write_table(_table(rows, _METRICS), file, compression="zstd", write_page_checksum=True)


def read_devices(file: BinaryIO) -> Iterator[NamedDevice]:
    """The devices of a file, by number, a row group at a time. Raises: DamagedData: it is not such a file."""
    for row in _rows(file):
        device = Device(
            row["id"], json.loads(row["labels"]), row.get("interval_s"), row.get("grace_s"), row.get("note") or ""
        )
        deletions = [(start_ns, end_ns) for start_ns, end_ns in json.loads(row.get("deletions") or "[]")]
        own = tuple(OwnPolicy(*one) for one in json.loads(row.get("policies") or "[]"))
        created_at_ns, is_undeclared = row.get("created_at") or 0, bool(row.get("is_undeclared"))
        yield NamedDevice(row["device"], device, row["is_deleted"], created_at_ns, deletions, own, is_undeclared)


def read_metrics(file: BinaryIO) -> Iterator[NamedMetric]:
    """The metrics of a file, by number. Raises: DamagedData: it is not such a file."""
    for row in _rows(file):
        if "definition" in row:
            metric = msgspec.json.decode(row["definition"], type=MetricDefinition)
        else:
            names = ("name", "unit", "kind", "aggregation", "retention_days")
            metric = MetricDefinition(**{name: row[name] for name in names})
        yield NamedMetric(row["metric"], metric, row.get("is_defined", True))


def _rows(file: BinaryIO) -> Iterator[Mapping[str, Any]]:
    try:
        parquet = open_parquet(file)
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group, use_threads=False).to_pylist()
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DamagedData(f"names cannot be read: {error}. Run `fleetpulse verify`.") from error


def put_devices(
    store: BlockStore, *, stem: str, devices: Iterable[NamedDevice], defaults: PolicyHistory = ()
) -> BlockFile:
    """Write all that is known of devices to a file whose name begins with `stem`. Raises: OSError."""
    return put_block(store, stem, lambda file: write_devices(file, devices, defaults))


def put_metrics(store: BlockStore, *, position: Position, metrics: Iterable[NamedMetric]) -> BlockFile:
    """Write number and definition of metrics, for a checkpoint at a journal position. Raises: OSError."""
    return put_block(store, f"metrics-{position}", lambda file: write_metrics(file, metrics))


def _table(rows: Sequence[tuple[object, ...]], schema: "pa.Schema") -> "pa.Table":
    columns = [pa.array([row[place] for row in rows], schema.field(place).type) for place in range(len(schema))]
    return pa.table(columns, schema=schema)


def metrics_in_samples(file: BinaryIO) -> set[int]:
    """The numbers of the metrics that a file of samples or roll-ups is about. Raises: DamagedData."""
    try:
        reader = open_parquet(file)
        groups = range(reader.num_row_groups)
        tables = (reader.read_row_group(group, columns=["metric"], use_threads=False) for group in groups)
        return {int(number) for table in tables for number in table.column(0).unique().to_pylist()}
    except (pa.ArrowException, OSError) as error:
        raise unreadable("a block of samples", error) from error
