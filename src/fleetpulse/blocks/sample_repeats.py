"""Which doubtful samples are new, and which repeat one that memory or a block holds already.

Only samples that are kept can be compared. Where retention has removed those of a metric's day, or will because of the
day's age, each acknowledgement counts, as if the sample were new.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.sample_set import is_among, repeats_in
from fleetpulse.blocks.history import History
from fleetpulse.blocks.samples import RowRange
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, RAW, BlockFile, Manifest, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.model.units import NS_PER_DAY

OnDamage = Callable[[DamagedData], None]


def _raise(error: DamagedData) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class Comparison:
    """What doubtful samples are compared with.

    `certain` are samples in memory, of which none repeats another or one of a block. `metrics` are definitions by
    number, of all metrics of the doubtful samples; `today` counts days since 1970-01-01 UTC. `pause` is called between
    row groups. `on_damage` is called with a block that cannot be read, and what was not found elsewhere then counts as
    new; unless it is given, DamagedData is raised.
    """

    certain: Sequence[SampleColumns]
    history: History
    manifest: Manifest
    metrics: Mapping[int, MetricDefinition]
    today: int
    pause: Callable[[], None] = lambda: None
    on_damage: OnDamage = _raise

    def compare(self, doubtful: Sequence[SampleColumns]) -> "Compared":
        """Compare samples with each other, with those in memory and with blocks.

        Cost: a look at all samples in memory, and reading the row groups that may hold one of the doubtful ones.
        Raises: DamagedData: a block cannot be read, and there is no `on_damage`.
        """
        samples = join_samples(list(doubtful))
        if not len(samples):
            return Compared(samples, repeated=0, uncompared=0)
        is_kept = self._is_kept(samples)
        kept = samples.where(np.flatnonzero(is_kept))
        kept = kept.where(np.flatnonzero(~repeats_in(kept)))
        for piece in self.certain:
            kept = kept.where(np.flatnonzero(~is_among(kept, piece)))
        for number in np.unique(kept.metrics).tolist():
            kept = kept.where(np.flatnonzero(~self._is_stored(kept, number)))
        uncompared = samples.where(np.flatnonzero(~is_kept))
        new = join_samples([kept, uncompared])
        return Compared(new, repeated=len(samples) - len(new), uncompared=len(uncompared))

    def _is_kept(self, samples: SampleColumns) -> NDArray[np.bool_]:
        """Of which samples the metric and day are kept whole: bool, shape (n,)."""
        is_kept = np.ones(len(samples), np.bool_)
        days = samples.at_ns // NS_PER_DAY
        for number in np.unique(samples.metrics).tolist():
            metric = self.metrics[number]
            is_of_metric = samples.metrics == number
            is_kept &= ~is_of_metric | (days >= self.today - metric.samples_kept_days)
            lost = self._lost_days(metric, number, set(np.unique(days[is_of_metric]).tolist()))
            is_kept &= ~is_of_metric | ~np.isin(days, lost)
        return is_kept

    def _lost_days(self, metric: MetricDefinition, number: int, days: set[int]) -> list[int]:
        """The days of which a part holds roll-ups of a metric without its samples."""
        return [
            block.day
            for block in self.manifest.samples
            if block.kind == metric.kind
            and block.day is not None
            and block.day in days
            and self._holds(block, DAY, number)
            and not self._holds(block, RAW, number)
        ]

    def _holds(self, block: SampleBlock, tier: str, number: int) -> bool:
        """Whether a tier of a block holds a metric; one that cannot be read counts as holding it."""
        try:
            return tier in block.files and number in self.history.footer(block.files[tier]).least["metric"]
        except DamagedData:
            return True

    def _is_stored(self, samples: SampleColumns, number: int) -> NDArray[np.bool_]:
        """Which samples are of this metric and in a block: bool, shape (n,)."""
        is_stored = np.zeros(len(samples), np.bool_)
        rows = np.flatnonzero(samples.metrics == number)
        # By device, so that the samples that a row group may hold are neighbours.
        rows = rows[np.argsort(samples.devices[rows], kind="stable")]
        wanted = samples.where(rows)
        for block in self.manifest.samples:
            if block.kind == self.metrics[number].kind and RAW in block.files:
                inside = (wanted.at_ns >= block.start_ns) & (wanted.at_ns < block.end_ns)
                if inside.any():
                    try:
                        for start, end, stored in self._groups(block.files[RAW], wanted, number):
                            is_stored[rows[start:end]] |= is_among(wanted.where(slice(start, end)), stored)
                            self.pause()
                    except DamagedData as error:
                        self.on_damage(error)
        return is_stored

    def _groups(self, file: BlockFile, wanted: SampleColumns, number: int) -> Iterator[tuple[int, int, SampleColumns]]:
        """The row groups of a file that may hold some of `wanted`, each with the range of rows of these."""
        footer = self.history.footer(file)
        whole = RowRange(
            int(wanted.at_ns.min()), int(wanted.at_ns.max()) + 1, int(wanted.devices[0]), int(wanted.devices[-1]) + 1
        )
        for group in whole.groups(footer, number):
            devices = [footer.least["device"][group], footer.greatest["device"][group] + 1]
            start, end = np.searchsorted(wanted.devices, np.array(devices, np.int64)).tolist()
            at_ns = wanted.at_ns[start:end]
            if ((at_ns >= footer.least["at"][group]) & (at_ns <= footer.greatest["at"][group])).any():
                (stored,) = self.history.sample_groups(file, [group])
                yield start, end, stored


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison has found: the samples that are new, and how many there are of each kind."""

    new: SampleColumns
    repeated: int
    """How many samples repeat others, and so change nothing."""
    uncompared: int
    """How many of the new ones may repeat others that are no longer kept."""
