"""The late presence that blocks hold and compaction has not merged yet: of a day, or of one device.

Only the pending days of a late block count (`LateBlock.days`): the rows of its other days have joined their blocks.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from fleetpulse.aggregate.presence import Chunk, Rows
from fleetpulse.blocks.columns import Footer
from fleetpulse.blocks.history import History
from fleetpulse.blocks.late import INDEXED, LateRows, join_late, read_late
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BlockFile, LateBlock, Manifest

CACHED_ROW_BYTES = 256
"""About what a row of one device costs in the cache."""
CACHED_ENTRY_BYTES = 512
OnDamagedDays = Callable[[Collection[int], DamagedData], None]
"""Called with days of which some late data cannot be read, and with what is wrong."""


def late_days(manifest: Manifest) -> set[int]:
    """The days of which late blocks hold rows."""
    return {day for block in manifest.late for day in block.days}


def has_late(manifest: Manifest, day: int) -> bool:
    """Whether a late block holds rows of a day."""
    return any(day in block.days for block in manifest.late)


def mergeable(history: History) -> int:
    """How many late blocks compaction can go on with."""
    return len(mergeable_blocks(history, history.manifest))


def mergeable_blocks(history: History, manifest: Manifest) -> Sequence[LateBlock]:
    """The late blocks of which some rows can be merged: they can be read, and not all of their days are damaged."""
    names, damaged = history.set_aside.names(), damaged_days(history, manifest)
    return [block for block in manifest.late if block.by_day.name not in names and block.days - damaged]


def waiting_blocks(history: History, manifest: Manifest) -> Sequence[LateBlock]:
    """The late blocks that wait only for damaged days to be restored."""
    names, damaged = history.set_aside.names(), damaged_days(history, manifest)
    sound = (block for block in manifest.late if not any(file.name in names for file in block.files))
    return [block for block in sound if not block.days - damaged]


def damaged_days(history: History, manifest: Manifest) -> Days:
    """The days whose blocks are set aside."""
    names = history.set_aside.names()
    return Days.of(day for day, file in manifest.presence.items() if file.name in names) if names else Days()


def late_of_day(history: History, manifest: Manifest, day: int) -> list[Chunk]:
    """The late rows of a day: for each block devices, uint32, ascending, and their rows. Raises: DamagedData."""
    return [rows for block in manifest.late if day in block.days if len((rows := day_of_block(history, block, day))[0])]


def day_of_block(history: History, block: LateBlock, day: int) -> Chunk:
    """The rows of a day in one late block. Raises: DamagedData."""
    found = _matching(history, block.by_day, "day", day)
    return found.devices, found.rows


def late_of_device(
    history: History, manifest: Manifest, device: int, *, on_damage: OnDamagedDays | None = None
) -> dict[int, Rows]:
    """The late rows of one device by day, each shape (23,): the union of those of all blocks.

    Args: on_damage: called with the days of a block that cannot be read, which is then left out.
    Raises: DamagedData: a block cannot be read, and there is no `on_damage`.
    """
    rows_by_day: dict[int, Rows] = {}
    for block in manifest.late:
        try:
            found = _device_of_block(history, block, device)
        except DamagedData as error:
            if on_damage is None:
                raise
            on_damage(block.days, error)
            continue
        for place, day in enumerate(found.days.tolist()):
            if day in block.days:
                known = rows_by_day.get(day)
                rows_by_day[day] = found.rows[place] if known is None else known | found.rows[place]
    return rows_by_day


def late_row(history: History, manifest: Manifest, day: int, device: int) -> Rows | None:
    """The late row of one device on a day, shape (23,); None where it has none. Raises: DamagedData."""
    return late_of_device(history, manifest, device).get(day) if has_late(manifest, day) else None


def all_late(history: History, block: LateBlock) -> LateRows:
    """All rows of a block that count, by day and device. Raises: DamagedData."""
    return join_late(list(pieces_of(history, block.by_day, block.days)))


def pieces_of(history: History, file: BlockFile, days: Days) -> Iterator[LateRows]:
    """The rows of some days in a file of a late block, in its order, a row group at a time. Raises: DamagedData."""
    wanted = np.fromiter(days, np.int32, len(days))
    with history.opened_whole(file) as reader:
        footer = _footer(history, file)
        for rows in read_late(reader, file.name, footer, range(len(footer.rows))):
            yield rows.where(np.flatnonzero(np.isin(rows.days, wanted)))


def _device_of_block(history: History, block: LateBlock, device: int) -> LateRows:
    def make() -> tuple[LateRows, int]:
        rows = _matching(history, block.by_device, "device", device)
        return rows, CACHED_ENTRY_BYTES + CACHED_ROW_BYTES * len(rows.days)

    return history.memory_cache.get(("late", block.by_device.name, device), make)


def _matching(history: History, file: BlockFile, column: str, value: int) -> LateRows:
    """The rows of a file whose `column`, by which the file is sorted, has a value; read by row groups."""
    footer = _footer(history, file)
    groups = np.flatnonzero((footer.least[column] <= value) & (footer.greatest[column] >= value)).tolist()
    if not groups:
        return join_late([])
    with history.opened(file) as reader:
        pieces = list(read_late(reader, file.name, footer, groups))
    chosen = [piece.days if column == "day" else piece.devices for piece in pieces]
    # Of places and not as views, so that the row groups do not stay in memory with a few of their rows.
    return join_late([piece.where(np.flatnonzero(keys == value)) for piece, keys in zip(pieces, chosen, strict=True)])


def _footer(history: History, file: BlockFile) -> Footer:
    return history.footer_of(file, INDEXED)
