"""A generated history of a fleet, written straight into blocks without a request.

In comes a description of the fleet and of how it behaved. Out come the blocks and the manifest that a node would have
written if it had received every heartbeat, outage, backlog and sample: presence, gaps by both clocks, samples with
their roll-ups, and the snapshot. The same seed gives the same history. A crash leaves files that no manifest names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.aggregate.runs import first_of_runs, last_of_runs
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.history import History
from fleetpulse.blocks.snapshot import SNAPSHOT_COLUMNS
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.device import Device
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS, DeviceSpans, join_device_spans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest, SampleBlock, first_open_day
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.reception_gaps import ReceptionGapColumns, join_gaps
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MS, NS_PER_S
from fleetpulse.pipeline.checkpoint import write_names
from fleetpulse.simulation.beating import INTERVAL_DEFAULT_S, Beating
from fleetpulse.simulation.history_beats import MS_PER_MINUTE, DayBeats, HistoryBeats, Outages

PIECE_DEVICES = 500
"""Devices whose samples of a day are made, and written, at a time."""
BEATS_AT_ONCE = 4_000_000
"""Beats that are made at a time: some 32 MB for each of a few arrays."""
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

    `outages` is the probability of one for each device and day; `outage_minutes` is their mean length.
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
    missed_share: float = 0.00007
    """Share of single heartbeats that were lost."""
    beating: Beating = field(default_factory=Beating)
    jitter_s: float = 0.05
    """How early or late a heartbeat comes at most."""
    restart_every_s: int = 0
    """Once in so many seconds the service was not running for a second; 0: never."""

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
        self._beats = HistoryBeats(
            spec.beating,
            devices=spec.devices,
            start_ns=spec.start_ns,
            end_ns=spec.end_ns,
            jitter_s=spec.jitter_s,
            missed_share=spec.missed_share,
            chance=chance,
        )
        self._level = np.array([chance.normal(level, 5, spec.devices) for level, _ in _LEVELS])
        self._down_until_ns = np.zeros(spec.devices, np.int64)
        self._is_link = np.zeros(spec.devices, bool)
        self.columns = {name: np.zeros(spec.devices, dtype) for name, dtype in SNAPSHOT_COLUMNS.items()}
        self.columns["first_sent_ns"][:] = NO_FIRST_NS
        self.columns["last_sent_ns"][:] = NO_LAST_NS
        self.presence: dict[int, BlockFile] = {}
        self.gaps: dict[int, tuple[GapFile, ...]] = {}
        self.beat_gaps: dict[int, tuple[GapFile, ...]] = {}
        self.samples: list[SampleBlock] = []

    @property
    def days(self) -> range:
        """The days of the history, since 1970-01-01 UTC; the first and the last one are not whole."""
        return range(self._today - self._spec.days, self._today + 1)

    def make_day(self, day: int, advanced: Callable[[], None]) -> None:
        """Write one day; `advanced` is called a few times on the way."""
        chance = np.random.default_rng([self._spec.seed, 1, day])
        outages = self._outages(day, chance)
        rows: Rows = np.zeros((self._spec.devices, WORDS_PER_DAY), np.uint64)
        reception_gaps: list[ReceptionGapColumns] = []
        beat_gaps: list[DeviceSpans] = []
        step = max(1, BEATS_AT_ONCE // self._beats.a_day)
        for start in range(0, self._spec.devices, step):
            count = min(step, self._spec.devices - start)
            beats = self._beats.of_day(day, start, count, outages)
            rows[start : start + count] = beats.presence(count)
            self._count(day, start, beats)
            reception_gaps.append(self._reception_gaps(day, start, beats))
            beat_gaps.append(self._beat_gaps(day, start, beats))
        if day >= first_open_day(self._spec.end_ns):
            self.presence[day] = self._files.put_open_day(day, dense=rows)
        else:
            self.presence[day] = self._files.put_closed_day(
                day, dense=rows, closed_minutes=self.columns["closed_minutes"]
            )
        self.gaps |= self._files.put_gaps([join_gaps(reception_gaps)])
        self.beat_gaps |= self._files.put_beat_gaps([join_device_spans(beat_gaps)])
        advanced()
        if self._spec.metrics and rows.any():
            self._write_samples(day, outages, chance, advanced)

    def _outages(self, day: int, chance: np.random.Generator) -> Outages:
        """The outage of each device that has one; one that goes on since the day before is the only one of a day."""
        spec, start_ns = self._spec, day * NS_PER_DAY
        is_going_on = self._down_until_ns > start_ns
        is_hit = (chance.random(spec.devices) < spec.outages) & ~is_going_on
        starts_ms = np.zeros(spec.devices, np.int64)
        hit = np.flatnonzero(is_hit)
        starts_ms[hit] = chance.integers(0, MINUTES_PER_DAY, len(hit)) * MS_PER_MINUTE
        lengths_ms = (2 + chance.exponential(spec.outage_minutes, len(hit)).astype(np.int64)) * MS_PER_MINUTE
        self._is_link[hit] = chance.random(len(hit)) < spec.link_share
        self._down_until_ns[hit] = start_ns + (starts_ms[hit] + lengths_ms) * NS_PER_MS
        ends_ms = np.where(is_hit | is_going_on, (self._down_until_ns - start_ns) // NS_PER_MS, 0)
        return Outages(starts_ms, ends_ms, self._is_link)

    def _count(self, day: int, start: int, beats: DayBeats) -> None:
        """Count the beats of a day of the devices from `start` on in the columns of the snapshot."""
        columns, devices = self.columns, beats.devices + start
        at_ns = day * NS_PER_DAY + beats.at_ms * NS_PER_MS
        is_first = first_of_runs(devices)
        seen = devices[is_first]
        columns["first_sent_ns"][seen] = np.minimum(columns["first_sent_ns"][seen], at_ns[is_first])
        counts = np.diff(np.append(np.flatnonzero(is_first), len(devices)))
        columns["heartbeats"][seen] += counts.astype(np.uint32)
        columns["other_samples"][seen] += counts * self._spec.metrics

    def _reception_gaps(self, day: int, start: int, beats: DayBeats) -> ReceptionGapColumns:
        """Those of the devices from `start` on that ended in a day, by the beats that came in time."""
        long = self._long_stretches(day, start, beats.where(beats.is_in_time), self.columns["last_received_ns"])
        np.maximum.at(self.columns["up_since_ns"], long.devices, long.end_ns)
        return ReceptionGapColumns(
            long.devices,
            long.start_ns,
            long.end_ns,
            np.full(len(long), self._policy.interval_s, np.uint32),
            np.full(len(long), self._policy.grace_s, np.uint32),
        )

    def _beat_gaps(self, day: int, start: int, beats: DayBeats) -> DeviceSpans:
        """The gaps between beats of the devices from `start` on that ended in a day, by all beats that were sent."""
        long = self._long_stretches(day, start, beats, self.columns["last_sent_ns"])
        gaps = long.where(np.flatnonzero(long.start_ns != NO_LAST_NS))
        np.maximum.at(self.columns["gap_until_ns"], gaps.devices, gaps.end_ns)
        return gaps

    def _long_stretches(self, day: int, start: int, beats: DayBeats, last_ns: NDArray[np.int64]) -> DeviceSpans:
        """Times without a beat before each beat, if they are longer than a missed beat.

        Args: last_ns: of all devices the last beat before the day; changed in place to the last one in it.
        """
        devices, at_ns = beats.devices + start, day * NS_PER_DAY + beats.at_ms * NS_PER_MS
        is_first, is_last = first_of_runs(devices), last_of_runs(devices)
        before_ns = np.empty_like(at_ns)
        before_ns[1:] = at_ns[:-1]
        before_ns[is_first] = last_ns[devices[is_first]]
        last_ns[devices[is_last]] = at_ns[is_last]
        # The first beat of a device has a last one before it that is none, at the beginning of time.
        long = np.flatnonzero(before_ns < at_ns - min(self._policy.gap_after_ns, self._policy.down_after_ns))
        return DeviceSpans(devices[long].astype(np.uint32), before_ns[long], at_ns[long])

    def _write_samples(
        self, day: int, outages: Outages, chance: np.random.Generator, advanced: Callable[[], None]
    ) -> None:
        """Write a sample of each metric with each beat of a day, as one part."""

        def pieces() -> Iterator[SampleColumns]:
            for place in range(self._spec.metrics):
                for start in range(0, self._spec.devices, PIECE_DEVICES):
                    count = min(PIECE_DEVICES, self._spec.devices - start)
                    beats = self._beats.of_day(day, start, count, outages)
                    yield self._piece(place, day, start, beats, chance)
                    advanced()

        self.samples.append(write_part(self._store, kind="float", day=day, pieces=pieces(), pause=lambda: None))

    def _piece(self, place: int, day: int, start: int, beats: DayBeats, chance: np.random.Generator) -> SampleColumns:
        """A metric of the devices of some beats over a day: a random walk around its level, rounded to a tenth."""
        level = self._level[place, start : start + PIECE_DEVICES]
        _, step = _LEVELS[place]
        walk = np.cumsum(chance.normal(0, step, (len(level), MINUTES_PER_DAY)), axis=1)
        # Without the drift from one end to the other, so that days join and no metric drifts away.
        walk -= np.linspace(0, 1, MINUTES_PER_DAY)[None, :] * walk[:, -1:]
        values = np.round(np.clip(level[:, None] + walk, -120 if place == len(_LEVELS) - 1 else 0, 100), 1)
        devices = beats.devices + start
        at_ns = day * NS_PER_DAY + beats.at_ms * NS_PER_MS
        np.maximum.at(self.columns["latest_sample_ns"], devices, at_ns)
        return SampleColumns(
            devices.astype(np.uint32),
            np.full(len(devices), place + 1, np.uint16),
            at_ns,
            values[beats.devices, beats.at_ms // MS_PER_MINUTE].view(np.int64),
        )

    def finish(self, catalog: Catalog) -> Manifest:
        """Write the snapshot, and the names of what `catalog` declares. Returns the manifest of all that is written."""
        snapshot = self._files.put_snapshot(self.columns)
        return Manifest(
            position=0,
            open_from_day=first_open_day(self._spec.end_ns),
            taken_at_ns=self._spec.end_ns,
            alive_at_ns=self._spec.end_ns,
            blind_ns=self._blind_ns(),
            snapshot=snapshot,
            presence=self.presence,
            gaps=self.gaps,
            beat_gaps=self.beat_gaps,
            samples=tuple(self.samples),
            names=write_names(self._store, catalog, position=0),
        )

    def _blind_ns(self) -> tuple[tuple[int, int], ...]:
        """The seconds in which the service was not running."""
        spec = self._spec
        if not spec.restart_every_s:
            return ()
        every_ns = spec.restart_every_s * NS_PER_S
        return tuple((at_ns, at_ns + NS_PER_S) for at_ns in range(spec.start_ns + every_ns, spec.end_ns, every_ns))


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
            interval_s=None if spec.beating.interval_s == INTERVAL_DEFAULT_S else spec.beating.interval_s,
        )
        for number in range(spec.devices)
    )
    catalog.register(devices, devices_max=spec.devices, at_ns=spec.start_ns)
    for metric in METRICS[: spec.metrics]:
        catalog.put_metric(metric, metrics_max=len(METRICS) + 1)
