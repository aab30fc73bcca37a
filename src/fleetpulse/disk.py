"""What a disk needs so that a new file outlives a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names of new files in `folder` durable: a name is data of the folder, which must be synced like a file.

    Raises: OSError: the names may be lost in a power cut.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
