"""The closed part of history, as the manifest names it: rows of presence for late data and its readers."""

from collections.abc import Iterator

from fleetpulse.aggregate.presence import Rows
from fleetpulse.blocks.parquet import CHUNK, Chunk, read_presence
from fleetpulse.blocks.store import BlockStore, check_file
from fleetpulse.model.manifest import Manifest


class History:
    """Reads the blocks of the current manifest."""

    def __init__(self, store: BlockStore, manifest: Manifest) -> None:
        self.store = store
        self.manifest = manifest
        self._checked: set[str] = set()

    def has_closed(self, day: int) -> bool:
        """Whether `day` has a closed block. An open day's file is part of the snapshot: the live fleet holds all of it."""
        return day in self.manifest.presence and day < self.manifest.open_from_day

    def row(self, day: int, device: int) -> Rows | None:
        """The row of one device in the closed block of `day`, or None. Blocks for some milliseconds."""
        for devices, rows in self.chunks(day, chunk=device // CHUNK):
            place = int(devices.searchsorted(device))
            if place < len(devices) and devices[place] == device:
                row: Rows = rows[place]
                return row
        return None

    def chunks(self, day: int, *, chunk: int | None = None) -> Iterator[Chunk]:
        """All chunks of the closed block of `day` in order, or the one numbered `chunk`; none where there is no block.

        Raises: DamagedData: the block is missing, or not what was written.
        """
        if self.has_closed(day):
            file = self.manifest.presence[day]
            if file.name not in self._checked:
                # Once a process: damage must be noticed before it is believed, or merged and signed anew.
                check_file(self.store, file)
                self._checked.add(file.name)
            with self.store.open(file.name) as reader:
                yield from read_presence(reader, chunk=chunk)
