"""The manifest: which files are the history, and how far into the journal they reach."""

from dataclasses import dataclass, field

from fleetpulse.model.events import Position


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One file of the block store, with what is needed to know that it is whole."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checkpoint: everything up to `position` is in these files and nowhere else.

    `presence` maps a day (days since 1970-01-01) to its block. Days below `open_from_day` are closed: their minutes are
    counted in the snapshot's `closed_minutes`. The others are open: their block is part of the snapshot and is replaced by
    the next one.
    """

    position: Position = 0
    open_from_day: int = 0
    taken_at_ns: int = 0
    snapshot: BlockFile | None = None
    presence: dict[int, BlockFile] = field(default_factory=dict)

    def files(self) -> list[BlockFile]:
        """All files that the manifest names."""
        return ([self.snapshot] if self.snapshot else []) + list(self.presence.values())
