"""That journal, catalog and block store belong together, and that no later start has taken over the store.

What is compared, and what is written to the store, is in `blocks/owner.py`. A start compares first, and becomes the
owner last: a start that is refused in between must not have thrown out a service that runs well. Where the store cannot
be reached, the service starts all the same, since events go to the journal; it becomes the owner before its first
checkpoint.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from fleetpulse.blocks.manifest_note import MANIFEST, keep_other_note, kept_manifests, put_manifest_note, way_back
from fleetpulse.blocks.owner import (
    LocalIdentity,
    Owner,
    check_owner,
    claim,
    has_conditional_writes,
    identity_of,
    join,
    new_identity,
    read_owner,
)
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.file_records import WrittenFiles
from fleetpulse.catalog.holding import carried
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData, Outdated
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import Manifest
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.threads import Threads
from fleetpulse.storage_causes import storage_text

log = structlog.get_logger("owner")
_Result = TypeVar("_Result")


class InCatalog(Protocol):
    """Runs work on the catalog's thread, and waits for it."""

    def __call__(self, work: Callable[[], _Result], /) -> _Result:
        """The result of `work`."""
        ...


@dataclass(eq=False, kw_only=True)
class Ownership:
    """Claims the block store at the start, and looks afterwards whether it is still ours."""

    folder: Path
    store: BlockStore
    journal: Journal
    catalog: Catalog
    clock: Clock
    threads: Threads
    owner: Owner | None = field(default=None, init=False)
    """None: the store could not be reached yet."""
    trouble: str = field(default="", init=False)
    """Why it could not be reached, or not be written to."""
    on_outdated: Callable[[Outdated], None] = field(default=lambda _: None, init=False)
    """Called on the loop where a look finds that a later start has taken over the store."""
    kept: Mapping[str, Manifest] = field(default_factory=dict, init=False)
    """Manifests of other copies of this folder, by the names of their notes."""
    _ids: tuple[str | None, str | None] = field(default=(None, None), init=False)

    def compare(self) -> None:
        """See, without writing anything, that journal, catalog and store belong together. Blocks; before all else.

        Raises: ForeignBlocks: they do not. DatabaseBusy.
        """
        # Another node may make all three at this moment: the catalog comes to know the id first, and is read last.
        before, trouble, journal = None, None, self.journal.identity()
        try:
            before, _ = read_owner(self.store)
        except OSError as error:
            trouble = error
        self._ids = self.catalog.files.identity(), journal
        if trouble is not None:
            self._note_trouble(trouble)
            return
        try:
            identity_of(self._local(self.catalog.manifest()), self.store, before)
        except OSError as error:
            self._note_trouble(error)

    def begin(self) -> None:
        """Become the owner, if the store could be reached. Blocks; on the catalog's thread, at the end of a start.

        Raises: ForeignBlocks: journal, catalog and store do not belong together; nothing was changed. DatabaseBusy.
        """
        if self.trouble:
            return  # without a further wait; it is tried again while the service runs
        try:
            self._claim(self.catalog.manifest(), lambda work: work())
        except OSError as error:
            self._note_trouble(error)
            return
        assert self.owner is not None
        if self._ids[1] is None:
            self.journal.identify(self.owner.id)

    async def ensure(self, manifest: Manifest) -> None:
        """See that the store is ours before something is written or removed there. On the loop.

        Raises: Outdated: a later start has taken it over. ForeignBlocks; OSError: it cannot be told.
        """
        loop = asyncio.get_running_loop()
        if self.owner is not None:
            try:
                await loop.run_in_executor(self.threads.files, check_owner, self.store, self.owner)
            except Outdated as outdated:
                self.on_outdated(outdated)
                raise
            return

        def in_catalog(work: Callable[[], _Result]) -> _Result:
            return self.threads.catalog.submit(carried(work)).result()

        # The journal is told at the next start: it belongs to another thread now.
        await loop.run_in_executor(self.threads.files, carried(partial(self._claim, manifest, in_catalog)))

    def _note_trouble(self, error: OSError) -> None:
        self.trouble = storage_text(error, self.store.place)
        log.error("it cannot be told whose the blocks are; it is tried again", error=self.trouble)

    def _local(self, manifest: Manifest) -> LocalIdentity:
        return LocalIdentity(self.folder, *self._ids, {file.name for file in manifest.files()})

    def _claim(self, manifest: Manifest, in_catalog: "InCatalog") -> None:
        if self.journal.is_shared:
            identity = in_catalog(self._agreed_identity)
            self.owner = join(self.store, self._local(manifest), identity, now_ns=self.clock.now_ns())
            self._ids, self.trouble = (identity, self._ids[1]), ""
            log.info("owner", id=identity, blocks=self.store.place)
            return

        def keep(identity: str) -> None:
            in_catalog(partial(self.catalog.files.identify, identity))
            self._ids = identity, self._ids[1]

        owner = claim(self.store, self._local(manifest), now_ns=self.clock.now_ns(), keep_identity=keep)
        log.info("owner", id=owner.id, generation=owner.generation, blocks=self.store.place)
        if not has_conditional_writes(self.store, owner):
            log.warning(
                "the store has no conditional writes, so two services that start there in the same moment may both "
                "believe that they are the only one until they look again",
                todo="see that no copy of this data folder is started",
            )
        self._keep_notes(manifest, in_catalog(self.catalog.files.written))
        if manifest.files() and self.store.read_note(MANIFEST) is None:
            # Of a folder from before there was one: from now on the catalog can be made anew.
            put_manifest_note(self.store, manifest)
        self.owner, self.trouble = owner, ""

    def _agreed_identity(self) -> str:
        """The id of the catalog, which all nodes have; the first one makes it."""
        with self.catalog.transaction():
            found = self.catalog.files.identity()
            if found is None:
                found = self._ids[1] or new_identity()
                self.catalog.files.identify(found)
        return found

    def _keep_notes(self, manifest: Manifest, written: WrittenFiles) -> None:
        """Keep the manifest of another copy of this folder, and its files, where one has written there last."""
        names = {*(file.name for file in manifest.files()), *(file.name for file in written.superseded)}
        try:
            kept = keep_other_note(self.store, names=names, marks=written.marks)
            self.kept = kept_manifests(self.store)
        except DamagedData as error:
            log.warning("it cannot be told whether another copy of this folder has used the blocks", error=str(error))
            return
        if kept is not None:
            log.warning(
                "the blocks are newer than this data folder, or of another copy of it: what was acknowledged there is "
                "not here",
                blocks_reached=self.kept[kept].position,
                folder_reached=manifest.position,
                kept=kept,
                todo="if this folder is an older copy by mistake, stop, and start the newer one",
            )
        for name, other in self.kept.items():
            log.warning(
                "files of another copy of this data folder are kept",
                manifest=name,
                taken_at=format_rfc3339(other.taken_at_ns),
                todo=way_back(name),
            )

    @property
    def kept_names(self) -> frozenset[str]:
        """Names of the files that kept manifests name; they stay until people remove the kept manifest."""
        return frozenset(file.name for manifest in self.kept.values() for file in manifest.files())
