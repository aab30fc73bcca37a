"""Whether journal and catalog are all that they were: a start must not go on unnoticed where something has vanished.

A write-ahead log that was deleted or cut, or a database that was, leaves an older state that looks good. The mark of
`reached.py` and the manifest tell how far both had come.
"""

from collections.abc import Callable, Sequence

import structlog

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import DamagedData, DataVanished, StorageFailed
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.event_reader import read_events
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import Manifest
from fleetpulse.notation.count import count_text
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.reached import Loss, Reached

log = structlog.get_logger("losses")
JOURNAL, CATALOG = "journal", "catalog"


def find_losses(journal: Journal, catalog: Catalog, manifest: Manifest) -> list[tuple[Loss, str]]:
    """What has vanished of each of them, with a sentence about it; nothing is changed.

    Raises: DamagedData: the last entry of the journal cannot be read.
    """
    losses = []
    last, reached = journal.last_position(), journal.reached()
    through = max(manifest.position, 0 if reached is None else reached.number)
    if last < through:
        # What the blocks hold is not lost with the journal.
        since_ns = _last_entry_ns(journal, last) if last > manifest.position else manifest.alive_at_ns
        since_ns = since_ns or (0 if reached is None else reached.since_ns)
        loss = Loss(JOURNAL, max(last, manifest.position), through, since_ns)
        text = f"the journal ends at entry {last}, but it had reached entry {through}{_when(reached, through)}"
        entries = f"{count_text(loss.count, 'entry', 'entries')} of acknowledged events"
        verb = "is" if loss.count == 1 else "are"
        missing = f": {entries} {verb} missing{_since(since_ns)}" if loss.count else _what_blocks_have(reached)
        losses.append((loss, f"{text}{missing}"))
    reached = catalog.reached()
    if reached is not None and catalog.transactions() < reached.number:
        loss = Loss(CATALOG, catalog.transactions(), reached.number, 0)
        changes = count_text(loss.count, "change")
        text = f"the catalog lacks the last {changes} that were written to it{_when(reached, reached.number)}"
        losses.append((loss, f"{text}: declarations of devices, metrics or windows, or checkpoints, are missing"))
    return losses


def find_doubts(journal: Journal, catalog: Catalog, manifest: Manifest) -> list[tuple[Loss, str]]:
    """Of what it cannot be told whether something has vanished, since the mark that must be there is not; as losses.

    Raises: DamagedData: the last entry of the journal cannot be read.
    """
    doubts = []
    if (
        not journal.is_shared
        and journal.reached() is None
        and journal.last_position() >= manifest.position
        and catalog.is_marked()
    ):
        last = journal.last_position()
        text = f"whether entries after {last}, the last one of the journal, have vanished cannot be told"
        doubts.append((Loss(JOURNAL, last, last, _last_entry_ns(journal, last) or manifest.alive_at_ns), text))
    if catalog.reached() is None and catalog.is_marked():
        number = catalog.transactions()
        text = f"whether changes of the catalog after number {number} have vanished cannot be told"
        doubts.append((Loss(CATALOG, number, number, 0), text))
    return doubts


def loss_error(
    losses: Sequence[tuple[Loss, str]], doubts: Sequence[tuple[Loss, str]] = (), *, is_catalog_new: bool
) -> DataVanished:
    """The error that says what has vanished or may have, and what to do."""
    found = "; ".join(text for _, text in (*losses, *doubts))
    if doubts:
        found += ": the file `reached`, which says how far they had come, is missing or damaged"
    if not losses:
        return DataVanished(
            f"{found}. Put `reached` back if it was moved. If no other file of the data folder was deleted, cut or "
            "replaced, nothing is missing: start once with --accept-loss, and it is written anew."
        )
    is_catalog_lost = any(loss.part == CATALOG for loss, _ in losses)
    if is_catalog_new and is_catalog_lost:
        return DataVanished(
            f"{found}. The catalog is missing: catalog.sqlite is new. Put it back with its -wal if it was moved, or "
            "restore the whole data folder from a copy. Without a copy, make a catalog from the blocks and the journal "
            "with `fleetpulse adopt`; with --dry-run it shows what comes back."
        )
    adopt = (
        " If catalog.sqlite or its -wal is lost for good, move what is left of both away, and make a new catalog from "
        "the blocks with `fleetpulse adopt`."
    )
    # A journal that has only lost what the blocks hold lacks nothing; so nobody is told to go on without something.
    is_all_there = not doubts and all(_is_in_blocks(loss) for loss, _ in losses)
    go_on = "To go on without it" if is_all_there else "To go on without what is missing"
    wrong = "journal.sqlite or its -wal" if is_all_there else "journal.sqlite-wal or catalog.sqlite-wal"
    return DataVanished(
        f"{found}. A file was deleted, cut or replaced by an older one, most likely {wrong}: put it back, or restore "
        f"the whole data folder from a copy. {go_on}, start once with --accept-loss: the time since then becomes blind "
        f"time.{adopt * is_catalog_lost}"
    )


