"""A change of the manifest's sample blocks, which compaction proposes and its caller commits."""

from dataclasses import dataclass, replace

from fleetpulse.model.manifest import Manifest, SampleBlock


@dataclass(frozen=True, slots=True)
class Change:
    """Blocks that others replace; both may share files."""

    removed: tuple[SampleBlock, ...]
    added: tuple[SampleBlock, ...]


def apply_change(manifest: Manifest, change: Change) -> Manifest:
    """The manifest with the change made; blocks that a checkpoint has added meanwhile stay."""
    kept = tuple(block for block in manifest.samples if block not in change.removed)
    return replace(manifest, samples=(*kept, *change.added))
