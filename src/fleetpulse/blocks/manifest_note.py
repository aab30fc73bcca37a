"""The note `manifest.json`: a copy of the catalog's manifest beside the blocks, for the day when the catalog is lost.

It is written before the catalog commits the manifest, so its files are there, and the journal still holds what comes
after its position. Where a data folder is started that is older than its blocks, such as a restored copy, the newer
note is kept under a name of its own, because the next checkpoint replaces it.
"""

import msgspec

from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import Manifest

MANIFEST = "manifest.json"


def put_manifest_note(store: BlockStore, manifest: Manifest) -> None:
    """Write the note, in the place of the one before. Raises: OSError."""
    store.put_note(MANIFEST, msgspec.json.encode(manifest))


def keep_newer_note(store: BlockStore, manifest: Manifest) -> Manifest | None:
    """Keep a note that is newer than the catalog's manifest as `manifest-‹position›.json`; the manifest that it holds.

    Raises: DamagedData: the note cannot be read. OSError.
    """
    newer = read_manifest_note(store)
    if newer is None or newer.position <= manifest.position:
        return None
    store.put_note(f"manifest-{newer.position}.json", msgspec.json.encode(newer))
    return newer


def read_manifest_note(store: BlockStore) -> Manifest | None:
    """The manifest that was written last; None where there is none. Raises: DamagedData; OSError."""
    note = store.read_note(MANIFEST)
    if note is None:
        return None
    try:
        return msgspec.json.decode(note.body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedData(f"{MANIFEST} in {store.place} cannot be read: {error}. Restore it from a copy.") from error
