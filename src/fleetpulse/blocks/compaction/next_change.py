"""The most useful piece of compaction work: removing what has expired, merging late data and gaps, folding samples."""

from collections.abc import Callable, Mapping

from fleetpulse.blocks.compaction.change import Change
from fleetpulse.blocks.compaction.divide_gaps import divide_gap_files
from fleetpulse.blocks.compaction.expire_gaps import remove_expired_gaps
from fleetpulse.blocks.compaction.fold import fold_fresh_blocks
from fleetpulse.blocks.compaction.join_late import join_waiting_blocks
from fleetpulse.blocks.compaction.merge import merge_parts
from fleetpulse.blocks.compaction.merge_gaps import merge_gap_files
from fleetpulse.blocks.compaction.merge_late import merge_late
from fleetpulse.blocks.compaction.resolve_backfill import resolve_backfill
from fleetpulse.blocks.compaction.retention import remove_expired
from fleetpulse.blocks.compaction.work_input import CompactionInput, OnDamage
from fleetpulse.blocks.gap_rows import BEATS, COVERS, RECEPTION
from fleetpulse.blocks.history import History
from fleetpulse.blocks.stored_late import mergeable_blocks
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.retention import FOREVER_DAYS

FRESH_MAX = 8
"""Fresh blocks of a kind before they are folded into parts."""
LATE_BLOCKS_HARD_MAX = 16
"""Late blocks beyond which merging them comes before other work, since questions about one device read all of them."""
BACKFILL_FILES_HARD_MAX = 16
"""Files of backfill beyond which giving them to days comes before other work, for the same reason."""
PARTS_MAX = 4
"""Parts of a day before they are merged."""


def next_change(
    history: History,
    manifest: Manifest,
    *,
    metrics: Mapping[int, MetricDefinition],
    today: int | None,
    pause: Callable[[], None],
    fresh_max: int = FRESH_MAX,
    parts_max: int = PARTS_MAX,
    gap_days: int = FOREVER_DAYS,
    is_forced: bool = False,
    on_damage: OnDamage = lambda _block, _error: None,
) -> Change | None:
    """Do the most useful piece of work; None where there is none. Blocks for seconds.

    Retention comes first, so that no metric is merged that is about to be removed. A block that is missing or damaged
    is passed to `on_damage` and left as it is: it is removed when all of its metrics have expired.

    Args:
        metrics: definitions by number; every metric of the manifest's blocks must be there.
        today: the day now, since 1970-01-01 UTC; None: it is not certain, so nothing expires.
        gap_days: how many days reception gaps are kept.
        pause: called between units of work.
        is_forced: merge late blocks, resolve backfill and fold fresh blocks however few they are.
    Raises: OSError: the disk is full or failing; nothing has changed.
    """
    work = CompactionInput(history, metrics, 0 if today is None else today, pause, on_damage, gap_days)
    return (
        remove_expired(work, manifest)
        or remove_expired_gaps(work, manifest)
        or (merge_late(work, manifest) if len(mergeable_blocks(history, manifest)) > LATE_BLOCKS_HARD_MAX else None)
        or (resolve_backfill(work, manifest) if len(manifest.backfill) > BACKFILL_FILES_HARD_MAX else None)
        or join_waiting_blocks(work, manifest)
        # Before samples, since each checkpoint adds a file, and questions about one device read all files of a day.
        or merge_gap_files(work, manifest, layout=RECEPTION)
        or merge_gap_files(work, manifest, layout=BEATS)
        or resolve_backfill(work, manifest, is_forced=is_forced)
        or merge_gap_files(work, manifest, layout=COVERS)
        or divide_gap_files(work, manifest)
        or fold_fresh_blocks(work, manifest, fresh_min=1 if is_forced else fresh_max)
        or merge_parts(work, manifest, parts_max=parts_max)
        # Last, since late data of thousands of days is merged in hundreds of pieces, and of the others there are few.
        or merge_late(work, manifest, is_forced=is_forced)
    )
