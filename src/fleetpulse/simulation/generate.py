"""A generated history of a fleet, written straight into blocks without a request.

In comes a description of the fleet and of how it behaved. Out come the blocks and the manifest that a node would have
written if it had received every heartbeat, outage, backlog and sample: presence, reception gaps, samples with their
roll-ups, and the snapshot. The same seed gives the same history. A crash leaves files that no manifest names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.aggregate.runs import first_of_runs, last_of_runs
from fleetpulse.aggregate.uptime import pack_minutes, unpack_minutes
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.history import History
from fleetpulse.blocks.presence import CHUNK
from fleetpulse.blocks.snapshot import SNAPSHOT_COLUMNS
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS
from fleetpulse.pipeline.checkpoint import write_names

PIECE_DEVICES = 500
"""Devices whose samples of a day are made, and written, at a time."""
_YEAR = partial(MetricDefinition, retention_days=365)
METRICS = (
    _YEAR(name="cpu", unit="%", lowest=0, highest=100, description="Share of the processor in use"),
    _YEAR(name="memory", unit="%", lowest=0, highest=100, description="Share of the memory in use"),
    _YEAR(name="temperature", unit="°C", aggregation="max", description="Of the board"),
    _YEAR(name="disk", unit="%", aggregation="latest", lowest=0, highest=100, description="Share in use"),
    _YEAR(name="signal", unit="dBm", aggregation="p50", description="Strength of the radio's signal"),
)
_LEVELS = ((35.0, 0.8), (60.0, 0.2), (48.0, 0.1), (70.0, 0.01), (-70.0, 0.6))
"""The level around which each metric moves, and how far it moves in a minute, in its unit."""


@dataclass(frozen=True, slots=True)
class HistorySpec:
    """How large a history to make, and how the fleet behaved.

    `outages` and `missed` are the probability of one for each device and day; `outage_minutes` is the mean length.
    """

    devices: int
    days: int
    end_ns: int
    sites: int = 50
    metrics: int = 5
    seed: int = 1
    outages: float = 0.03
    outage_minutes: float = 40.0
    link_share: float = 0.3
    """Share of the outages that are of the link alone: the device kept its heartbeats, and sent them afterwards."""
    missed: float = 0.1
    """Of single heartbeats that were lost."""

    @property
    def start_ns(self) -> int:
        """When the history begins: whole days before its end."""
        return self.end_ns - self.days * NS_PER_DAY


class Generator:
    """Makes the days in order, and keeps what goes on from one day to the next, such as outages."""

    def __init__(self, spec: HistorySpec, store: BlockStore, *, policy: HeartbeatPolicy) -> None:
        self._spec = spec
        self._store = store
        self._files = CheckpointFiles(
            History(store, Manifest()), position=0, device_count=spec.devices, pause=lambda: None
        )
        self._policy = policy
        self._today = spec.end_ns // NS_PER_DAY
        chance = np.random.default_rng([spec.seed, 0])
        # Each device sends a heartbeat once a minute, at a second of its own.
        self._phase_ns = chance.integers(0, 60_000, spec.devices) * NS_PER_MS
        self._level = np.array([chance.normal(level, 5, spec.devices) for level, _ in _LEVELS])
        self._heard_ns = np.zeros(spec.devices, np.int64)
        self._down_until_ns = np.zeros(spec.devices, np.int64)
        self._is_link = np.zeros(spec.devices, bool)
        self.columns = {name: np.zeros(spec.devices, dtype) for name, dtype in SNAPSHOT_COLUMNS.items()}
        self.columns["first_minute"][:] = np.iinfo(np.int32).max
        self.columns["last_minute"][:] = np.iinfo(np.int32).min
        self.presence: dict[int, BlockFile] = {}
        self.gaps: dict[int, tuple[GapFile, ...]] = {}
        self.samples: list[SampleBlock] = []

    @property
    def days(self) -> range:
        """The days of the history, since 1970-01-01 UTC; the first and the last one are not whole."""
        return range(self._today - self._spec.days, self._today + 1)

    def make_day(self, day: int, advanced: Callable[[], None]) -> None:
        """Write one day; `advanced` is called a few times on the way."""
        chance = np.random.default_rng([self._spec.seed, 1, day])
        sent, heard = self._heartbeats(day, chance)
        self._write_presence(day, sent)
        self._write_gaps(day, heard)
        advanced()
        if self._spec.metrics:
            self._write_samples(day, sent, chance, advanced)

    def _outages(self, day: int, chance: np.random.Generator) -> dict[int, tuple[int, int]]:
        """The outage of each device that has one: minutes [first, last) of the day; the last may be in a later day."""
        spec, start_ns = self._spec, day * NS_PER_DAY
        going_on = np.flatnonzero(self._down_until_ns > start_ns)
        is_hit = chance.random(spec.devices) < spec.outages
        is_hit[going_on] = False
        hit = np.flatnonzero(is_hit)
        firsts = chance.integers(0, MINUTES_PER_DAY, len(hit))
        lasts = firsts + 2 + chance.exponential(spec.outage_minutes, len(hit)).astype(np.int64)
        self._is_link[hit] = chance.random(len(hit)) < spec.link_share
        outages = {
            device: (0, (int(self._down_until_ns[device]) - start_ns) // NS_PER_MINUTE) for device in going_on.tolist()
        }
        outages |= dict(zip(hit.tolist(), zip(firsts.tolist(), lasts.tolist(), strict=True), strict=True))
        for device, (_, last) in outages.items():
            self._down_until_ns[device] = start_ns + last * NS_PER_MINUTE
        return outages

    def _heartbeats(self, day: int, chance: np.random.Generator) -> tuple[Rows, Rows]:
        """In which minutes each device sent a heartbeat, and those of them that came in time: rows of presence."""
        spec, start_ns = self._spec, day * NS_PER_DAY
        outages = self._outages(day, chance)
        missed = np.flatnonzero(chance.random(spec.devices) < spec.missed)
        missed_minutes = chance.integers(0, MINUTES_PER_DAY, len(missed))
        sent_rows, heard_rows = [], []
        for start in range(0, spec.devices, CHUNK):
            count = min(CHUNK, spec.devices - start)
            sent = np.ones((count, MINUTES_PER_DAY), bool)
            mine = (missed >= start) & (missed < start + count)
            sent[missed[mine] - start, missed_minutes[mine]] = False
            heard = sent.copy()
            for device in (device for device in outages if start <= device < start + count):
                first, last = outages[device]
                heard[device - start, first:last] = False
                if not self._is_link[device]:
                    sent[device - start, first:last] = False
            if start_ns + NS_PER_DAY > spec.end_ns or start_ns < spec.start_ns:
                minutes_ns = start_ns + np.arange(MINUTES_PER_DAY) * NS_PER_MINUTE
                at_ns = minutes_ns[None, :] + self._phase_ns[start : start + count, None]
                is_past = (at_ns < spec.end_ns) & (at_ns >= spec.start_ns)
                sent, heard = sent & is_past, heard & is_past
            sent_rows.append(pack_minutes(sent))
            heard_rows.append(pack_minutes(heard))
        return np.concatenate(sent_rows), np.concatenate(heard_rows)

    def _write_presence(self, day: int, rows: Rows) -> None:
        """Write the heartbeats sent in a day, and count them in the columns of the snapshot."""
        is_open = day >= self._today - 1
        counts = count_minutes(rows)
        columns, is_present = self.columns, counts > 0
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            sent = unpack_minutes(rows[part])
            first = np.where(is_present[part], day * MINUTES_PER_DAY + sent.argmax(axis=1), np.iinfo(np.int32).max)
            last = (day + 1) * MINUTES_PER_DAY - 1 - sent[:, ::-1].argmax(axis=1)
            columns["first_minute"][part] = np.minimum(columns["first_minute"][part], first)
            columns["last_minute"][part] = np.where(is_present[part], last, columns["last_minute"][part])
        columns["heartbeats"] += counts.astype(np.uint32)
        if is_open:
            self.presence[day] = self._files.put_open_day(day, dense=rows)
        else:
            self.presence[day] = self._files.put_closed_day(day, dense=rows, closed_minutes=columns["closed_minutes"])

    def _write_gaps(self, day: int, heard: Rows) -> None:
        """Write the reception gaps that ended in a day, by the heartbeats that came in time."""
        minutes_ns = day * NS_PER_DAY + np.arange(MINUTES_PER_DAY) * NS_PER_MINUTE
        pieces: list[ReceptionGapColumns] = []
        for start in range(0, len(heard), CHUNK):
            devices, minutes = np.nonzero(unpack_minutes(heard[start : start + CHUNK]))
            devices += start
            at_ns = minutes_ns[minutes] + self._phase_ns[devices]
            is_first = first_of_runs(devices)
            before_ns = np.empty_like(at_ns)
            before_ns[1:] = at_ns[:-1]
            before_ns[is_first] = self._heard_ns[devices[is_first]]
            is_last = last_of_runs(devices)
            self._heard_ns[devices[is_last]] = at_ns[is_last]
            long = np.flatnonzero(at_ns - before_ns > self._policy.late_after_ns)
            pieces.append(
                ReceptionGapColumns(
                    devices[long].astype(np.uint32),
                    before_ns[long],
                    at_ns[long],
                    np.full(len(long), self._policy.interval_s, np.uint32),
                    np.full(len(long), self._policy.grace_s, np.uint32),
                )
            )
        gaps = join_gaps(pieces)
        np.maximum.at(self.columns["up_since_ns"], gaps.devices, gaps.end_ns)
        self.columns["last_received_ns"][:] = self._heard_ns
        self.gaps |= self._files.put_gaps([gaps])

    def _write_samples(self, day: int, sent: Rows, chance: np.random.Generator, advanced: Callable[[], None]) -> None:
        """Write a sample of each metric for each heartbeat sent in a day, as one part."""
        self.columns["other_samples"] += count_minutes(sent) * self._spec.metrics
        if not sent.any():
            return

        def pieces() -> Iterator[SampleColumns]:
            for place in range(self._spec.metrics):
                for start in range(0, self._spec.devices, PIECE_DEVICES):
                    yield self._piece(place, day, unpack_minutes(sent[start : start + PIECE_DEVICES]), start, chance)
                    advanced()

        self.samples.append(write_part(self._store, kind="float", day=day, pieces=pieces(), pause=lambda: None))

    def _piece(
        self, place: int, day: int, sent: NDArray[np.bool_], start: int, chance: np.random.Generator
    ) -> SampleColumns:
        """A metric of a range of devices over a day: a random walk around its level, rounded to a tenth."""
        count = len(sent)
        level = self._level[place, start : start + count]
        _, step = _LEVELS[place]
        walk = np.cumsum(chance.normal(0, step, (count, MINUTES_PER_DAY)), axis=1)
        # Without the drift from one end to the other, so that days join and no metric drifts away.
        walk -= np.linspace(0, 1, MINUTES_PER_DAY)[None, :] * walk[:, -1:]
        values = np.round(np.clip(level[:, None] + walk, -120 if place == len(_LEVELS) - 1 else 0, 100), 1)
        devices, minutes = np.nonzero(sent)
        jitter_ns = chance.integers(-50, 51, len(devices)) * NS_PER_MS
        at_ns = day * NS_PER_DAY + minutes * NS_PER_MINUTE + self._phase_ns[start + devices] + jitter_ns
        # A part holds samples of one day: the jitter must not move the first or the last heartbeat out of it.
        at_ns = np.clip(at_ns, day * NS_PER_DAY, (day + 1) * NS_PER_DAY - 1)
        np.maximum.at(self.columns["latest_sample_ns"], devices + start, at_ns)
        return SampleColumns(
            (devices + start).astype(np.uint32),
            np.full(len(devices), place + 1, np.uint16),
            at_ns,
            values[devices, minutes].view(np.int64),
        )

    def finish(self, catalog: Catalog) -> Manifest:
        """Write the snapshot, and the names of what `catalog` declares. Returns the manifest of all that is written."""
        snapshot = self._files.put_snapshot(self.columns)
        return Manifest(
            position=0,
            open_from_day=self._today - 1,
            taken_at_ns=self._spec.end_ns,
            alive_at_ns=self._spec.end_ns,
            snapshot=snapshot,
            presence=self.presence,
            gaps=self.gaps,
            samples=tuple(self.samples),
            names=write_names(self._store, catalog, position=0),
        )


def declare(spec: HistorySpec, catalog: Catalog) -> None:
    """Register the devices, with labels, and define the metrics. Raises: OutOfRange; OSError."""
    devices = (
        Device(
            f"device-{number:07d}",
            {
                "site": f"site-{number % spec.sites:03d}",
                "model": f"m{number % 7}",
                "firmware": f"{1 + number % 3}.{number % 10}",
            },
        )
        for number in range(spec.devices)
    )
    catalog.register(devices, devices_max=spec.devices, at_ns=spec.start_ns)
    for metric in METRICS[: spec.metrics]:
        catalog.put_metric(metric, metrics_max=len(METRICS) + 1)
