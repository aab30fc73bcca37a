"""The Parquet layouts of names: what numbers of devices and metrics mean, so that blocks need no catalog.

devices                                        metrics
device      uint32                             metric          uint16
id          string                             name, unit      string
labels      string, a JSON object              kind            string, float or integer
is_deleted  bool                               aggregation     string
                                               retention_days  uint32
"""

import json
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fleetpulse.blocks.store import BlockStore, put_block
from fleetpulse.model.device import Device
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import BlockFile
from fleetpulse.model.metric import MetricDefinition

ROWS_AT_ONCE = 8_192
_DEVICES = pa.schema(
    [("device", pa.uint32()), ("id", pa.string()), ("labels", pa.string()), ("is_deleted", pa.bool_())]
)
_METRICS = pa.schema(
    [
        ("metric", pa.uint16()),
        ("name", pa.string()),
        ("unit", pa.string()),
        ("kind", pa.string()),
        ("aggregation", pa.string()),
        ("retention_days", pa.uint32()),
    ]
)


def write_devices(file: BinaryIO, devices: Iterable[tuple[int, Device, bool]]) -> None:
    """Write number, device and whether it is deleted, ROWS_AT_ONCE at a time."""
    with pq.ParquetWriter(file, _DEVICES, compression="zstd", write_page_checksum=True) as writer:
        rows: list[tuple[int, str, str, bool]] = []
        for number, device, is_deleted in devices:
            rows.append(
                (number, device.id, json.dumps(device.labels, sort_keys=True) if device.labels else "{}", is_deleted)
            )
            if len(rows) == ROWS_AT_ONCE:
                writer.write_table(_table(rows, _DEVICES))
                rows = []
        writer.write_table(_table(rows, _DEVICES))


def write_metrics(file: BinaryIO, metrics: Iterable[tuple[int, MetricDefinition]]) -> None:
    """Write number and definition of all metrics."""
    rows = [
        (number, metric.name, metric.unit, metric.kind, metric.aggregation, metric.retention_days)
        for number, metric in metrics
    ]
    pq.write_table(_table(rows, _METRICS), file, compression="zstd", write_page_checksum=True)


def put_devices(store: BlockStore, *, stem: str, devices: Iterable[tuple[int, Device, bool]]) -> BlockFile:
    """Write number, device and whether it is deleted to a file whose name begins with `stem`. Raises: OSError."""
    return put_block(store, stem, lambda file: write_devices(file, devices))


def put_metrics(store: BlockStore, *, position: Position, metrics: Iterable[tuple[int, MetricDefinition]]) -> BlockFile:
    """Write number and definition of metrics, for a checkpoint at a journal position. Raises: OSError."""
    return put_block(store, f"metrics-{position}", lambda file: write_metrics(file, metrics))


def _table(rows: Sequence[tuple[object, ...]], schema: "pa.Schema") -> "pa.Table":
    columns = [pa.array([row[place] for row in rows], schema.field(place).type) for place in range(len(schema))]
    return pa.table(columns, schema=schema)
