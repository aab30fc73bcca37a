"""The note `manifest.json`: a copy of the catalog's manifest beside the blocks, for the day when the catalog is lost.

It is written after the catalog has committed the manifest, and before the journal is shortened or a file removed that
the former note names (`pipeline/manifest_copy.py`): so the files of a note are there, and the journal still holds what
comes after its position. Its last field is a checksum of all before it.

Where a copy of the data folder is started that is older than the blocks, the note names files which that copy's catalog
has no record of. It is kept under a name of its own, `manifest-‹position›-….json`, because the next checkpoint replaces
it; and so are its files, until people remove the kept note.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from typing import Annotated

import msgspec

from fleetpulse.blocks.note_checksum import CHECKSUM, has_sound_checksum, with_checksum
from fleetpulse.blocks.store import BlockStore, Note, NoteChanged, mark_of
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import Manifest

MANIFEST = "manifest.json"
KEPT_NAME = re.compile(r"manifest-\d+(-[0-9a-f]+)?\.json")
"""Names of kept notes; those of older versions have no checksum in them."""
_NOT_NOTED = {"catalog_version"}
"""A catalog that is made anew counts its versions anew."""
TRIES = 10
"""Attempts to replace the note while others do the same."""
_FIELDS = {field.name for field in fields(Manifest)}
_BEATS_EXACT_FROM = "beats_exact_from_ns"
_DAY_LAST = 1_000_000
"""No day of a manifest is later: that would be in the year 4707."""
_RESTORE = "Restore it from a copy, or an older version of the bucket"


def put_manifest_note(store: BlockStore, manifest: Manifest) -> None:
    """Write the note, in the place of the one before. Raises: OSError."""
    store.put_note(MANIFEST, _encode(manifest))


def replace_manifest_note(store: BlockStore, manifest: Manifest, check: Callable[[], None]) -> None:
    """Write the note where other nodes may do so, too; nothing where it is there already.

    Args: check: raises what ends this, where another node does such work now. It is called after the note was read, so
        that whoever came later finds another note than this one did, and of two writes only the later one's succeeds.
    Raises: OSError.
    """
    body = _encode(manifest)
    for _ in range(TRIES):
        before = store.read_note(MANIFEST)
        if before is not None and before.body == body:
            return
        check()
        try:
            store.replace_note(MANIFEST, body, expected=before)
        except NoteChanged:
            continue
        return
    raise OSError(f"{MANIFEST} in {store.place} is written by others all the time. Stop the other services there.")


def keep_other_note(store: BlockStore, *, names: Collection[str], marks: Collection[str]) -> str | None:
    """Keep the note under a name of its own where it names files of another copy of the folder; returns that name.

    Args: names, marks: of the files that the catalog knows as its own.
    Raises: DamagedData: the note cannot be read. OSError.
    """
    manifest = read_manifest_note(store)
    if manifest is None or all(file.name in names or mark_of(file.name) in marks for file in manifest.files()):
        return None
    body = _encode(manifest)
    name = f"manifest-{manifest.position}-{hashlib.sha256(body).hexdigest()[:8]}.json"
    store.put_note(name, body)
    return name


def kept_manifests(store: BlockStore) -> Mapping[str, Manifest]:
    """The notes that were kept, by name. Raises: DamagedData: one cannot be read. OSError."""
    found = {}
    for name in sorted(store.note_names()):
        if KEPT_NAME.fullmatch(name):
            manifest = read_manifest_note(store, name)
            if manifest is not None:
                found[name] = manifest
    return found


def read_manifest_note(store: BlockStore, name: str = MANIFEST) -> Manifest | None:
    """The manifest that was written last, or a kept one; None where there is none.

    Raises: DamagedData: it is not what was written. OSError.
    """
    note = store.read_note(name)
    return None if note is None else _decode(note, f"{name} in {store.place}")


def way_back(name: str) -> str:
    """How to come back to what a kept manifest holds, and how to give it up."""
    return (
        "to go back to it, stop the service, move catalog.sqlite and journal.sqlite with their -wal, and reached, to "
        "another folder (they hold what was accepted since), and run `fleetpulse adopt` with --manifest "
        f"{name}; if nobody needs it, remove {name} from among the blocks, and restart"
    )


def _encode(manifest: Manifest) -> bytes:
    names = (field.name for field in fields(manifest) if field.name not in _NOT_NOTED)
    named = {name: getattr(manifest, name) for name in names}
    return with_checksum(msgspec.json.encode(named, enc_hook=list))  # days, as a list of numbers


def _days(_type: type, value: object) -> Days:
    return Days.of(msgspec.convert(value, list[Annotated[int, msgspec.Meta(ge=0, le=_DAY_LAST)]]))


def _decode(note: Note, where: str) -> Manifest:
    try:
        parts = msgspec.json.decode(note.body, type=dict[str, msgspec.Raw])
        manifest = msgspec.json.decode(note.body, type=Manifest, dec_hook=_days)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedData(f"{where} cannot be read: {error}. {_RESTORE}.") from error
    if parts.keys() - _FIELDS - {CHECKSUM}:
        strange = ", ".join(sorted(parts.keys() - _FIELDS - {CHECKSUM}))
        raise DamagedData(f"{where} is damaged, or of a newer version: it has fields named {strange}. {_RESTORE}.")
    # Notes of older versions have no checksum; all that can be told of them is whether they can be read.
    if CHECKSUM in parts and not has_sound_checksum(note.body):
        raise DamagedData(f"{where} is not what was written (its checksum differs). {_RESTORE}.")
    if _BEATS_EXACT_FROM not in parts:  # of a version that knew no beat gaps, as those catalogs that it left
        manifest = replace(manifest, beats_exact_from_ns=manifest.taken_at_ns)
    return manifest
