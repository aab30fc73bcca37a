"""Sample blocks in memory for tests of compaction; samples go in and come out as plain tuples."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fleetpulse.aggregate.aggregations import figures
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.blocks.compaction.work_input import CompactionInput
from fleetpulse.blocks.history import History
from fleetpulse.blocks.samples import sort_samples
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.model.manifest import RAW, Manifest, SampleBlock
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE

DAY = 20_000
"""The day of the samples, since 1970-01-01; `at` counts minutes from its begin."""
UPLOAD, CPU, LOAD = 0, 1, 2
Sample = tuple[int, int, float, int | float]
"""Metric, device, minutes since the begin of DAY, value."""


def columns_of(samples: Sequence[Sample]) -> SampleColumns:
    """Samples as columns, in the order given."""
    values = [
        np.int64(value) if metric == UPLOAD else np.float64(value).view(np.int64) for metric, _, _, value in samples
    ]
    return SampleColumns(
        np.array([device for _, device, _, _ in samples], np.uint32),
        np.array([metric for metric, _, _, _ in samples], np.uint16),
        np.array([DAY * NS_PER_DAY + round(minute * NS_PER_MINUTE) for _, _, minute, _ in samples], np.int64),
        np.array(values, np.int64),
    )


@dataclass
class SampleBlocks:
    """A store with blocks of an integer metric, UPLOAD, and of two float metrics, CPU and LOAD."""

    store: MemoryBlockStore = field(default_factory=MemoryBlockStore)
    today: int = DAY + 1
    metrics: dict[int, MetricDefinition] = field(
        default_factory=lambda: {
            UPLOAD: MetricDefinition(name="upload_time", kind="integer"),
            CPU: MetricDefinition(name="cpu"),
            LOAD: MetricDefinition(name="load"),
        }
    )
    damaged: list[SampleBlock] = field(default_factory=list)
    pauses: int = 0

    @property
    def work(self) -> CompactionInput:
        """What compaction is given."""
        return CompactionInput(
            self.history, self.metrics, self.today, self._pause, lambda block, _: self.damaged.append(block)
        )

    @property
    def history(self) -> History:
        """A new one, which remembers nothing that it has read or checked."""
        return History(self.store, Manifest())

    def _pause(self) -> None:
        self.pauses += 1

    def fresh(self, *samples: Sample) -> SampleBlock:
        """A block as a checkpoint writes it; the samples are of one kind."""
        files = CheckpointFiles(self.history, position=1, device_count=0, pause=self._pause)
        (block,) = files.put_samples([columns_of(samples)], self.metrics, is_distinct=True)
        return block

    def part(self, *samples: Sample, day: int = DAY) -> SampleBlock:
        """A part of a day; the samples are of one kind."""
        kind = self.metrics[samples[0][0]].kind
        pieces = [sort_samples(columns_of(samples))]
        return write_part(self.store, kind=kind, day=day, pieces=pieces, pause=self._pause)

    def samples(self, block: SampleBlock) -> list[Sample]:
        """The samples of a block, in the order of its file."""
        file, history = block.files[RAW], self.history
        return [
            (metric, device, (at_ns - DAY * NS_PER_DAY) / NS_PER_MINUTE, value)
            for piece in history.sample_groups(file, range(len(history.footer(file).rows)))
            for metric, device, at_ns, value in zip(
                piece.metrics.tolist(),
                piece.devices.tolist(),
                piece.at_ns.tolist(),
                (piece.values if block.kind == "integer" else piece.values.view(np.float64)).tolist(),
                strict=True,
            )
        ]

    def cells(self, block: SampleBlock, tier: str) -> list[tuple[int, int, float, int, int | float]]:
        """Metric, device, minutes since the begin of DAY, count and sum of the cells of a tier, in file order."""
        file, history = block.files[tier], self.history
        return [
            (
                rows.metric,
                int(rows.devices[place]),
                (int(rows.at_ns[place]) - DAY * NS_PER_DAY) / NS_PER_MINUTE,
                int(rows.cells.counts[place]),
                total,
            )
            for rows in history.rollup_groups(file, range(len(history.footer(file).rows)), block.kind)
            for place, total in enumerate(figures(rows.cells, "sum"))
        ]

    def damage(self, block: SampleBlock, tier: str) -> None:
        """Change the last byte of a file."""
        file = block.files[tier]
        with self.store.open(file.name) as reader:
            body = bytearray(reader.read())
        body[-1] ^= 1
        self.store.put(file.name, lambda to: to.write(body) and None)
