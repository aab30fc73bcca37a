"""The block store's promises, and two stores: a folder, and memory for tests.

A file appears under its name whole and durable, or not at all. Files are never changed, only replaced by files of other
names. A file that no manifest names does not count. Such a file is removed only where its name shows that we wrote it,
see `leftovers.py`: a folder or a bucket may hold files of others, or all that is left of a lost catalog.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from fleetpulse.blocks.footer_checksum import with_footer_checksum
from fleetpulse.disk import Moved, OpenedPaths, locked_folder, sync_folder
from fleetpulse.model.manifest import BlockFile
from fleetpulse.storage_causes import storage_text

SUFFIX = ".parquet"
TEMPORARY = ".tmp"
NOTE_SUFFIX = ".json"


class Note(NamedTuple):
    """A small file that is replaced as a whole, beside the blocks. `version` differs from that of any other body."""

    body: bytes
    version: str


class NoteChanged(Exception):
    """The note is not the one that was to be replaced."""


class BlockStore(Protocol):
    """Named, immutable files, and a few notes that are replaced. All calls block, and may come from any thread."""

    mark: str
    """Stands in the names of files that are written from now on, so that the catalog that recorded it knows them."""

    def put(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        """Let `write` fill a new file; when it returns, make the file durable under `name`.

        Raises: OSError: nothing stands under `name`.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """A seekable reader. Raises: FileNotFoundError."""
        ...

    def names(self) -> set[str]:
        """Names of all files that are there, finished ones and those that a crash left behind."""
        ...

    def drop_copy(self, _name: str, /) -> bool:
        """Remove a local copy of a file that is elsewhere, so that it is fetched anew. Returns whether there was one.

        A store that has its files here has no copies. Raises: OSError.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file; no error where there is none."""
        ...

    def read_note(self, name: str) -> Note | None:
        """A note; None where there is none. Raises: OSError."""
        ...

    def put_note(self, name: str, body: bytes) -> None:
        """Write a note whole and durably, in the place of what is there. Raises: OSError."""
        ...

    def note_names(self) -> set[str]:
        """Names of all notes. Raises: OSError."""
        ...

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        """Write a note in the place of `expected`, or where there is none; of two who do so, one succeeds.

        Raises: NoteChanged: another note is there now. OSError: it is not known whether it was written.
        """
        ...

    def keep_copies(self, _names: AbstractSet[str], /) -> None:
        """Of a store that is elsewhere: keep local copies of these files, whatever others are evicted."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether the files are elsewhere, so that they can be away for a while."""
        ...

    @property
    def place(self) -> str:
        """Where the files are, for people."""
        ...


def put_block(store: BlockStore, stem: str, write: Callable[[BinaryIO], None]) -> BlockFile:
    """Write a block under a name that begins with `stem` and was never used before. Raises: OSError."""
    # Two checkpoints can be at one journal position. While the second writes, the manifest still names the files of the
    # first, which must not be replaced.
    return store.put(
        f"{stem}-{time.time_ns():x}{'-' * bool(store.mark)}{store.mark}{SUFFIX}", with_footer_checksum(write)
    )


def mark_of(name: str) -> str:
    """The last part of a name: the mark of the file, where it has one. Temporary names count as the final ones."""
    return name.removesuffix(TEMPORARY).removesuffix(SUFFIX).rpartition("-")[2]


