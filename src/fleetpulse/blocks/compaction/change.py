"""A change of the manifest's sample blocks, which compaction proposes and its caller commits."""

from dataclasses import dataclass, field, replace

from fleetpulse.model.manifest import Expired, Manifest, SampleBlock


@dataclass(frozen=True, slots=True)
class Change:
    """Blocks that others replace, which may share files with them; and the samples that are left out for good."""

    removed: tuple[SampleBlock, ...]
    added: tuple[SampleBlock, ...]
    expired: Expired = field(default_factory=dict)


def apply_change(manifest: Manifest, change: Change) -> Manifest:
    """The manifest with the change made; blocks that a checkpoint has added meanwhile stay."""
    kept = tuple(block for block in manifest.samples if block not in change.removed)
    expired = {metric: dict(days) for metric, days in manifest.expired.items()}
    for metric, days in change.expired.items():
        totals = expired.setdefault(metric, {})
        for day, samples in days.items():
            totals[day] = totals.get(day, 0) + samples
    return replace(manifest, samples=(*kept, *change.added), expired=expired)
