"""Whose a block store is: the note `owner.json`, which says which data folder writes there, and who started it last.

    id            of the data folder; its journal and its catalog have the same
    generation    one more with each start, so that of two copies of a folder the one started later is known
    holder        random, for each start
    host, process, folder, started_at    for people
    sha256        the checksum of all before it

The generation is raised by a conditional write, so of two services that start at once each gets its own. A service
looks at the note before it writes a checkpoint or removes a file, and does neither where a later start has followed.
Nodes that share journal, catalog and store have one note: whoever comes first writes it, and no start raises it.
"""

import os
import secrets
import socket
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from fleetpulse.blocks.note_checksum import CHECKSUM, has_sound_checksum, with_checksum
from fleetpulse.blocks.store import BlockStore, Note, NoteChanged
from fleetpulse.errors import ForeignBlocks, Outdated
from fleetpulse.notation.count import count_text
from fleetpulse.notation.timestamp import format_rfc3339

OWNER = "owner.json"
TRIES = 10
"""Attempts to raise the generation while others do the same."""


class Owner(msgspec.Struct, frozen=True):
    """The contents of the note."""

    id: str
    generation: int
    holder: str
    host: str = ""
    process: int = 0
    folder: str = ""
    started_at: str = ""

    @property
    def who(self) -> str:
        """The service that wrote it, for people."""
        return f"process {self.process} on {self.host} with data folder {self.folder}, started at {self.started_at}"


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """What a data folder says of itself: the ids of catalog and journal, None where there is none yet."""

    folder: Path
    catalog: str | None
    journal: str | None
    blocks: AbstractSet[str]
    """Names of the files that the manifest lists."""


def new_identity() -> str:
    """An id that no other data folder has."""
    return secrets.token_hex(8)


def read_owner(store: BlockStore) -> tuple[Owner | None, Note | None]:
    """The owner of a store, None where it has none.

    Raises: ForeignBlocks: the note cannot be read, or is not what was written. OSError.
    """
    note = store.read_note(OWNER)
    if note is None:
        return None, None
    try:
        parts = msgspec.json.decode(note.body, type=dict[str, msgspec.Raw])
        owner = msgspec.json.decode(note.body, type=Owner)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(store, f"cannot be read: {error}") from error
    strange = parts.keys() - set(Owner.__struct_fields__) - {CHECKSUM}
    if strange:
        raise _damaged(store, f"is damaged, or of a newer version: it has fields named {', '.join(sorted(strange))}")
    # Notes of older versions have no checksum; all that can be told of them is whether they can be read.
    if CHECKSUM in parts and not has_sound_checksum(note.body):
        raise _damaged(store, "is not what was written (its checksum differs)")
    return owner, note


def _damaged(store: BlockStore, fault: str) -> ForeignBlocks:
    return ForeignBlocks(
        f"{OWNER} in {store.place} {fault}. It says which data folder the blocks belong to. "
        f"Restore it from a copy; if you are sure that they belong to this one, remove {OWNER} and start again."
    )


def _encode(owner: Owner) -> bytes:
    return with_checksum(msgspec.json.encode(owner))


def identity_of(local: LocalIdentity, store: BlockStore, owner: Owner | None) -> str:
    """The id of a data folder that may use a store: what catalog, journal and store say, where they agree.

    Raises: ForeignBlocks: they differ, or there are blocks that the catalog does not know. OSError.
    """
    place, folder = store.place, local.folder
    if local.journal and not local.catalog and not local.blocks:
        raise ForeignBlocks(
            f"the catalog is missing: catalog.sqlite of {folder} is new, but its journal belongs to data folder "
            f"{local.journal}. If catalog.sqlite or its -wal was moved, put it back; else restore the data folder from "
            f"a copy; without one, make a catalog from the blocks: {_adopt(folder)}"
        )
    if local.catalog and local.journal and local.catalog != local.journal:
        raise ForeignBlocks(
            f"catalog and journal of {folder} come from different data folders ({local.catalog} and {local.journal}). "
            "Restore the whole data folder from one copy."
        )
    if owner is None:
        _check_without_owner(local, store)
        return local.catalog or local.journal or new_identity()
    if local.catalog == owner.id:
        return owner.id
    # A copy from before there were ids, of the same data folder: the names of blocks occur only once.
    is_older_copy = local.catalog is None and local.blocks and local.blocks <= store.names()
    if is_older_copy and local.journal in {None, owner.id}:
        return owner.id
    if local.catalog is None:
        raise ForeignBlocks(
            f"the blocks in {place} belong to data folder {owner.id} ({owner.who}), and the catalog of {folder} knows "
            "none of them. If that is another service, name another place with --blocks, or another folder with "
            f"--data. If its catalog is lost, make one from the blocks: {_adopt(folder)}"
        )
    raise ForeignBlocks(
        f"the blocks in {place} belong to data folder {owner.id} ({owner.who}), but {folder} is data folder "
        f"{local.catalog}. Name the right place with --blocks, or the right folder with --data."
    )