class FolderBlockStore:
    """A folder of files. Written to a temporary name, synced, renamed, and the folder synced.

    Nothing is written, listed or removed where another folder has come into its place, such as a restored copy.
    """

    def __init__(self, folder: Path) -> None:
        self.mark = ""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._opened = OpenedPaths(folder)

    def put(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        """See BlockStore."""
        return self._write(name, write)

    def _write(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        temporary = self._folder / (name + TEMPORARY)
        try:
            with self._translated(name):
                return self._write_through(temporary, name, write)
        except BaseException:
            with contextlib.suppress(OSError):  # what cannot be removed counts as left over by a crash
                temporary.unlink(missing_ok=True)
            raise

    def _write_through(self, temporary: Path, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        with temporary.open("wb+") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.seek(0, io.SEEK_END)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._opened.check()
        temporary.rename(self._folder / name)
        sync_folder(self._folder)
        self._opened.check()
        return BlockFile(name, size_bytes, digest)

    @contextlib.contextmanager
    def _translated(self, name: str) -> Generator[None, None, None]:
        """Turn the system's errors into those that say what happened and what to do."""
        try:
            yield
        except OSError as error:
            if error.errno is None or isinstance(error, Moved):
                raise  # it says so already
            raise OSError(storage_text(error, self._folder / name)) from error

    def open(self, name: str) -> BinaryIO:
        """See BlockStore."""
        return (self._folder / name).open("rb")

    def names(self) -> set[str]:
        """See BlockStore."""
        # Other files, such as lost+found of a mount, belong to others.
        return self._list(SUFFIX, TEMPORARY)

    is_remote = False

    def drop_copy(self, _name: str) -> bool:
        """See BlockStore."""
        return False

    def keep_copies(self, _names: AbstractSet[str]) -> None:
        """See BlockStore."""

    def remove(self, name: str) -> None:
        """See BlockStore."""
        with self._translated(name):
            self._opened.check()
            (self._folder / name).unlink(missing_ok=True)

    def read_note(self, name: str) -> Note | None:
        """See BlockStore."""
        with self._translated(name):
            self._opened.check()
            try:
                body = (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None
        return Note(body, hashlib.sha256(body).hexdigest())

    def put_note(self, name: str, body: bytes) -> None:
        """See BlockStore."""
        self._write(name, lambda file: _write_all(file, body))

    def note_names(self) -> set[str]:
        """See BlockStore."""
        return self._list(NOTE_SUFFIX)

    def _list(self, *suffixes: str) -> set[str]:
        with self._translated(""):
            self._opened.check()
            return {path.name for path in self._folder.iterdir() if path.name.endswith(suffixes) and path.is_file()}

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        """See BlockStore. The lock is on the folder itself, which other processes may have under another path."""
        with self._translated(name), locked_folder(self._folder):
            if self.read_note(name) != expected:
                raise NoteChanged(name)
            self.put_note(name, body)

    @property
    def place(self) -> str:
        """See BlockStore."""
        return str(self._folder)


def _write_all(file: BinaryIO, body: bytes) -> None:
    file.write(body)


class MemoryBlockStore:
    """Files as bytes in memory."""

    def __init__(self) -> None:
        self.mark, self.place = "", "memory"
        self._files: dict[str, bytes] = {}
        self._notes: dict[str, bytes] = {}

    def put(self, name: str, write: Callable[[BinaryIO], None]) -> BlockFile:
        """See BlockStore."""
        with contextlib.closing(_OpenBytes()) as file:
            write(file)
            body = file.getvalue()
        self._files[name] = body
        return BlockFile(name, len(body), hashlib.sha256(body).hexdigest())

    def open(self, name: str) -> BinaryIO:
        """See BlockStore."""
        if name not in self._files:
            raise FileNotFoundError(name)
        return io.BytesIO(self._files[name])

    def names(self) -> set[str]:
        """See BlockStore."""
        return set(self._files)

    is_remote = False

    def drop_copy(self, _name: str) -> bool:
        """See BlockStore."""
        return False

    def keep_copies(self, _names: AbstractSet[str]) -> None:
        """See BlockStore."""

    def remove(self, name: str) -> None:
        """See BlockStore."""
        self._files.pop(name, None)

    def read_note(self, name: str) -> Note | None:
        """See BlockStore."""
        body = self._notes.get(name)
        return None if body is None else Note(body, hashlib.sha256(body).hexdigest())

    def put_note(self, name: str, body: bytes) -> None:
        """See BlockStore."""
        self._notes[name] = body

    def note_names(self) -> set[str]:
        """See BlockStore."""
        return set(self._notes)

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        """See BlockStore."""
        if self.read_note(name) != expected:
            raise NoteChanged(name)
        self.put_note(name, body)


class _OpenBytes(io.BytesIO):
    """Bytes that stay readable after a Parquet writer has closed the file handed to it."""

    def close(self) -> None:
        self.flush()
