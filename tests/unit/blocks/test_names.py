"""Names of devices and metrics are written as they are declared."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetpulse.blocks.names import (
    ROWS_AT_ONCE,
    NamedDevice,
    NamedMetric,
    metrics_in_samples,
    put_devices,
    put_metrics,
    read_defaults,
    read_devices,
    read_metrics,
)
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.own_policy import OwnPolicy, unchanged
from fleetpulse.model.policy_history import PolicyChange, always
from sample_blocks import CPU, LOAD, SampleBlocks


def test_devices_come_with_labels_and_whether_they_are_deleted_however_many() -> None:
    store = MemoryBlockStore()
    devices = (
        NamedDevice(number, Device(f"d{number}", {"site": "x"} if number else {}), number == 1)
        for number in range(ROWS_AT_ONCE + 1)
    )
    file = put_devices(store, stem="devices", devices=devices)
    with store.open(file.name) as reader:
        rows = pq.read_table(reader).to_pylist()
    assert len(rows) == ROWS_AT_ONCE + 1
    assert (rows[0]["id"], json.loads(rows[0]["labels"]), rows[0]["is_deleted"]) == ("d0", {}, False)
    assert (rows[1]["id"], json.loads(rows[1]["labels"]), rows[1]["is_deleted"]) == ("d1", {"site": "x"}, True)
    file = put_metrics(store, position=3, metrics=[NamedMetric(0, MetricDefinition(name="cpu", unit="%"))])
    with store.open(file.name) as reader:
        (metric,) = pq.read_table(reader).to_pylist()
    assert (metric["metric"], metric["name"], metric["unit"], metric["kind"]) == (0, "cpu", "%", "float")


def test_names_are_read_as_they_were_written() -> None:
    store = MemoryBlockStore()
    devices = [
        NamedDevice(0, Device("a", {"site": "x"}, 10, 20, "on the roof"), False, 7, [(5, 6)]),
        NamedDevice(1, Device("b"), True, 8, [(9, None)], (unchanged(60, None), OwnPolicy(7, 5, None, None)), True),
    ]
    defaults = (*always(HeartbeatPolicy(60, 240)), PolicyChange(5, HeartbeatPolicy(30, 0, 2_000)))
    metrics = [
        NamedMetric(0, MetricDefinition(name="upload_time", kind="integer", lowest=0, highest=2**63 - 1)),
        NamedMetric(1, MetricDefinition(name="cpu", unit="%", raw_days=5, description="load"), is_defined=False),
    ]
    with store.open(put_devices(store, stem="devices", devices=devices, defaults=defaults).name) as reader:
        assert list(read_devices(reader)) == devices
        assert read_defaults(reader) == defaults
    with store.open(put_metrics(store, position=3, metrics=metrics).name) as reader:
        assert list(read_metrics(reader)) == metrics


def test_names_of_older_versions_are_read_without_what_they_lack() -> None:
    old_devices = {"device": [0], "id": ["a"], "labels": ['{"site": "x"}'], "is_deleted": [False]}
    with io.BytesIO() as file:
        pq.write_table(pa.table(old_devices), file)
        assert list(read_devices(file)) == [NamedDevice(0, Device("a", {"site": "x"}), deletions=[])]
        assert read_defaults(file) == ()
    old_metrics = {"metric": [1], "name": ["cpu"], "unit": ["%"], "kind": ["float"], "aggregation": ["p99"]}
    with io.BytesIO() as file:
        pq.write_table(pa.table({**old_metrics, "retention_days": [9]}), file)
        metric = MetricDefinition(name="cpu", unit="%", aggregation="p99", retention_days=9)
        assert list(read_metrics(file)) == [NamedMetric(1, metric)]


def test_what_is_no_file_of_names_is_called_damaged() -> None:
    with pytest.raises(DamagedData, match="names cannot be read"):
        list(read_devices(io.BytesIO(b"nothing")))
    with pytest.raises(DamagedData, match="names cannot be read"):
        read_defaults(io.BytesIO(b"nothing"))


def test_the_metrics_of_samples_are_known_without_their_names() -> None:
    blocks = SampleBlocks()
    block = blocks.fresh((CPU, 0, 1, 1.5), (LOAD, 0, 2, 2.5), (CPU, 1, 1, 3.5))
    with blocks.store.open(block.files[RAW].name) as reader:
        assert metrics_in_samples(reader) == {CPU, LOAD}
    with pytest.raises(DamagedData):
        metrics_in_samples(io.BytesIO(b"no Parquet"))
