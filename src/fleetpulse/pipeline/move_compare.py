"""Whether both sides of a move have the same: rows, files, entries, and the live fleet that they make."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fleetpulse.blocks.file_checks import check_file
from fleetpulse.catalog.move_records import Piece, RowHash, hashes_of
from fleetpulse.errors import DamagedData
from fleetpulse.model.events import Position
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.move_begin import MoveSide
from fleetpulse.pipeline.replayed import replayed

_AGAIN = "The source is as it was. Run the same command again; if that does not help, empty the target first."


@dataclass(frozen=True, slots=True)
class Compared:
    """What both sides have."""

    rows: int
    rows_hash: str
    """Of the rows of all tables, in any order."""
    files: int
    files_bytes: int
    position: Position
    entries: int
    """After the last checkpoint."""
    fleet_hash: str


def compare(source: MoveSide, target: MoveSide, advanced: Callable[[str, int, int], None]) -> Compared:
    """What both sides have.

    Raises: DamagedData: they differ, or something is not as it was written. OSError; DatabaseBusy.
    """
    manifest = source.catalog.manifest()
    total = sum(source.catalog.moves.counts().values())
    rows = _rows(source, target, advanced, total)
    if target.catalog.manifest() != manifest:
        raise DamagedData(f"the manifest of {target.place} is not that of {source.place}. {_AGAIN}")
    count, size_bytes = _check_files(target, manifest, advanced)
    ours = replayed(
        source.journal, source.catalog, source.store, advanced=lambda done, of: advanced("replay here", done, of)
    )
    theirs = replayed(
        target.journal, target.catalog, target.store, advanced=lambda done, of: advanced("replay there", done, of)
    )
    for what, one, other in (
        ("the journal", (ours.position, ours.entries), (theirs.position, theirs.entries)),
        ("the live fleet", ours.fleet, theirs.fleet),
    ):
        if one != other:
            raise DamagedData(f"{what} of {target.place} is not that of {source.place}: {other}, not {one}. {_AGAIN}")
    return Compared(
        rows=total,
        rows_hash=rows.text,
        files=count,
        files_bytes=size_bytes,
        position=ours.position,
        entries=ours.position - manifest.position,
        fleet_hash=ours.fleet,
    )


def _rows(source: MoveSide, target: MoveSide, advanced: Callable[[str, int, int], None], total: int) -> RowHash:
    def counted(side: MoveSide, before: int) -> Iterator[Piece]:
        done = before
        for piece in side.catalog.moves.pieces():
            yield piece
            done += len(piece.rows)
            advanced("rows compared", done, 2 * total)

    here, there = hashes_of(counted(source, 0)), hashes_of(counted(target, total))
    different = _differences(here, there)
    if different:
        raise DamagedData(
            f"the catalog of {target.place} is not that of {source.place}: tables {', '.join(different)}. {_AGAIN}"
        )
    whole = RowHash()
    whole.add((name, found.count, found.text) for name, found in here.items())
    return whole


def _differences(here: Mapping[str, RowHash], there: Mapping[str, RowHash]) -> list[str]:
    return [
        f"{name} ({there[name].count} rows, not {found.count})"
        for name, found in here.items()
        if (found.count, found.text) != (there[name].count, there[name].text)
    ]


def _check_files(target: MoveSide, manifest: Manifest, advanced: Callable[[str, int, int], None]) -> tuple[int, int]:
    """Read each file of the target whole. Returns: how many there are, and how many bytes."""
    files = {file.name: file for file in manifest.files()}
    done, total = 0, sum(file.size_bytes for file in files.values())
    for file in files.values():
        check_file(target.store, file)
        done += file.size_bytes
        advanced("blocks compared", done, total)
    return len(files), total