def _check_without_owner(local: LocalIdentity, store: BlockStore) -> None:
    present = store.names()
    if local.blocks and not local.blocks & present:
        raise ForeignBlocks(
            f"none of the {count_text(len(local.blocks), 'block')} that the catalog of {local.folder} names is in "
            f"{store.place}. Name the place where they are with --blocks, or restore them there from a copy."
        )
    if present and not local.blocks:
        raise ForeignBlocks(
            f"there are {count_text(len(present), 'block')} in {store.place}, and the catalog of {local.folder} knows "
            "none of them. If they belong to another service, name another place with --blocks. If its catalog is "
            f"lost, make one from the blocks: {_adopt(local.folder)}"
        )


def _adopt(folder: Path) -> str:
    return (
        f"fleetpulse adopt --data {folder} (with the same --blocks and --s3-… flags; --dry-run shows what comes back)"
    )


def claim(
    store: BlockStore, local: LocalIdentity, *, now_ns: int, keep_identity: Callable[[str], None] = lambda _: None
) -> Owner:
    """Become the owner of a store, with the next generation.

    Args:
        keep_identity: stores a new id in the catalog. Called before the id is written to the store, since that write
            may be carried out although its answer is lost; the next attempt then finds an owner that it knows.
    Raises: ForeignBlocks: the store is not that of the data folder; nothing was written. OSError.
    """
    holder = secrets.token_hex(8)
    for _ in range(TRIES):
        before, note = read_owner(store)
        if before is not None and before.holder == holder:
            return before  # it was written, and only the answer was lost
        identity = identity_of(local, store, before)
        if identity != local.catalog:
            keep_identity(identity)
            local = replace(local, catalog=identity)
        owner = _owner(local, identity, 1 if before is None else before.generation + 1, holder, now_ns)
        try:
            store.replace_note(OWNER, _encode(owner), expected=note)
        except NoteChanged:
            continue
        return owner
    raise OSError(f"{OWNER} in {store.place} is written by others all the time. Stop the other services there.")


def join(store: BlockStore, local: LocalIdentity, identity: str, *, now_ns: int) -> Owner:
    """The owner of a store that several nodes use, who is the first of them; this node, where there is none yet.

    Args: identity: the id that all nodes have from their catalog.
    Raises: ForeignBlocks: the store is not theirs; nothing was written. OSError.
    """
    local = replace(local, catalog=identity)
    before, note = read_owner(store)
    identity_of(local, store, before)
    if before is not None:
        return before
    owner = _owner(local, identity, 1, secrets.token_hex(8), now_ns)
    try:
        store.replace_note(OWNER, _encode(owner), expected=note)
    except NoteChanged:
        return join(store, local, identity, now_ns=now_ns)  # another node was first
    return owner


def _owner(local: LocalIdentity, identity: str, generation: int, holder: str, now_ns: int) -> Owner:
    return Owner(
        id=identity,
        generation=generation,
        holder=holder,
        host=socket.gethostname(),
        process=os.getpid(),
        folder=str(local.folder.absolute()),
        started_at=format_rfc3339(now_ns),
    )


def has_conditional_writes(store: BlockStore, owner: Owner) -> bool:
    """Whether the store refuses to write a note that is there already, as `claim` needs it. Raises: OSError."""
    try:
        store.replace_note(OWNER, _encode(owner), expected=None)
    except NoteChanged:
        return True
    return False


def check_owner(store: BlockStore, owner: Owner) -> None:
    """Look whether `owner` is still who started last.

    Raises: Outdated: another service was started since. ForeignBlocks; OSError: it cannot be told.
    """
    now, _ = read_owner(store)
    if now is None:
        raise OSError(
            f"{OWNER} is missing in {store.place}: it may have been emptied. Look what happened there, then restart."
        )
    if now.id == owner.id and now.generation < owner.generation:
        raise OSError(
            f"{OWNER} in {store.place} is older than this service (generation {now.generation}, this service has "
            f"{owner.generation}): an older copy of the blocks was put there. Bring back what was there, and restart."
        )
    if (now.id, now.generation, now.holder) != (owner.id, owner.generation, owner.holder):
        raise Outdated(
            f"the blocks in {store.place} were taken over by {now.who} (generation {now.generation}, this service has "
            f"{owner.generation}): a copy of this data folder was started. Stop one of the two for good"
        )
