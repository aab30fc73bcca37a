"""What a disk needs so that a new file outlives a power cut, and locks on folders."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names of new files in `folder` durable: a name is data of the folder, which must be synced like a file.

    Raises: OSError: the names may be lost in a power cut.
    """
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Generator[None, None, None]:
    """Keep every other process out that does the same, whatever path it has to the folder. Waits. Raises: OSError."""
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _opened(folder: Path) -> Generator[int, None, None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
