"""The samples of a metric in a window that ends now, of all devices: read once for all rules about the metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.blocks.history import SampleRange
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.missing import note_missing
from fleetpulse.query.reads import LIVE, Read, Samples, count_rows, plan_reads
from fleetpulse.query.window import Window

_EVER_NS = 2**62


@dataclass(slots=True)
class NumberedMetric:
    """A metric as samples name it."""

    number: int
    definition: MetricDefinition


@dataclass(eq=False)
class WindowSamples:
    """Samples of one metric, each once, in any order: columns of shape (n,).

    Attributes:
        devices: int64; at_ns: int64, sent_at; values: int64 or float64, by the kind of the metric.
        count: how many devices there are.
        is_whole: False: a block could not be read.
    """

    devices: NDArray[np.int64]
    at_ns: NDArray[np.int64]
    values: NDArray[Any]
    count: int
    is_whole: bool = True

    def of(self, is_chosen: NDArray[np.bool_]) -> "WindowSamples":
        """Those of some rows. Args: is_chosen: bool, shape (n,)."""
        rows = np.flatnonzero(is_chosen)
        return WindowSamples(self.devices[rows], self.at_ns[rows], self.values[rows], self.count, self.is_whole)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many samples each device has: int64, shape (count,)."""
        return np.bincount(self.devices, minlength=self.count)

    def sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sums of values of the rows by device, each rounded: float64, shape (count,). Args: shape (n,)."""
        return np.bincount(self.devices, values, self.count).astype(np.float64, copy=False)


def window_samples(facts: Facts, metric: NumberedMetric, window_s: int) -> WindowSamples | None:
    """The samples of the window that ends at `facts.window_end_ns`; None: there are more than may be held."""
    start_ns = facts.window_end_ns - window_s * NS_PER_S
    key = "window", metric.number, window_s
    if key not in facts.shared:
        whole = _longest(facts, metric, start_ns)
        if whole is not None:
            whole = whole.of((whole.at_ns >= start_ns) & (whole.at_ns < facts.window_end_ns))
        facts.shared[key] = whole
    found: WindowSamples | None = facts.shared[key]
    return found


def _longest(facts: Facts, metric: NumberedMetric, start_ns: int) -> WindowSamples | None:
    """The samples of the longest window of any rule about the metric, so that it is read once."""
    start_ns = min(start_ns, facts.window_end_ns - facts.longest_s(metric.definition.name) * NS_PER_S)
    known = facts.shared.get(("longest", metric.number))
    if known is None or known[0] > start_ns:
        known = facts.shared["longest", metric.number] = start_ns, _read(facts, metric, start_ns)
    found: WindowSamples | None = known[1]
    return found


def _read(facts: Facts, metric: NumberedMetric, start_ns: int) -> WindowSamples | None:
    where = facts.samples
    assert where is not None, "facts for rules about metrics have samples"
    window = Window(start_ns, _EVER_NS)
    reads = plan_reads(
        where, metric.number, metric.definition.kind, Window(start_ns, facts.window_end_ns), is_raw_preferred=True
    ).reads
    if count_rows(where, reads, metric.number, None) > facts.samples_max:
        return None
    missing: list[Missing] = []
    pieces: list[SampleColumns] = []
    for read in reads:
        for piece in _samples(where, read, metric, window, missing):
            where.budget.check()
            pieces.append(piece)
    rows = join_samples(pieces)
    rows = rows.where(np.flatnonzero(rows.devices < facts.view.count))
    values = rows.values if metric.definition.kind == "integer" else rows.values.view(np.float64) + 0.0
    return WindowSamples(rows.devices.astype(np.int64), rows.at_ns, values, facts.view.count, not missing)


def _samples(
    where: Samples, read: Read, metric: NumberedMetric, window: Window, missing: list[Missing]
) -> Iterator[SampleColumns]:
    """The single samples of a read; none of roll-ups, which stand in only where samples are gone already."""
    if read.tier == LIVE:
        wanted = LiveRange(metric.number, window.start_ns, window.end_ns)
        yield from live_samples(where, wanted, metric.definition, missing)
    elif read.tier == RAW and read.block is not None:
        try:
            wanted_rows = SampleRange(metric.number, None, window.start_ns, window.end_ns)
            yield from where.history.samples(read.block, wanted_rows)
        except DamagedData as error:
            note_missing(missing, read.start_ns, read.end_ns, error)


def latest_sent(facts: Facts, metric: NumberedMetric, start_ns: int) -> NDArray[np.int64]:
    """When each device sent its latest sample since `start_ns`, 0: none is stored; int64 ns, shape (devices,)."""
    where = facts.samples
    assert where is not None, "facts for rules about metrics have samples"
    window = Window(start_ns, facts.window_end_ns)
    latest_ns = np.zeros(facts.view.count, np.int64)
    for read in plan_reads(where, metric.number, metric.definition.kind, window, is_raw_preferred=False).reads:
        for devices, at_ns in _sent(where, read, metric, Window(start_ns, _EVER_NS)):
            known = np.flatnonzero(devices < len(latest_ns))
            np.maximum.at(latest_ns, devices[known], at_ns[known])
    return latest_ns


def _sent(
    where: Samples, read: Read, metric: NumberedMetric, window: Window
) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.int64]]]:
    if read.tier in (LIVE, RAW):
        for piece in _samples(where, read, metric, window, []):
            yield piece.devices, piece.at_ns
        return
    assert read.block is not None
    wanted = SampleRange(metric.number, None, read.start_ns, read.end_ns)
    try:
        for rows in where.history.rollups(read.block, read.tier, wanted, parts=("last",)):
            inside = np.flatnonzero((rows.at_ns >= read.start_ns) & (rows.at_ns < read.end_ns))
            yield rows.devices[inside], rows.cells.last_at_ns[inside]
    except DamagedData:
        return  # older days tell less; an alert that is open says itself since when
