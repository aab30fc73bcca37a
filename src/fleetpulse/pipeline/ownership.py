"""That journal, catalog and block store belong together, and that no later start has taken over the store.

What is compared, and what is written to the store, is in `blocks/owner.py`. Where the store cannot be reached, the
service starts all the same, since events go to the journal; it becomes the owner before its first checkpoint.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from fleetpulse.blocks.manifest_note import MANIFEST, put_manifest_note
from fleetpulse.blocks.owner import LocalIdentity, Owner, check_owner, claim, has_conditional_writes
from fleetpulse.blocks.store import BlockStore
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.journal.journal import Journal
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.threads import Threads

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

    def begin(self) -> None:
        """Become the owner, if the store can be reached. Blocks; on the catalog's thread, before anything is written.

        Raises: ForeignBlocks: journal, catalog and store do not belong together; nothing was changed. DatabaseBusy.
        """
        self._ids = self.catalog.files.identity(), self.journal.identity()
        try:
            self._claim(self.catalog.manifest(), self.catalog.files.identify)
        except OSError as error:
            log.error("it cannot be told whose the blocks are; it is tried again", error=str(error))
            self.trouble = str(error)
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

    def _claim(self, manifest: Manifest, identify: Callable[[str], None]) -> None:
        """`identify` stores an id in the catalog, on its thread."""

        def keep(identity: str) -> None:
            identify(identity)
            self._ids = identity, self._ids[1]

        names = {file.name for file in manifest.files()}
        local = LocalIdentity(self.folder, *self._ids, names)
        owner = claim(self.store, local, now_ns=self.clock.now_ns(), keep_identity=keep)
        log.info("owner", id=owner.id, generation=owner.generation, blocks=self.store.place)
        if not has_conditional_writes(self.store, owner):
            log.warning(
                "the store has no conditional writes, so two services that start there in the same moment may both "
                "believe that they are the only one until they look again",
                todo="see that no copy of this data folder is started",
            )
        if manifest.files() and self.store.read_note(MANIFEST) is None:
            # Of a folder from before there was one: from now on the catalog can be made anew.
            put_manifest_note(self.store, manifest)
        self.owner, self.trouble = owner, ""
