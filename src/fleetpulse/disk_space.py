"""How much space a disk has, and a file that keeps a part of it for the moment when it is full."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

RESERVE = "reserve"
SHARE_OF_SIZE = 25
"""The reserve is at most this part of the disk, and is made only where four times as much is free."""


@dataclass(frozen=True, slots=True)
class Space:
    """Of the disk of a folder: what is free for this process, and how large it is."""

    free_bytes: int
    size_bytes: int


def space_of(folder: Path) -> Space | None:
    """The space of the disk that holds `folder`; None where the system does not tell."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def are_on_one_disk(first: Path, second: Path) -> bool:
    """Whether two folders are on the same disk, as far as the system tells."""
    try:
        return first.stat().st_dev == second.stat().st_dev
    except OSError:
        return True


class Reserve:
    """A file of nothing, given up so that a checkpoint can be written on a full disk."""

    def __init__(self, folder: Path, *, size_bytes: int) -> None:
        self._path = folder / RESERVE
        self._size_bytes = size_bytes

    def keep(self, space: Space) -> None:
        """Make the file if it is missing and there is room; without it, only the last checkpoint may lack space."""
        size_bytes = min(self._size_bytes, space.size_bytes // SHARE_OF_SIZE)
        if not size_bytes or space.free_bytes < 4 * size_bytes or self._path.exists():
            return
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the space back."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
