"""What a question reads: of every block the coarsest tier whose buckets lie wholly inside the window and inside a step.

Every sample is read once: a live one from memory, one of a fresh block from its samples, one of a compacted block from
one of its tiers; what sticks out of whole buckets at the edges from a finer tier.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fleetpulse.blocks.history import History
from fleetpulse.blocks.samples import RowRange
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, MINUTE, RAW, Manifest, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.budget import Budget
from fleetpulse.query.resolution import SAMPLE_NS, Resolution
from fleetpulse.query.window import Window

BUCKET_NS = {MINUTE: NS_PER_MINUTE, HOUR: NS_PER_HOUR, DAY: NS_PER_DAY}
LIVE = "live"


@dataclass(frozen=True, slots=True)
class Samples:
    """Where samples are, all at one moment: what no block holds, and what the blocks of a manifest do."""

    live: Sequence[SampleColumns]
    """Samples of which none repeats another, or one of a block."""
    manifest: Manifest
    history: History
    doubtful: Sequence[SampleColumns] = ()
    """Further live samples, which may repeat others; see `live_samples`."""
    today: int = 0
    """Days since 1970-01-01 UTC."""
    kept: Mapping[int, MetricDefinition] = field(default_factory=dict)
    """Definitions by number, where samples are still kept by another one than is declared."""
    budget: Budget = field(default_factory=Budget, compare=False)
    """What the question may cost."""


@dataclass(frozen=True, slots=True)
class Read:
    """One piece of work: a tier of a block (None: live samples), of which [start_ns, end_ns)."""

    block: SampleBlock | None
    tier: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read of a metric for a window, each sample once.

    `window` has the buckets at the edges of the question's own window whole, where samples are gone.
    """

    window: Window
    resolution: Resolution
    reads: Sequence[Read]


def plan_reads(where: Samples, number: int, kind: str, window: Window, *, is_raw_preferred: bool) -> Plan:
    """Plan a question; `is_raw_preferred`: single samples wherever they are kept."""
    parts = [
        _Part(where.history, block, number)
        for block in where.manifest.samples
        if block.kind == kind and block.day is not None
    ]
    resolution = _resolution(parts, window, where.budget)
    window = resolution.widened(window)
    reads = [Read(None, LIVE, window.start_ns, window.end_ns)]
    for block in where.manifest.samples:
        start_ns, end_ns = max(window.start_ns, block.start_ns), min(window.end_ns, block.end_ns)
        if block.kind == kind and block.day is None and start_ns < end_ns:
            reads.append(Read(block, RAW, start_ns, end_ns))
    for part in parts:
        where.budget.check()
        reads += part.reads(window, resolution, is_raw_preferred=is_raw_preferred)
    return Plan(window, resolution, reads)


def _resolution(parts: Sequence["_Part"], window: Window, budget: Budget) -> Resolution:
    """The coarsest of what the parts of a day have, so that the answer is the same after they are merged."""
    days = window.whole_days()
    first_day, end_day = days.start_ns // NS_PER_DAY, days.end_ns // NS_PER_DAY
    buckets_ns = np.full(end_day - first_day, SAMPLE_NS, np.int64)
    for part in parts:
        budget.check()
        if first_day <= part.day < end_day and part.has(DAY) and not part.has(RAW):
            bucket_ns = NS_PER_MINUTE if part.has(MINUTE) else NS_PER_HOUR
            buckets_ns[part.day - first_day] = max(buckets_ns[part.day - first_day], bucket_ns)
    return Resolution(first_day, buckets_ns)


@dataclass(frozen=True, slots=True)
class _Part:
    """A compacted block, for one metric: a file holds all of the metric or nothing. Days and hours always do."""

    history: History
    block: SampleBlock
    number: int

    @property
    def day(self) -> int:
        """Days since 1970-01-01 UTC."""
        assert self.block.day is not None, "fresh blocks are no parts"
        return self.block.day

    def has(self, tier: str) -> bool:
        """Whether a tier holds the metric. One that cannot be read counts as holding it; its data are then missing."""
        try:
            return (
                tier in self.block.files and self.number in self.history.footer(self.block.files[tier]).least["metric"]
            )
        except DamagedData:
            return True

    def reads(self, window: Window, resolution: Resolution, *, is_raw_preferred: bool) -> Iterator[Read]:
        """What to read of it for a window whose edges cut no bucket."""
        block = self.block
        start_ns, end_ns = max(window.start_ns, block.start_ns), min(window.end_ns, block.end_ns)
        if start_ns >= end_ns or not self.has(DAY):
            return
        is_raw = resolution.bucket_ns(self.day) == SAMPLE_NS and self.has(RAW)
        if is_raw_preferred and is_raw:
            yield Read(block, RAW, start_ns, end_ns)
            return
        # A part holds nothing outside its own span, so a bucket that sticks out of the window where the part has ended
        # already is as good as whole.
        first_ns = window.start_ns if block.start_ns < window.start_ns else self.day * NS_PER_DAY
        last_ns = window.end_ns if block.end_ns > window.end_ns else (self.day + 1) * NS_PER_DAY
        preferred = (RAW, MINUTE) if is_raw else (MINUTE, RAW)
        finest = next((tier for tier in preferred if self.has(tier)), HOUR)
        yield from self.tiers(first_ns, last_ns, window.grain_ns, (DAY, HOUR, MINUTE), finest)

    def tiers(
        self, start_ns: int, end_ns: int, grain_ns: int | None, tiers: Sequence[str], finest: str
    ) -> Iterator[Read]:
        """Cover [start_ns, end_ns) with the coarsest whole buckets, and the rest on either side with finer ones.

        What whole buckets cannot cover comes from `finest`: of samples, or where they are gone of buckets.
        """
        if start_ns >= end_ns:
            return
        for place, tier in enumerate(tiers):
            bucket_ns = BUCKET_NS[tier]
            inner_start_ns, inner_end_ns = -(-start_ns // bucket_ns) * bucket_ns, end_ns // bucket_ns * bucket_ns
            if (grain_ns is None or grain_ns % bucket_ns == 0) and inner_start_ns < inner_end_ns and self.has(tier):
                finer = tiers[place + 1 :]
                yield from self.tiers(start_ns, inner_start_ns, grain_ns, finer, finest)
                yield Read(self.block, tier, inner_start_ns, inner_end_ns)
                yield from self.tiers(inner_end_ns, end_ns, grain_ns, finer, finest)
                return
        yield Read(self.block, finest, start_ns, end_ns)


def count_rows(where: Samples, reads: Sequence[Read], number: int, device: int | None) -> int:
    """How many samples a plan finds at most: row groups of a file may hold other devices and times, too."""
    total = 0
    for read in reads:
        where.budget.check()
        if read.block is None:
            total += sum(int(np.count_nonzero(piece.metrics == number)) for piece in (*where.live, *where.doubtful))
            continue
        try:
            footer = where.history.footer(read.block.files[read.tier])
        except DamagedData:
            continue  # noted as missing when it is read
        rows = footer.rows[RowRange(read.start_ns, read.end_ns, *_devices(device)).groups(footer, number)]
        total += int(rows.sum())
    return total


def _devices(device: int | None) -> tuple[int, ...]:
    return () if device is None else (device, device + 1)
