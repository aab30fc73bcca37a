"""Before anything moves: may it, and the notes on both sides that keep every service from starting meanwhile."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from fleetpulse.blocks.owner import LocalIdentity, claim, new_identity, read_owner
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.move_records import MoveNote
from fleetpulse.errors import DataFolderInUse, ForeignBlocks, MovedAway
from fleetpulse.journal.journal import Journal
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.losses import find_doubts, find_losses, is_new, loss_error
from fleetpulse.pipeline.moved_away import sentence

ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSide:
    """Everything of a service that outlives it, in one place."""

    journal: Journal
    catalog: Catalog
    store: BlockStore
    place: str
    """As it is given to the command."""
    folder: Path


def is_one_store(source: MoveSide, target: MoveSide) -> bool:
    """Whether both sides have their blocks in one place, so that they stay where they are."""
    return source.store.place == target.store.place


def begin_move(source: MoveSide, target: MoveSide, *, at_ns: int) -> MoveNote | None:
    """Note the move on both sides, or find the notes of an earlier run. None: that one had finished.

    Raises: MovedAway: the source is not there, or is itself not whole. ForeignBlocks: the target has something else in
        it; nothing was changed. DamagedData; OSError; DatabaseBusy.
    """
    leaving, arriving = source.catalog.moves.note(), target.catalog.moves.note()
    identity = _identity_of(source)
    if leaving is not None and leaving.state == "arriving":
        raise MovedAway(sentence(leaving, source.place))
    if leaving is not None and leaving.state == "left":
        if arriving is None and target.catalog.files.identity() == identity:
            return None
        if arriving is None or arriving.id != leaving.id:
            raise MovedAway(sentence(leaving, source.place))
    _check_source(source)
    if arriving is None:
        _check_is_empty(target)
    elif arriving.state != "arriving" or arriving.identity != identity:
        raise ForeignBlocks(
            f"{target.place} has something else in it: {sentence(arriving, target.place)} Name an empty place instead."
        )
    move_id = secrets.token_hex(ID_BYTES) if leaving is None else leaving.id
    note = MoveNote("arriving", move_id, identity, source.place, at_ns)
    _take_target(source, target, note)
    if leaving is None or (leaving.state == "leaving" and leaving.other != target.place):
        source.catalog.moves.put_note(note._replace(state="leaving", other=target.place))
    return note


def _identity_of(source: MoveSide) -> str:
    """The id of what moves; one that no start has given an id gets it now."""
    identity = source.catalog.files.identity() or source.journal.identity()
    if identity is None:
        owner, _ = read_owner(source.store)
        identity = new_identity() if owner is None else owner.id
    if source.catalog.files.identity() is None:
        source.catalog.files.identify(identity)
    return identity


def _check_source(source: MoveSide) -> None:
    """See that all of it is there, and nobody works with it.

    Raises: DataFolderInUse; DataVanished: journal or catalog are not all that they were; ForeignBlocks: they are of two
        services.
    """
    lease = source.catalog.lease.current()
    if not lease.is_over:
        raise DataFolderInUse(
            f"node {lease.term.holder} runs at {source.place}, or has ended a few seconds ago: stop all nodes, and run "
            "the same command again."
        )
    manifest = source.catalog.manifest()
    losses = find_losses(source.journal, source.catalog, manifest)
    doubts = find_doubts(source.journal, source.catalog, manifest)
    if losses or doubts:
        raise loss_error(losses, doubts, is_catalog_new=is_new(source.catalog, manifest))
    ids = source.catalog.files.identity(), source.journal.identity()
    if ids[1] is not None and ids[0] != ids[1]:
        raise ForeignBlocks(
            f"catalog and journal of {source.place} are not of one service ({ids[0]} and {ids[1]}): restore both from "
            "one copy."
        )


def _check_is_empty(target: MoveSide) -> None:
    """Raises: ForeignBlocks: there is something in it already."""
    found = []
    if target.catalog.transactions():
        found.append(f"its catalog was changed {count_text(target.catalog.transactions(), 'time')}")
    if target.journal.last_position():
        found.append(f"its journal has come to position {target.journal.last_position()}")
    if target.journal.identity() is not None:
        found.append(f"its journal belongs to {target.journal.identity()}")
    if found:
        raise ForeignBlocks(f"{target.place} is not empty: {'; '.join(found)}. Name an empty place with --to.")


def _take_target(source: MoveSide, target: MoveSide, note: MoveNote) -> None:
    """Make the target one of this move, before anything is copied there.

    Raises: ForeignBlocks: its blocks are of another service; nothing was changed.
    """
    if not is_one_store(source, target):
        # With an id that is known and no blocks, it may be claimed where it is empty, or was claimed before.
        local = LocalIdentity(target.folder, note.identity, note.identity, frozenset())
        claim(target.store, local, now_ns=note.at_ns)
    target.catalog.moves.put_note(note)
    if target.journal.identity() is None:
        target.journal.identify(note.identity)
