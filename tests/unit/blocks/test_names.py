"""Names of devices and metrics are written as they are declared."""

import json

import pyarrow.parquet as pq

from fleetpulse.blocks.names import ROWS_AT_ONCE, put_devices, put_metrics
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.device import Device
from fleetpulse.model.metric import MetricDefinition


def test_devices_come_with_labels_and_whether_they_are_deleted_however_many() -> None:
    store = MemoryBlockStore()
    devices = (
        (number, Device(f"d{number}", {"site": "x"} if number else {}), number == 1)
        for number in range(ROWS_AT_ONCE + 1)
    )
    file = put_devices(store, stem="devices", devices=devices)
    with store.open(file.name) as reader:
        rows = pq.read_table(reader).to_pylist()
    assert len(rows) == ROWS_AT_ONCE + 1
    assert (rows[0]["id"], json.loads(rows[0]["labels"]), rows[0]["is_deleted"]) == ("d0", {}, False)
    assert (rows[1]["id"], json.loads(rows[1]["labels"]), rows[1]["is_deleted"]) == ("d1", {"site": "x"}, True)
    file = put_metrics(store, position=3, metrics=[(0, MetricDefinition(name="cpu", unit="%"))])
    with store.open(file.name) as reader:
        (metric,) = pq.read_table(reader).to_pylist()
    assert (metric["metric"], metric["name"], metric["unit"], metric["kind"]) == (0, "cpu", "%", "float")
