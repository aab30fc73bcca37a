"""Moving a service to other engines: the same identity, positions, numbers and files, in another place.

1  a note in the target's catalog, then in the source's: neither may start a service until the move is finished
2  blocks     file by file; a file that is there already is not copied again
3  journal    the entries that no checkpoint covers, each at its position
4  catalog    all rows, in one transaction
5  compared   rows, files, entries, and the live fleet that each side makes of them
6  the source's note says that it has left; then the target's note is removed

A crash between any two steps leaves what the same command goes on from. Until step 6 the source has all there is; after
it, the target has.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fleetpulse.blocks.manifest_note import put_manifest_note
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.move_records import MoveNote, Piece
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile
from fleetpulse.pipeline.move_begin import MoveSide, begin_move, is_one_store
from fleetpulse.pipeline.move_compare import Compared, compare

COPY_BYTES = 1 << 20
Advanced = Callable[[str, int, int], None]
"""Called with what is being moved, how much of it is done, and of how much; the unit is its own."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move has brought to its target."""

    identity: str
    compared: Compared | None
    """None: an earlier run had finished it already."""
    copied_files: int = 0


def move(source: MoveSide, target: MoveSide, *, at_ns: int, advanced: Advanced) -> Moved:
    """Bring everything from `source` to `target`, which is empty or has a part of it from an earlier run. Blocks.

    Raises: MovedAway: the source has gone elsewhere. ForeignBlocks: the target has something else in it. DamagedData:
        something is not as it was written, or the two sides differ at the end; then the source stays what it was.
        OSError; DatabaseBusy.
    """
    note = begin_move(source, target, at_ns=at_ns)
    if note is None:
        return Moved(source.catalog.files.identity() or "", None)
    copied = 0 if is_one_store(source, target) else _copy_files(source, target, advanced)
    _copy_entries(source, target, advanced)
    _copy_rows(source, target, advanced)
    compared = compare(source, target, advanced)
    _finish(source, target, note, at_ns=at_ns)
    return Moved(note.identity, compared, copied)


def _copy_files(source: MoveSide, target: MoveSide, advanced: Advanced) -> int:
    """Copy the files of the manifest that the target lacks; how many these were."""
    files = {file.name: file for file in source.catalog.manifest().files()}
    present = target.store.names()
    done, total, copied = 0, sum(file.size_bytes for file in files.values()), 0
    for file in files.values():
        if file.name not in present:
            _copy_file(source.store, target.store, file)
            copied += 1
        done += file.size_bytes
        advanced("blocks", done, total)
    return copied


def _copy_file(source: BlockStore, target: BlockStore, file: BlockFile) -> None:
    try:
        with source.open(file.name) as reader:
            written = target.put(file.name, lambda writer: _copy(reader, writer))
    except FileNotFoundError as error:
        raise DamagedData(
            f"block {file.name} is missing in {source.place}. Restore it from a copy, then run the same command again."
        ) from error
    if (written.size_bytes, written.sha256) != (file.size_bytes, file.sha256):
        target.remove(file.name)
        raise DamagedData(
            f"block {file.name} in {source.place} is not what was written. Restore it from a copy, then run the same "
            "command again."
        )


def _copy(reader: BinaryIO, writer: BinaryIO) -> None:
    while piece := reader.read(COPY_BYTES):
        writer.write(piece)


def _copy_entries(source: MoveSide, target: MoveSide, advanced: Advanced) -> None:
    """Append the entries after the manifest's position, at the positions that they have."""
    after, journal = source.catalog.manifest().position, target.journal
    if journal.last_position() < after:
        journal.accept_loss(through=after)  # nothing is lost: blocks have what these entries brought
    last = source.journal.last_position()
    for position, body in source.journal.read(after=max(after, journal.last_position())):
        journal.bring(body, position=position)
        advanced("journal", position - after, last - after)


def _copy_rows(source: MoveSide, target: MoveSide, advanced: Advanced) -> None:
    """Replace the rows of the target's catalog, in one transaction."""
    moves = source.catalog.moves
    total = sum(moves.counts().values())

    def pieces() -> Iterator[Piece]:
        done = 0
        for piece in moves.pieces():
            yield piece
            done += len(piece.rows)
            advanced("catalog", done, total)

    target.catalog.moves.fill(pieces(), transactions=source.catalog.transactions())


def _finish(source: MoveSide, target: MoveSide, note: MoveNote, *, at_ns: int) -> None:
    """Let the target be the service from now on, and the source no more."""
    if not is_one_store(source, target) and source.catalog.manifest().files():
        put_manifest_note(target.store, source.catalog.manifest())
    if target.journal.make_mark():
        target.catalog.note_marked(at_ns=at_ns)
    left = note._replace(
        state="left",
        other=target.place,
        position=source.journal.last_position(),
        transactions=target.catalog.transactions() + 1,
    )
    source.catalog.moves.put_note(left)
    target.catalog.moves.put_note(None)
