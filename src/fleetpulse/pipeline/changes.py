"""What other nodes changed in the catalog comes into the memory of this one.

Every transaction has a number, the version of the catalog, and says what it changed (`catalog/change_log.py`). A *look*
reads what was changed since the version that memory is at, and reads just that again. Looks come about once a second,
sooner when the catalog announces a change, and whenever somebody must know the newest: who follows the journal before
an entry that names a version, and a request that shows an id or a key which nobody here knows. One look is under way at
a time, whoever waits for it. One that reads a million devices takes long, so in its midst it looks for what was revoked
since it began (`look_at_access`). Where the catalog belongs to one node alone, nothing of this happens.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field

import structlog

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.change_log import CatalogChanges
from fleetpulse.errors import Answerable, NotAccepting, OperatorError
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.readiness import Degradation

log = structlog.get_logger("changes")
LOOK_EVERY_S = 1.0
"""So long a change of another node may stay unknown, where nothing announces it."""
UNKNOWN_EVERY_S = 0.25
"""Requests with ids and keys that nobody knows cause a look so often at most, however many there are."""
LOOK_TIMEOUT_S = 5.0
"""So long whoever needs a look waits for its end."""
CATALOG_AWAY = "catalog_away"
"""The reason of the refusal of what cannot be decided without the catalog."""
_RETRY_S = 2

Reload = Callable[[CatalogChanges], Awaitable[None]]


@dataclass(eq=False, kw_only=True)
class Changes:
    """See the module. On the event loop.

    Attributes:
        known: memory is at this version of the catalog, or newer.
        reloads: what brings the parts that keep something of the catalog in memory to what a look has found.
        access_reloads: the same of who may do what alone; they need nothing of the fleet.
        on_manifest: called in a look where the manifest of blocks is another one. Must not wait for the block store,
            since who follows the journal, and who is shown a key, waits for the look.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    monotonic_s: Callable[[], float] = time.monotonic
    known: int = 0
    reloads: list[Reload] = field(default_factory=list)
    access_reloads: list[Reload] = field(default_factory=list)
    on_manifest: list[Callable[[], None]] = field(default_factory=list)
    degraded: dict[Degradation, str] = field(default_factory=dict)
    """What /readyz says of the service; it gets an entry while the catalog cannot be read."""
    looks: int = field(default=0, init=False)
    trouble: str = field(default="", init=False)
    """Why the last look failed; empty where it did not."""
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _for_unknown: asyncio.Task[None] | None = field(default=None, init=False)
    _announced: int = field(default=0, init=False)
    """The newest version that the catalog has announced."""
    _stop_listening: Callable[[], None] | None = field(default=None, init=False)
    _next_s: float = field(default=0.0, init=False)
    _next_unknown_s: float = field(default=0.0, init=False)
    _known_access: int = field(default=0, init=False)
    """Access is at this version, where it is newer than `known`."""
    _next_access_s: float = field(default=0.0, init=False)

    def note_loaded(self) -> None:
        """All of the catalog is about to be read into memory. Blocks; for the start, on the catalog's thread."""
        self.known = self.catalog.version()

    def tick(self) -> None:
        """Begin a look where it is time for one."""
        if self.catalog.is_shared and self.monotonic_s() >= self._next_s:
            self.hurry()

    def begin(self) -> None:
        """Listen to what the catalog announces; for the end of the start."""
        if self.catalog.is_shared:
            loop = asyncio.get_running_loop()

            def heard(version: int) -> None:
                loop.call_soon_threadsafe(self.announce, version)

            self._stop_listening = self.catalog.listen(heard)

    def announce(self, version: int) -> None:
        """A version was announced, 0: some may have been, and were missed. Look, unless it is known here."""
        self._announced = max(self._announced, version)
        if version == 0 or version > self.known:
            self.hurry()

    def hurry(self) -> None:
        """Begin a look now, unless one is under way."""
        if self.catalog.is_shared and (self._task is None or self._task.done()):
            self._begin()

    def _begin(self) -> asyncio.Task[None]:
        self._next_s = self.monotonic_s() + LOOK_EVERY_S
        self._task = asyncio.get_running_loop().create_task(self._try_look(), context=Context())  # of no request
        return self._task

    async def end(self) -> None:
        """Wait for the look under way, before the catalog is closed."""
        self._next_s, self._announced = float("inf"), 0
        if self._stop_listening is not None:
            self._stop_listening()
        if self._for_unknown is not None:
            self._for_unknown.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def reach(self, version: int) -> None:
        """Bring memory to this version at least; 0: to what the catalog is at now.

        Raises: NotAccepting: the catalog cannot be read, or has no such version.
        """
        if version and version <= self.known:
            return
        # A look that is under way may have read before the version was there.
        under_way = self._task
        if under_way is not None and not under_way.done():
            await self._ended(under_way)
            if version and version <= self.known:
                return
        following = self._task if self._task is not None and not self._task.done() else self._begin()
        await self._ended(following)
        if self.trouble:
            raise self.refusal()
        if version > self.known:
            text = f"the catalog is at version {self.known}, and an entry of the journal names version {version}"
            raise NotAccepting(
                f"{text}: it is an older copy; restore a newer one", reason=CATALOG_AWAY, retry_after_s=_RETRY_S
            )

    async def _ended(self, look: "asyncio.Task[None]") -> None:
        done, _ = await asyncio.wait([look], timeout=LOOK_TIMEOUT_S)
        if not done:
            self.trouble = self.trouble or f"it has not answered for {LOOK_TIMEOUT_S:g} s"
            raise self.refusal()

    def refusal(self) -> NotAccepting:
        """What is answered where something is not known here, and the catalog cannot be asked."""
        return NotAccepting(
            f"the catalog cannot be read now ({self.trouble}), and nothing is known here of what you name or show: "
            "send it again after the seconds of Retry-After",
            reason=CATALOG_AWAY,
            retry_after_s=_RETRY_S,
        )

    async def ask_for_unknown(self) -> bool:
        """Have a look that begins after this call, for an id or a key that nobody here knows.

        Such looks begin only so often, since anybody can name what does not exist: all who come meanwhile share the
        next one. Returns: whether there is more to know than before, so that it may be known now.
        Raises: NotAccepting: the catalog cannot be read.
        """
        if not self.catalog.is_shared:
            return False
        before = self.known
        if self._for_unknown is None:
            looking = self._look_for_unknown()
            self._for_unknown = asyncio.get_running_loop().create_task(looking, context=Context())
        done, _ = await asyncio.wait([self._for_unknown], timeout=LOOK_TIMEOUT_S)
        if self.trouble or not done:
            raise self.refusal()
        return self.known != before

    async def _look_for_unknown(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._next_unknown_s - self.monotonic_s()))
            self._next_unknown_s = self.monotonic_s() + UNKNOWN_EVERY_S
        finally:
            self._for_unknown = None  # who comes from now on needs another one
        try:
            await self.reach(0)
        except NotAccepting as error:
            log.debug("the catalog could not be asked", error=str(error))

    async def _try_look(self) -> None:
        try:
            await self._look()
        except (Answerable, OperatorError, OSError) as error:
            if not self.trouble:
                log.warning("the catalog cannot be read", error=str(error), todo="what is known here goes on meanwhile")
            self.trouble = str(error)
        except Exception as error:
            log.error("what other nodes changed cannot be taken up, by a defect", exc_info=error)
            self.trouble = f"{type(error).__name__}: {error}"
        else:
            if self.trouble:
                log.info("the catalog can be read again", version=self.known)
            self.trouble = ""
            if self._announced > self.known:  # it was announced after the look had read
                asyncio.get_running_loop().call_soon(self.hurry)
        self._tell()

    def _tell(self) -> None:
        if self.trouble:
            text = f"what other nodes change in the catalog is not seen ({self.trouble}); what is known goes on"
            self.degraded["changes"] = text
        else:
            self.degraded.pop("changes", None)

    async def _look(self) -> None:
        after, self.looks = self.known, self.looks + 1
        changes = await self.catalog_thread.run(lambda: self.catalog.changes(after))
        if changes.version == after:
            return
        self._known_access, self._next_access_s = changes.version, self.monotonic_s() + LOOK_EVERY_S
        for reload in self.reloads:
            await reload(changes)
        if changes.concerns("manifest"):
            for call in self.on_manifest:
                call()
        self.known = changes.version

    async def look_at_access(self) -> None:
        """In the midst of a long look: take up what was revoked since it began, once in LOOK_EVERY_S at most."""
        if not self.catalog.is_shared or self.monotonic_s() < self._next_access_s:
            return
        self._next_access_s = self.monotonic_s() + LOOK_EVERY_S
        after = max(self.known, self._known_access)
        try:
            changes = await self.catalog_thread.run(lambda: self.catalog.changes(after))
            for reload in self.access_reloads:
                await reload(changes)
        except (Answerable, OperatorError, OSError) as error:
            # The look itself will say so; this one must not break off what devices are being read for.
            log.debug("the catalog could not be asked for what was revoked", error=str(error))
            return
        self._known_access = changes.version
