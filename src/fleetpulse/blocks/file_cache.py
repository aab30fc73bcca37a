"""A bounded cache of whole files on the local disk.

A file is synced before it gets its name, so after a power cut it is whole or gone; what was half written is removed at
the next start.
"""

import contextlib
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO

from fleetpulse.blocks.store import SUFFIX, TEMPORARY

PINNED_STEMS = ("snapshot-", "counted-", "open-")
"""Names of the files without which a service cannot start."""


class FileCache:
    """Files by name in a folder, together at most so many bytes; beyond that, the least recently used are evicted.

    Which were used last is kept across restarts, as the files' mtime. Files that are pinned are never evicted, and a
    new one whose name begins with one of PINNED_STEMS is pinned until `pin` says which are. Used from several threads.
    """

    def __init__(self, folder: Path, *, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._pinned: set[str] = set()
        self.lock = threading.Lock()
        self.hits = self.misses = self.bytes_now = 0
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*" + TEMPORARY):
            leftover.unlink()
        found = [(path.stat(), path.name) for path in folder.glob("*" + SUFFIX) if path.is_file()]
        for stat, name in sorted(found, key=lambda each: each[0].st_mtime_ns):
            self._sizes[name] = stat.st_size
            self.bytes_now += stat.st_size

    @contextlib.contextmanager
    def temporary(self, name: str) -> Iterator[Path]:
        """A path to write to. A file that still stands there at the end is removed."""
        path = self._folder / (name + TEMPORARY)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def open(self, name: str) -> BinaryIO | None:
        """The file, or None where the cache lacks it. An open file stays readable when it is evicted."""
        with self.lock:
            if name not in self._sizes:
                return None
            try:
                reader = (self._folder / name).open("rb")
            except FileNotFoundError:  # a user may empty the folder: it is a cache
                self._forget(name)
                return None
            os.utime(reader.fileno())
            self._sizes.move_to_end(name)
            self.hits += 1
            return reader

    def pin(self, names: AbstractSet[str]) -> None:
        """Evict these files never, and others that were pinned again. Call it once at the start, too."""
        with self.lock:
            self._pinned = set(names)
            self._evict()

    def adopt(self, temporary: Path, name: str, size_bytes: int) -> None:
        """Keep a finished file under `name`, unless it is larger than the cache."""
        with self.lock:
            self._forget(name)
            if name.startswith(PINNED_STEMS):
                self._pinned.add(name)
            elif size_bytes > self._bytes_max:
                return
            temporary.rename(self._folder / name)
            self._sizes[name] = size_bytes
            self.bytes_now += size_bytes
            self._evict()

    def drop(self, name: str) -> bool:
        """Remove a file; no error where there is none. Returns whether there was one."""
        with self.lock:
            was_there = name in self._sizes
            self._forget(name)
            return was_there

    def count_miss(self) -> None:
        """Count a download: a file that is not in the cache."""
        with self.lock:
            self.misses += 1

    def _evict(self) -> None:
        for name in [name for name in self._sizes if name not in self._pinned]:
            if self.bytes_now <= self._bytes_max:
                return
            self._forget(name)

    def _forget(self, name: str) -> None:
        self.bytes_now -= self._sizes.pop(name, 0)
        (self._folder / name).unlink(missing_ok=True)


def sync_file(file: BinaryIO) -> int:
    """Make durable what was written to an open file. Returns its size in bytes. Raises: OSError."""
    file.flush()
    os.fsync(file.fileno())
    return file.seek(0, io.SEEK_END)
