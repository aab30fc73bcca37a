"""The manifest: which files are the history, and how far into the journal they reach."""

from dataclasses import dataclass, field

from fleetpulse.model.events import Position
from fleetpulse.model.metric import Kind

RAW, MINUTE, HOUR, DAY = "raw", "minute", "hour", "day"
TIERS = (RAW, MINUTE, HOUR, DAY)
"""What a sample block may hold: the samples themselves, and their roll-ups, ever coarser."""


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One file of the block store, with what is needed to know that it is whole."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Samples of one kind of value, and perhaps the roll-ups of exactly these samples.

    Fresh from a checkpoint (`day` None) it holds samples of any days, and only them. Compacted, it is a part of one UTC day: of
    the day's parts each sample is in exactly one.
    """

    kind: Kind
    day: int | None
    start_ns: int
    end_ns: int
    """Half-open: the sent_at of all its samples."""
    samples: int
    files: dict[str, BlockFile]
    """By tier."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint: everything up to `position` is in these files and nowhere else.

    `presence` maps a day (days since 1970-01-01) to its block. Days below `open_from_day` are closed: their minutes are
    counted in the snapshot's `closed_minutes`. The others are open: their block is part of the snapshot and is replaced by
    the next one. `silences` maps the day in which they ended to their block.
    """

    position: Position = 0
    open_from_day: int = 0
    taken_at_ns: int = 0
    alive_at_ns: int = 0
    blind_ns: tuple[tuple[int, int], ...] = ()
    snapshot: BlockFile | None = None
    presence: dict[int, BlockFile] = field(default_factory=dict)
    gaps: dict[int, BlockFile] = field(default_factory=dict)
    samples: tuple[SampleBlock, ...] = ()
    names: dict[str, BlockFile] = field(default_factory=dict)
    """`devices` and `metrics`: what the numbers in the other blocks stand for."""

    def files(self) -> list[BlockFile]:
        """All files that the manifest names."""
        return [
            *([self.snapshot] if self.snapshot else []),
            *self.presence.values(),
            *self.gaps.values(),
            *(file for block in self.samples for file in block.files.values()),
            *self.names.values(),
        ]
