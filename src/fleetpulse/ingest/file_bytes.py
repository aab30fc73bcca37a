"""The bytes of a declared file, as they were at one moment."""

import os
from pathlib import Path


def read_whole(path: Path) -> bytes:
    """The content of a file. Raises: OSError: it cannot be read, or was written to meanwhile."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        content = file.read()
        check_unchanged(before, os.fstat(file.fileno()), bytes_read=len(content))
    return content


def check_unchanged(before: os.stat_result, after: os.stat_result, *, bytes_read: int) -> None:
    """Raises: OSError: the file was written to between the two, or is longer or shorter than what was read."""
    is_changed = (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)
    # A pipe has no size: whatever could be read of it is all of it.
    if is_changed or (before.st_size and bytes_read != before.st_size):
        raise OSError("it was written to while it was read; read it again when it is complete")
