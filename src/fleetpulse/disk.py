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


class Moved(OSError):
    """A path no longer names what was opened under it: it was removed, replaced, cut off, or hidden by a mount.

    What is written to the open file then is lost with the last process that has it open.
    """


class OpenedPaths:
    """Files and folders that are in use, as they were when they were opened; a look at all of them is a stat each.

    They are never opened a second time: closing a database again would release the locks that SQLite holds on it.
    """

    def __init__(self, *paths: Path, growing: Path | None = None) -> None:
        """`growing`: a file that must not become shorter, either. Raises: OSError: one of them is not there."""
        self._growing, self._size_bytes = growing, 0
        self.written: tuple[tuple[int, int], ...] = ()
        """When each was last written to (ns), and its size in bytes, as the last look found them."""
        self._seen: list[tuple[str, int, int]] = []
        for path in (*paths, *([growing] if growing else [])):
            state = path.stat()
            self._seen.append((str(path), state.st_dev, state.st_ino))  # as text: this is looked at with each commit

    def check(self) -> None:
        """Raises: Moved: names what is not there any more."""
        state, written = None, []
        for path, device, number in self._seen:
            try:
                state = os.stat(path)  # noqa: PTH116  # half the time of Path.stat
            except OSError as error:
                raise Moved(_moved(path, error.strerror or "it cannot be looked at")) from error
            if state.st_ino != number or state.st_dev != device:
                raise Moved(_moved(path, "another file or folder is in its place"))
            written.append((state.st_mtime_ns, state.st_size))
        self.written = tuple(written)
        if state is not None and self._growing is not None:
            if state.st_size < self._size_bytes:
                raise Moved(_moved(self._growing, f"it was cut from {self._size_bytes} to {state.st_size} bytes"))
            self._size_bytes = state.st_size


def _moved(path: Path | str, reason: str) -> str:
    return (
        f"{path} is not what the service has opened there ({reason}). What was acknowledged is in what it has opened: "
        "if that was moved, bring it back; then restart the service"
    )


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
