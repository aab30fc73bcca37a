"""That journal, catalog and block store belong together, and that no later start has taken over the store.

What is compared, and what is written to the store, is in `blocks/owner.py`. A start compares first, and becomes the
owner last: a start that is refused in between must not have thrown out a service that runs well. Where the store cannot
be reached, the service starts all the same, since events go to the journal; it becomes the owner before its first
checkpoint.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from fleetpulse.blocks.manifest_note import MANIFEST, put_manifest_note
from fleetpulse.blocks.owner import (
    LocalIdentity,
    Owner,
    check_owner,
    claim,
    has_conditional_writes,
    identity_of,
    read_owner,
)
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.losses import note_newer_blocks
from fleetpulse.pipeline.threads import Threads
from fleetpulse.storage_causes import storage_text

log = structlog.get_logger("owner")


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
    _ids: tuple[str | None, str | None] = field(default=(None, None), init=False)

    def compare(self) -> None:
        """See, without writing anything, that journal, catalog and store belong together. Blocks; before all else.

        Raises: ForeignBlocks: they do not. DatabaseBusy.
        """
        self._ids = self.catalog.files.identity(), self.journal.identity()
        try:
            before, _ = read_owner(self.store)
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
            self._claim(self.catalog.manifest(), self.catalog.files.identify)
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
            await loop.run_in_executor(self.threads.files, check_owner, self.store, self.owner)
            return

        def identify(identity: str) -> None:
            self.threads.catalog.submit(self.catalog.files.identify, identity).result()

        # The journal is told at the next start: it belongs to another thread now.
        await loop.run_in_executor(self.threads.files, self._claim, manifest, identify)

    def _note_trouble(self, error: OSError) -> None:
        self.trouble = storage_text(error, self.store.place)
        log.error("it cannot be told whose the blocks are; it is tried again", error=self.trouble)

    def _local(self, manifest: Manifest) -> LocalIdentity:
        return LocalIdentity(self.folder, *self._ids, {file.name for file in manifest.files()})

    def _claim(self, manifest: Manifest, identify: Callable[[str], None]) -> None:
        """`identify` stores an id in the catalog, on its thread."""

        def keep(identity: str) -> None:
            identify(identity)
            self._ids = identity, self._ids[1]

        owner = claim(self.store, self._local(manifest), now_ns=self.clock.now_ns(), keep_identity=keep)
        log.info("owner", id=owner.id, generation=owner.generation, blocks=self.store.place)
        if not has_conditional_writes(self.store, owner):
            log.warning(
                "the store has no conditional writes, so two services that start there in the same moment may both "
                "believe that they are the only one until they look again",
                todo="see that no copy of this data folder is started",
            )
        note_newer_blocks(self.store, manifest)
        if manifest.files() and self.store.read_note(MANIFEST) is None:
            # Of a folder from before there was one: from now on the catalog can be made anew.
            put_manifest_note(self.store, manifest)
        self.owner, self.trouble = owner, ""
