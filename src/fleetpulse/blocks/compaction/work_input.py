"""What every kind of compaction work is given, and the questions that all kinds ask of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fleetpulse.blocks.history import History
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import TIERS, BlockFile, SampleBlock
from fleetpulse.model.metric import Kind, MetricDefinition
from fleetpulse.model.retention import FOREVER_DAYS

OnDamage = Callable[[SampleBlock | BlockFile, DamagedData], None]
"""Called with a block, or a file of reception gaps, that is missing or damaged, and with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class CompactionInput:
    """Blocks, definitions and the day now, with two callbacks.

    `metrics` are definitions by number; `today` counts days since 1970-01-01 UTC; `pause` is called between units of
    work, so that other threads get their turn.
    """

    history: History
    metrics: Mapping[int, MetricDefinition]
    today: int
    pause: Callable[[], None]
    on_damage: OnDamage
    gap_days: int = FOREVER_DAYS
    """How long reception gaps are kept."""

    def metrics_of_kind(self, kind: Kind) -> set[int]:
        """The numbers of all metrics of a kind of value."""
        return {number for number, metric in self.metrics.items() if metric.kind == kind}

    def is_compared(self, number: int, day: int) -> bool:
        """Whether samples of a metric and day are still compared with others, so that repeated ones count once."""
        return day >= self.today - self.metrics[number].samples_kept_days

    def metrics_in(self, block: SampleBlock, tier: str) -> set[int]:
        """The metrics that a block holds in a tier; none where it lacks the tier. Raises: DamagedData."""
        return set(self.history.metrics_of(block.files[tier])) if tier in block.files else set()

    def sound_blocks(self, blocks: Iterable[SampleBlock]) -> tuple[SampleBlock, ...]:
        """Those of the blocks whose files are all as they were written."""
        return tuple(block for block in blocks if self.is_sound(block))

    def is_sound(self, block: SampleBlock, tiers: Iterable[str] = TIERS) -> bool:
        """Whether the files of a block in these tiers are as they were written; what is wrong is passed to `on_damage`.

        A damaged file must not be rewritten: the new file's checksum would hide the damage.
        """
        try:
            for tier in tiers:
                if tier in block.files:
                    self.history.check(block.files[tier])
                    self.pause()
        except DamagedData as error:
            self.on_damage(block, error)
            return False
        return True

    def are_sound_files(self, files: Iterable[BlockFile]) -> bool:
        """Whether all files, none of which is part of a sample block, are as they were written; each is looked at.

        A file that this process has checked before is not read again.
        """
        return not [file for file in files if not self.is_sound_file(file, is_once=True)]

    def is_sound_file(self, file: BlockFile, *, is_once: bool = False) -> bool:
        """The same of a file that is no part of a sample block.

        Args: is_once: do not look again where this process has checked it before.
        """
        try:
            if is_once:
                self.history.check_once(file)
            else:
                self.history.check(file)
                self.pause()
        except DamagedData as error:
            self.on_damage(file, error)
            return False
        return True
