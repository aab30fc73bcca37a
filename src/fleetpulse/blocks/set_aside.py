"""Blocks that are set aside: damaged or missing ones, each by itself, until the bytes that were written are back.

A block that is set aside stays in the manifest and keeps its name, so that nobody takes its place. Answers name what
they lack, compaction and checkpoints leave it as it is, and late data of its day waits in late blocks.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from fleetpulse.blocks.file_checks import check_file
from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.model.manifest import BlockFile, Manifest


@dataclass(frozen=True, slots=True)
class SetAsideBlock:
    """A block that cannot be used, what is wrong with it, and since when (ns) that is known."""

    file: BlockFile
    because: str
    since_ns: int


class SetAsideBlocks:
    """By name. Threads that read blocks note damage; whoever restores a block, or finds it sound again, clears it."""

    def __init__(self) -> None:
        self._blocks: dict[str, SetAsideBlock] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[SetAsideBlock]:
        with self._lock:
            return iter(sorted(self._blocks.values(), key=lambda block: block.file.name))

    def names(self) -> frozenset[str]:
        """Of all of them."""
        with self._lock:
            return frozenset(self._blocks)

    def note(self, file: BlockFile, error: DamagedData, *, at_ns: int) -> bool:
        """Set a block aside; whether that is new. A block whose store is away is not damaged."""
        if isinstance(error, Unreadable):
            return False
        with self._lock:
            is_new = file.name not in self._blocks
            if is_new:
                self._blocks[file.name] = SetAsideBlock(file, str(error), at_ns)
            return is_new

    def clear(self, name: str) -> None:
        """A block is as it was written, or no manifest names it any more."""
        with self._lock:
            self._blocks.pop(name, None)

    def keep_files(self, names: Collection[str]) -> None:
        """Forget blocks that are not among these: nothing names them any more."""
        with self._lock:
            self._blocks = {name: block for name, block in self._blocks.items() if name in names}

    def why(self, name: str) -> str | None:
        """What is wrong with a block; None where it is not set aside."""
        block = self._blocks.get(name)
        return None if block is None else block.because

    def check_again(self, store: BlockStore, manifest: Manifest) -> list[str]:
        """Check all files that are set aside; returns the names of those that are as they were written again."""
        self.keep_files({file.name for file in manifest.files()})
        found = []
        for block in self:
            try:
                check_file(store, block.file)
            except DamagedData:
                continue
            self.clear(block.file.name)
            found.append(block.file.name)
        return found

    def restore(self, known: Mapping[str, tuple[str, int]], files: Mapping[str, BlockFile]) -> None:
        """Take up what was recorded: by name what is wrong, and since when; `files` are those of the manifest."""
        with self._lock:
            for name, (because, since_ns) in known.items():
                if name in files:
                    self._blocks[name] = SetAsideBlock(files[name], because, since_ns)
