"""The note `manifest.json`: a copy of the catalog's manifest beside the blocks, for the day when the catalog is lost.

It is written before the catalog commits the manifest, so its files are there, and the journal still holds what comes
after its position. As long as there is a catalog, nothing reads the note.
"""

import msgspec

from fleetpulse.blocks.store import BlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import Manifest

MANIFEST = "manifest.json"


def put_manifest_note(store: BlockStore, manifest: Manifest) -> None:
    """Write the note, in the place of the one before. Raises: OSError."""
    store.put_note(MANIFEST, msgspec.json.encode(manifest))


def read_manifest_note(store: BlockStore) -> Manifest | None:
    """The manifest that was written last; None where there is none. Raises: DamagedData; OSError."""
    note = store.read_note(MANIFEST)
    if note is None:
        return None
    try:
        return msgspec.json.decode(note.body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DamagedData(f"{MANIFEST} in {store.place} cannot be read: {error}. Restore it from a copy.") from error
