"""Whether a file of a block store is what was written, by its size and its checksums."""

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

from fleetpulse.blocks.footer_checksum import has_sound_footer
from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData, Unreadable
from fleetpulse.model.manifest import BlockFile
from fleetpulse.storage_causes import RESTORE, storage_text


def raise_if_away(store: BlockStore, error: DamagedData) -> None:
    """Raise the error of a block of a remote store that may be sound: whoever writes tries again later.

    What a local disk does not give counts as damaged, since it would keep every checkpoint from being taken.
    """
    if isinstance(error, Unreadable) and store.is_remote:
        raise error


def check_ends(store: BlockStore, file: BlockFile) -> None:
    """Compare size and footer of a file; as a whole where it has no checksum of the footer. Raises: as `check_file`."""
    _check(store, file, _ends_fault)


def check_file(store: BlockStore, file: BlockFile) -> None:
    """Read a file and compare its checksum. Raises: DamagedData: it is missing, or not the bytes that were written.

    A local copy that is damaged is removed, and the file is read once more.
    """
    _check(store, file, _checksum_fault)


def _check(store: BlockStore, file: BlockFile, fault_of: Callable[[BinaryIO, BlockFile], str]) -> None:
    try:
        with store.open(file.name) as reader:
            fault = fault_of(reader, file)
        if fault and store.drop_copy(file.name):
            with store.open(file.name) as reader:
                fault = fault_of(reader, file)
    except FileNotFoundError as error:
        raise DamagedData(f"block {file.name} is missing. {RESTORE}") from error
    except OSError as error:
        raise Unreadable(storage_text(error, f"block {file.name} cannot be read")) from error
    if fault:
        raise DamagedData(f"block {file.name} {fault}. {RESTORE}")


def _size_fault(reader: BinaryIO, file: BlockFile) -> str:
    """What is wrong with the size of a file; empty where nothing is."""
    size_bytes = reader.seek(0, io.SEEK_END)
    reader.seek(0)
    return "" if size_bytes == file.size_bytes else f"has {size_bytes} bytes, but {file.size_bytes} were written"


def _ends_fault(reader: BinaryIO, file: BlockFile) -> str:
    """The same of its size and its footer."""
    return _size_fault(reader, file) or ("" if has_sound_footer(reader) else _checksum_fault(reader, file))


def _checksum_fault(reader: BinaryIO, file: BlockFile) -> str:
    """The same of its checksum."""
    if _size_fault(reader, file):
        return "is not what was written (size or checksum differ)"
    digest = hashlib.file_digest(reader, "sha256").hexdigest()  # type: ignore[arg-type]  # every reader has readinto
    return "" if digest == file.sha256 else "is not what was written (size or checksum differ)"
