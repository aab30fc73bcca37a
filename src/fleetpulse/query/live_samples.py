"""The samples that no block holds yet, each once: what a question adds to the samples and roll-ups of blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.sample_repeats import Comparison
from fleetpulse.errors import DamagedData
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns, join_samples
from fleetpulse.query.answers import Missing
from fleetpulse.query.missing import note_missing
from fleetpulse.query.reads import Samples


@dataclass(frozen=True, slots=True)
class LiveRange:
    """Which samples: of one metric with sent_at in [start_ns, end_ns); of one device, of several, or (None) of all."""

    number: int
    start_ns: int
    end_ns: int
    device: int | None = None
    is_selected: NDArray[np.bool_] | None = None
    """Whose, by device number, shape (devices,)."""

    def of(self, samples: SampleColumns) -> SampleColumns:
        """Those of the samples that are in the range."""
        chosen = (samples.metrics == self.number) & (samples.at_ns >= self.start_ns) & (samples.at_ns < self.end_ns)
        if self.device is not None:
            chosen &= samples.devices == self.device
        return samples.where(chosen)

    def of_selected(self, samples: SampleColumns) -> SampleColumns:
        """The same, only of the devices that are selected."""
        found = self.of(samples)
        if self.is_selected is None:
            return found
        known = found.where(np.flatnonzero(found.devices < len(self.is_selected)))
        return known.where(np.flatnonzero(self.is_selected[known.devices]))


def live_samples(
    where: Samples, wanted: LiveRange, metric: MetricDefinition, missing: list[Missing] | None = None
) -> Iterator[SampleColumns]:
    """The live samples of a range, each once; also of devices that are not selected.

    Doubtful ones are compared with the samples of blocks. Where a block cannot be read, their times are noted in
    `missing`, and they are left out. Raises: DamagedData: a block cannot be read, and there is no list to note it in.
    """
    certain = [wanted.of(piece) for piece in where.live]
    yield from certain
    doubtful = join_samples([wanted.of_selected(piece) for piece in where.doubtful])
    if len(doubtful):
        comparison = Comparison(
            certain,
            where.history,
            where.manifest,
            {wanted.number: where.kept.get(wanted.number, metric)},
            where.today,
            pause=where.budget.check,
        )
        try:
            yield comparison.compare([doubtful]).new
        except DamagedData as error:
            if missing is None:
                raise
            note_missing(missing, int(doubtful.at_ns.min()), int(doubtful.at_ns.max()) + 1, error)