def _is_in_blocks(loss: Loss) -> bool:
    return loss.part == JOURNAL and not loss.count


def settle_losses(
    journal: Journal,
    catalog: Catalog,
    manifest: Manifest,
    *,
    is_accepted: bool,
    at_ns: int,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Refuse a start where something has vanished; or, where that is accepted, record it and go on without.

    Args: check: called before a loss is recorded as accepted, it raises what would refuse the start all the same.
    Raises: DataVanished; StorageFailed; DamagedData; OSError; DatabaseBusy.
    """
    losses, doubts = find_losses(journal, catalog, manifest), find_doubts(journal, catalog, manifest)
    if (losses or doubts) and not is_accepted:
        check_marks(journal, catalog, doubts)
        raise loss_error(losses, doubts, is_catalog_new=is_new(catalog, manifest))
    if losses or doubts:
        check()
        check_fit(journal, catalog, manifest, because="; ".join(text for _, text in (*losses, *doubts)))
    for loss, text in (*losses, *doubts):
        log.warning("a loss was accepted", part=loss.part, after=loss.after, through=loss.through, what=text)
        catalog.accept_loss(loss, at_ns=at_ns)
        if loss.part == JOURNAL:
            journal.accept_loss(through=manifest.position)
    if not (losses or doubts or not catalog.is_marked()):
        return
    # A stream of servers has no mark beside it: what vanishes from it is noticed where it ends before a checkpoint.
    if not ((journal.is_shared or journal.make_mark()) and catalog.note_marked(at_ns=at_ns)):
        log.warning("a later loss of files may go unnoticed", because=journal.mark_trouble or catalog.mark_trouble)


def check_marks(journal: Journal, catalog: Catalog, doubts: Sequence[tuple[Loss, str]]) -> None:
    """Raises: StorageFailed: there is no doubt but that `reached` cannot be read now, which is no loss."""
    trouble = journal.mark_trouble or catalog.mark_trouble
    if doubts and trouble:
        raise StorageFailed(trouble)


def is_new(catalog: Catalog, manifest: Manifest) -> bool:
    """Whether a catalog knows nothing, as one that was just made."""
    return not (manifest.files() or catalog.device_count() or catalog.files.identity())


def check_fit(journal: Journal, catalog: Catalog, manifest: Manifest, *, because: str) -> None:
    """See that a start can go on with what is left, before a loss is recorded as accepted.

    `because`: what has vanished, as sentences without the last full stop.
    Raises: DataVanished: the journal builds on what the catalog has lost. OSError; DatabaseBusy.
    """
    if journal.last_position() < manifest.position:
        return  # accepting drops what the journal holds: blocks have it
    devices, metrics = catalog.device_count(), len(catalog.metrics())
    try:
        for _ in read_events(journal, after=manifest.position, device_count=devices, metric_count=metrics):
            pass
    except DamagedData as error:
        raise DataVanished(
            f"{because}. This cannot be accepted, since the start would be refused all the same: {error} "
            "Nothing was changed. Put the file back that was deleted, cut or replaced by an older one, most likely "
            "catalog.sqlite-wal, or restore the whole data folder from a copy. Without a copy, move catalog.sqlite and "
            "its -wal away, and make a new catalog from the blocks and the journal with `fleetpulse adopt`."
        ) from error


def _what_blocks_have(reached: Reached | None) -> str:
    if reached is None:
        further = "whether there were further ones cannot be told, since the file `reached` is missing"
        return f"; the blocks hold what these entries brought; {further}"
    return "; no event is missing, since the blocks hold what these entries brought"


def _last_entry_ns(journal: Journal, last: int) -> int:
    if journal.first_position() > last:
        return 0
    for _, body in journal.read(after=last - 1):
        return decode_entry(body, where=f"journal entry {last}").received_at_ns
    return 0


def _when(reached: Reached | None, number: int) -> str:
    if reached is None or reached.number != number:
        return ", as the last checkpoint says"
    closed = ", when it was closed cleanly" if reached.is_closed else ""
    return f" at {format_rfc3339(reached.at_ns)}{closed}" if reached.at_ns else closed


def _since(since_ns: int) -> str:
    return f", received after {format_rfc3339(since_ns)}" if since_ns else ""
