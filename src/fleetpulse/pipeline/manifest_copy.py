"""The note `manifest.json`, which follows the manifest of the catalog.

It is written after the commit, since a holder of the lease whose term has ended must not name anything there that the
catalog never had. Until it is written, neither the journal is shortened nor a file removed that the former note names:
so whoever makes a catalog from a note that lags finds all that it needs. A crash between commit and note is made up
for before the next checkpoint, or the next piece of compaction, is written.

Where several nodes use the store, the note is read first, then the catalog is asked whether the term lasts, and then
the note is replaced on the condition that it is still the one that was read. So a node that was paused anywhere in
between does not write over the note of a later holder, where the store has conditional writes. In one without them
such a node writes over it: until the later holder has written it after its next commit, the note lags behind a journal
that may be cut already, and names files that may be removed.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.blocks.history import History
from fleetpulse.blocks.manifest_note import put_manifest_note, replace_manifest_note
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import carried
from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.threads import Threads

log = structlog.get_logger("files")


@dataclass(eq=False, kw_only=True)
class ManifestCopy:
    """Used on the loop, by whoever has the turn to change the manifest; works in the threads `catalog` and `files`."""

    catalog: Catalog
    history: History
    lease: Lease
    threads: Threads
    _written: Manifest | None = field(default=None, init=False)
    """What the note holds, as far as this process knows."""

    def is_of(self, manifest: Manifest) -> bool:
        """Whether the note is known to be that of a manifest."""
        return self._written == manifest

    async def settle(self) -> None:
        """Write the note where it may lag behind the manifest that is in effect.

        Raises: OSError; Deposed; DatabaseBusy: it could not be written.
        """
        manifest = self.history.manifest
        if not self.is_of(manifest) and manifest.files():
            await self._write(manifest)

    async def follow(self, manifest: Manifest) -> None:
        """Write the note after a commit. A failure is logged; the journal is not shortened until it is written."""
        try:
            await self._write(manifest)
        except (OSError, Answerable, OperatorError) as error:
            log.error("manifest.json could not be written; the journal is kept until it is", error=str(error))

    async def _write(self, manifest: Manifest) -> None:
        store, threads = self.history.store, self.threads
        write = partial(put_manifest_note, store, manifest)
        if not self.lease.is_alone:
            check = carried(self._check)
            write = partial(replace_manifest_note, store, manifest, lambda: threads.catalog.submit(check).result())
        await asyncio.get_running_loop().run_in_executor(threads.files, write)
        self._written = manifest

    def _check(self) -> None:
        """On the catalog's thread. Raises: Deposed: the term of this work has ended."""
        with self.catalog.transaction():
            pass
