"""Days of more samples than one unit of compaction, or one row group, holds are folded as one."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compact_model import DAY_NS, FIRST_DAY, FIRST_NS, HOUR_NS, METRICS, MINUTE_NS, Closed, S, columns_of, cut_samples
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.compaction.units import cut_units
from fleetpulse.blocks.history import History
from fleetpulse.blocks.samples import RowRange
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, Manifest
from fleetpulse.model.samples import SampleColumns
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window


def spread(*, devices: int, seconds: int, metric: int = 1) -> SampleColumns:
    """A day of devices that report every some seconds, sorted."""
    count = 86_400 // seconds
    random = np.random.default_rng(1)
    values = np.round(np.cumsum(random.normal(0, 1, devices * count)), 1).view(np.int64)
    at_ns = np.tile(FIRST_NS + np.arange(count) * seconds * S + 1, devices)
    return SampleColumns(
        np.repeat(np.arange(devices, dtype=np.uint32), count), np.full(len(values), metric, np.uint16), at_ns, values
    )


def test_a_day_of_several_units_is_folded_and_merged_as_one() -> None:
    samples = spread(devices=16, seconds=1)
    closed = Closed()
    late = [(3, 1, FIRST_NS + 3 * DAY_NS, 1.0)]
    order = np.random.default_rng(1).permutation(len(samples))
    for pieces in ([samples.where(order[:900_000]), columns_of(late)], [samples.where(order[900_000:1_200_000])]):
        closed.manifest = replace(
            closed.manifest, samples=(*closed.manifest.samples, *cut_samples(pieces, closed.store, closed.metrics))
        )
    closed.step(is_forced=True)
    assert [block.samples for block in closed.manifest.samples] == [1_200_000, 1]
    blocks = cut_samples([samples.where(order[1_200_000:])], closed.store, closed.metrics)
    closed.manifest = replace(closed.manifest, samples=(*closed.manifest.samples, *blocks))
    closed.settle()
    assert [block.samples for block in closed.manifest.samples] == [1, len(samples)]
    raw = closed.manifest.samples[1].files[RAW]
    columns = list(closed.history.read(raw, range(len(closed.history.footer(raw).rows)), ["device", "at", "value"]))
    np.testing.assert_array_equal(np.concatenate([found["device"] for found in columns]), samples.devices)
    np.testing.assert_array_equal(np.concatenate([found["at"] for found in columns]), samples.at_ns)
    np.testing.assert_array_equal(np.concatenate([found["value"].view(np.int64) for found in columns]), samples.values)
    whom = DeviceSelection(codes=np.arange(16, dtype=np.int32), groups=16)
    found = closed.ask("sum", metric=1, window=Window(FIRST_NS, FIRST_NS + DAY_NS), whom=whom)
    np.testing.assert_allclose(
        np.array(found.values), samples.values.view(np.float64).reshape(16, -1).sum(axis=1), rtol=1e-9
    )


@pytest.mark.parametrize("piece", [1000, 65_536, 200_000])
def test_devices_and_hours_that_go_on_in_the_next_row_group_are_folded_once(piece: int) -> None:
    samples = spread(devices=8, seconds=5)
    store = MemoryBlockStore()
    cuts = range(0, len(samples), piece)
    pieces = [samples.where(np.arange(start, min(start + piece, len(samples)))) for start in cuts]
    block = write_part(store, kind="float", day=FIRST_DAY, pieces=pieces, pause=lambda: None)
    assert (block.start_ns, block.end_ns, block.samples) == (samples.at_ns.min(), samples.at_ns.max() + 1, len(samples))
    assert list(block.files) == [RAW, MINUTE, HOUR, DAY]
    history = History(store, Manifest(samples=(block,)))
    assert [int(history.footer(block.files[tier]).rows.sum()) for tier in (MINUTE, HOUR, DAY)] == [8 * 1440, 8 * 24, 8]
    values = samples.values.view(np.float64)
    for step_ns in (MINUTE_NS, HOUR_NS, DAY_NS):
        whom = DeviceSelection(codes=np.arange(8, dtype=np.int32), groups=8)
        window = Window(FIRST_NS, FIRST_NS + DAY_NS, step_ns)
        where = Samples([], history.manifest, history)
        found = find(where, number=1, metric=METRICS[1], aggregation="sum", selection=whom, window=window)
        size = step_ns // (5 * S)
        np.testing.assert_allclose(np.array(found.values), values.reshape(-1, size).sum(axis=1), rtol=1e-9, atol=1e-6)
        assert found.counts == [size] * len(found.values)
        assert RAW not in found.tiers


def test_minutes_are_kept_where_they_are_much_fewer_than_samples() -> None:
    store = MemoryBlockStore()
    pieces = [spread(devices=2, seconds=60), spread(devices=2, seconds=10, metric=2)]
    block = write_part(store, kind="float", day=FIRST_DAY, pieces=pieces, pause=lambda: None)
    history = History(store, Manifest(samples=(block,)))
    assert {tier: history.metrics_of(file) for tier, file in block.files.items()} == {
        RAW: [1, 2],
        MINUTE: [2],
        HOUR: [1, 2],
        DAY: [1, 2],
    }
    for metric, tiers in ((1, [RAW, HOUR]), (2, [MINUTE, HOUR])):
        window = Window(FIRST_NS + 30 * MINUTE_NS, FIRST_NS + 20 * HOUR_NS)
        found = find(
            Samples([], history.manifest, history),
            number=metric,
            metric=METRICS[metric],
            aggregation="sum",
            selection=DeviceSelection(),
            window=window,
        )
        assert found.tiers == tiers


@dataclass(frozen=True)
class Groups:
    """As much of a footer as units are cut by."""

    least: dict[str, np.ndarray]
    greatest: dict[str, np.ndarray]
    rows: np.ndarray


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 99)), min_size=1, max_size=30), min_size=1, max_size=3
    )
)
def test_units_hold_every_row_once_and_in_order(files: list[list[tuple[int, int]]]) -> None:
    footers = []
    for rows in files:
        groups = [sorted(rows)[place : place + 3] for place in range(0, len(rows), 3)]
        devices = ([device for device, _ in group] for group in groups)
        times = ([at for _, at in group] for group in groups)
        edges = [(min(of), max(of), min(at), max(at)) for of, at in zip(devices, times, strict=True)]
        least = {"device": np.array([edge[0] for edge in edges]), "at": np.array([edge[2] for edge in edges])}
        greatest = {"device": np.array([edge[1] for edge in edges]), "at": np.array([edge[3] for edge in edges])}
        footers.append(
            Groups({**least, "metric": np.ones(len(groups))}, greatest, np.array([len(group) for group in groups]))
        )
    read = []
    for unit in cut_units(footers, 1, RowRange(0, 100), 6):
        inside = []
        for rows, footer in zip(files, footers, strict=True):
            for group in unit.groups(footer, 1):
                chosen = sorted(rows)[3 * group : 3 * group + 3]
                inside += [
                    (device, at) for device, at in chosen
                    if unit.start_device <= device < unit.end_device and unit.start_ns <= at < unit.end_ns
                ]  # fmt: skip
        read += sorted(inside)
    assert read == sorted(row for rows in files for row in rows)
