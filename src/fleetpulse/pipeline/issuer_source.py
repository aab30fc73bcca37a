"""The keys of one issuer: read when a token needs them, kept, read again when they are old or a token names another.

    known, fresh            used at once
    known, older            used at once, and read again meanwhile
    older than may be       the issuer must answer first, else 503
    token with another kid  read again, but at most once in `issuer_retry_s`, whoever asks for what; so is a wrong
                            signature of a token without a kid, since the single key may be another one by now

One reading is under way at a time, in a thread of its own; whoever needs it waits for it, but not longer than
`issuer_timeout_s`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from fleetpulse.access.issuer_keys import IssuerKey, read_jwks
from fleetpulse.access.tokens import wrong_token
from fleetpulse.catalog.acting import acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Busy, DamagedData, DatabaseBusy, NotAccepting, OutcomeUnknown
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.issuer_reading import IssuerAddress, IssuerAway
from fleetpulse.sign_in_limits import IssuerSettings
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("issuers")
WAITING_MAX = 1_024
"""Requests that wait for an issuer at one time; each has a connection of its own."""


class IssuerSource:
    """The keys that an issuer has, as far as is known. Used on the event loop."""

    def __init__(
        self,
        address: IssuerAddress,
        *,
        limits: IssuerSettings,
        clock: Clock,
        thread: Executor,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        counters: Counters,
        read: Callable[[IssuerAddress], bytes] = IssuerAddress.read,
    ) -> None:
        self.address = address
        self.keys: dict[str, IssuerKey] = {}
        self._limits = limits
        self._clock = clock
        self._thread = thread
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._counters = counters
        self._read = read
        self._read_at_ns: int | None = None
        self._tried_at_ns: int | None = None
        self._trouble = ""
        self._reading: asyncio.Task[None] | None = None
        self._waiting = 0

    def load(self) -> None:
        """Take the keys as they were last read. Blocks; for the start."""
        try:
            stored = self._catalog.people.issuer_keys(self.address.issuer)
            if stored is not None:
                self.keys, self._read_at_ns = read_jwks(stored[0]), stored[1]
        except (DamagedData, ValueError) as error:
            log.error("the stored keys of an issuer cannot be read", issuer=self.address.issuer, error=str(error))

    async def reload(self) -> None:
        """Take the keys as another node has read them, where that was later. Raises: NotAccepting."""
        stored = await self._catalog_thread.run(lambda: self._catalog.people.issuer_keys(self.address.issuer))
        if stored is not None and (self._read_at_ns is None or stored[1] > self._read_at_ns):
            try:
                self._take(read_jwks(stored[0]), stored[1])
            except ValueError as error:
                log.error("the stored keys of an issuer cannot be read", issuer=self.address.issuer, error=str(error))

    def _take(self, keys: dict[str, IssuerKey], at_ns: int) -> None:
        self._trouble, self._read_at_ns = "", at_ns
        # A key that stays is the same object, by which tokens that it signed are known again.
        before = self.keys
        self.keys = {
            kid: before[kid] if kid in before and _are_same(before[kid], key) else key for kid, key in keys.items()
        }

    async def key(self, kid: str) -> IssuerKey:
        """The key of this name. Raises: Unauthenticated: there is none. Busy: the issuer does not answer."""
        age_ns = self._age_ns()
        if age_ns is None or age_ns > self._limits.issuer_keys_stale_s * NS_PER_S:
            await self._ask()
            age_ns = self._age_ns()
            if age_ns is None or age_ns > self._limits.issuer_keys_stale_s * NS_PER_S:
                raise self._away()
        elif age_ns > self._limits.issuer_keys_s * NS_PER_S:
            self._begin()
        return self._named(kid) or await self.newer_key(kid)

    async def newer_key(self, kid: str) -> IssuerKey:
        """The key of this name, where another one than is known is needed. Raises: as `key`."""
        await self._ask()
        key = self._named(kid)
        if key is None:
            raise self._away() if self._trouble else wrong_token()
        return key

    def _named(self, kid: str) -> IssuerKey | None:
        """A key by its name. An issuer that has a single one need not name it in tokens."""
        if not kid and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(kid)

    def _age_ns(self) -> int | None:
        """How long ago the keys were read; after the clock was set back, they count as just read."""
        return None if self._read_at_ns is None else max(0, self._clock.now_ns() - self._read_at_ns)

    def _away(self) -> Busy:
        return Busy(
            "the issuer of the token does not tell its keys now: try again, and see the log of the service",
            reason="issuer_away",
            retry_after_s=max(1, round(self._limits.issuer_retry_s)),
        )

    async def _ask(self) -> None:
        """Wait for a reading, if there is one, or it is time for one. Raises: Busy: too many wait already."""
        if not self._begin() or self._reading is None:
            return
        if self._waiting >= WAITING_MAX:
            raise self._away()
        self._waiting += 1
        try:
            await asyncio.wait([self._reading], timeout=self._limits.issuer_timeout_s)
        finally:
            self._waiting -= 1

    def _begin(self) -> bool:
        """Begin a reading where it is time for one. Returns: whether one is under way."""
        if self._reading is not None and not self._reading.done():
            return True
        now_ns = self._clock.monotonic_ns()
        if self._tried_at_ns is not None and now_ns - self._tried_at_ns < self._limits.issuer_retry_s * NS_PER_S:
            return False
        self._tried_at_ns = now_ns
        self._reading = asyncio.get_running_loop().create_task(self._read_keys())
        return True

    async def _read_keys(self) -> None:
        try:
            body = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, self.address)
            keys = read_jwks(body)
        except (IssuerAway, ValueError) as error:
            self._counters.issuer_readings["failed"] += 1
            self._trouble = str(error)
            known = "known keys are used meanwhile" if self.keys else "its tokens are refused meanwhile"
            log.error("an issuer does not tell its keys", issuer=self.address.issuer, error=str(error), todo=known)
            return
        self._counters.issuer_readings["read"] += 1
        if self.keys.keys() != keys.keys() or self._trouble:
            log.info("the keys of an issuer", issuer=self.address.issuer, keys=sorted(keys))
        at_ns = self._clock.now_ns()
        self._take(keys, at_ns)
        try:
            issuer = self.address.issuer
            with acting(None):  # whoever's token began the reading has done nothing
                await self._catalog_thread.run(lambda: self._catalog.people.keep_issuer_keys(issuer, body, at_ns=at_ns))
        except (OutcomeUnknown, NotAccepting, DatabaseBusy) as error:
            log.warning("the keys of an issuer could not be stored", error=str(error), todo="nothing: they are in use")


def _are_same(one: IssuerKey, other: IssuerKey) -> bool:
    return one.algorithm == other.algorithm and one.key.as_dict() == other.key.as_dict()
