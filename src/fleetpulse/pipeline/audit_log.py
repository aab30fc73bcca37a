"""The audit log: administrative acts, and refused authentications.

What an act changes in the catalog gets its entry in the transaction that changes it, by itself (`catalog/acting.py`).
Acts that change something else are noted here, before they are done: an act without its entry must not be.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial

import structlog

from fleetpulse.access.key_text import claimed_number
from fleetpulse.access_errors import Forbidden, TooManyRequests, Unauthenticated
from fleetpulse.catalog.acting import Act, current_act
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, Deposed, WebPage
from fleetpulse.limits import AuditLimits
from fleetpulse.model.access import Attempt, Principal
from fleetpulse.model.audit import AuditEntry, AuditFacts, AuditFilter, Fields
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.refusal_counts import RefusalCounts, Refused

log = structlog.get_logger("audit")
_EXPIRE_EVERY_NS = 600 * NS_PER_S
_EXPIRE_AT_ONCE = 5_000
_PIECE = 500


class AuditLog:
    """Writes and reads the audit log. Used on the loop."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        limits: AuditLimits,
        lease: Lease,
        was_made: Callable[[int], bool],
    ) -> None:
        """`was_made`: whether there is, or was, a key of this number."""
        self.refusals = RefusalCounts(
            addresses_max=limits.audit_addresses_max,
            entries_max=limits.audit_refusals_day_max,
            network_entries_max=limits.audit_refusals_address_max,
        )
        self._was_made = was_made
        self._records = catalog.audit
        self._thread = catalog_thread
        self._clock = clock
        self._lease = lease
        self._retention_ns = limits.audit_retention_days * NS_PER_DAY
        self._writing: asyncio.Task[None] | None = None
        self._expire_at_ns = 0

    async def note(
        self,
        principal: Principal | None,
        action: str,
        subject: str,
        *,
        before: Fields | None = None,
        after: Fields | None = None,
        address: str = "",
        request_id: str = "",
    ) -> None:
        """Write down an act that changes nothing in the catalog, before it is done. Raises: NotAccepting."""
        who, role = ("", "") if principal is None else (principal.name, principal.role)
        act = Act(who=who, role=role, action=action, address=address, request_id=request_id)
        await self._append([act.entry("act", subject, before, after)])

    async def note_act(self, subject: str, *, after: Fields | None = None) -> None:
        """The same for who acts now, as the edge said; nothing where nobody does. Raises: NotAccepting."""
        act = current_act()
        if act is not None:
            await self._append([act.entry("act", subject, None, after)])

    def refused(self, error: Answerable, attempt: Attempt) -> None:
        """Count a request that was refused because of who asked. Costs an increment."""
        number, principal = claimed_number(attempt.key), attempt.principal
        if number is not None and not self._was_made(number):
            number = None  # whoever asks makes up such numbers, and as many as they like
        who, role = "", ""
        if principal is not None:
            who, role, number = principal.name, principal.role, principal.key
        self.refusals.add(
            Refused(attempt.address, error.reason, number, who, role, attempt.operation, attempt.request_id)
        )

    def watch(self, error: Answerable, attempt: Attempt) -> None:
        """Count what the gate refused, on both HTTP paths; see `Gate.watchers`."""
        if _is_about_who(error):
            self.refused(error, attempt)

    def tick(self, *, may_expire: bool) -> None:
        """Write refusals whose time has come, and remove what is older than the retention."""
        if self._writing is not None and not self._writing.done():
            return
        now_ns = self._clock.now_ns()
        entries = self._taken(now_ns)
        is_due = may_expire and bool(self._retention_ns) and now_ns >= self._expire_at_ns
        if entries or is_due:
            self._writing = asyncio.get_running_loop().create_task(self._write(entries, is_due=is_due))

    async def end(self) -> None:
        """Write what is left, when the service ends."""
        if self._writing is not None:
            await self._writing
        await self._write(self._taken(self._clock.now_ns(), is_last=True), is_due=False)

    def _taken(self, now_ns: int, *, is_last: bool = False) -> list[AuditFacts]:
        return [_refusal(refused, count) for refused, count in self.refusals.take(now_ns, is_last=is_last).items()]

    async def _write(self, entries: list[AuditFacts], *, is_due: bool) -> None:
        try:
            if entries:
                await self._append(entries)
            if is_due:
                with self._lease.holding():
                    await self._expire()
        except Deposed:
            pass  # another node removes what is old
        except Answerable as error:
            # These only count what was refused anyway, so nobody is kept from anything by it.
            log.error("the audit log could not be written", lost_entries=len(entries), error=str(error))

    async def _append(self, entries: list[AuditFacts]) -> None:
        await self._thread.run(partial(self._records.append, entries, at_ns=self._clock.now_ns()))

    async def _expire(self) -> None:
        now_ns = self._clock.now_ns()
        note = Act(who="fleetpulse", role="", action="removeAuditEntries").entry("act", "")
        removed = await self._thread.run(
            partial(
                self._records.expire,
                before_ns=now_ns - self._retention_ns,
                limit=_EXPIRE_AT_ONCE,
                note=note,
                at_ns=now_ns,
            )
        )
        if removed < _EXPIRE_AT_ONCE:
            self._expire_at_ns = now_ns + _EXPIRE_EVERY_NS
        if removed:
            log.info("entries of the audit log removed (audit_retention_days)", entries=removed)

    async def page(
        self, chosen: AuditFilter, *, before: int | None, limit: int
    ) -> tuple[list[AuditEntry], int, int | None]:
        """The newest entries that match, the number of the oldest entry that is left, and the cursor of the next page.

        Raises: DamagedData; NotAccepting.
        """
        entries, state = await self._thread.run(
            lambda: (self._records.page(chosen, before=before, limit=limit + 1), self._records.state())
        )
        following = entries[limit - 1].number if len(entries) > limit else None
        return entries[:limit], state.anchor_number + 1, following

    async def export(self, chosen: AuditFilter) -> AsyncGenerator[list[AuditEntry]]:
        """All entries that match, oldest first, in pieces. Raises: DamagedData; NotAccepting."""
        after = 0
        while True:
            piece = await self._thread.run(partial(self._records.piece, chosen, after=after, limit=_PIECE))
            if not piece:
                return
            after = piece[-1].number
            yield piece


def _is_about_who(error: Answerable) -> bool:
    """Whether a request was refused because of who asked, or of how they showed it."""
    if isinstance(error, TooManyRequests):
        return error.reason == "login_rate"  # passwords that nobody looked at
    return isinstance(error, Unauthenticated | Forbidden | WebPage) or error.reason == "two_keys"


def _refusal(refused: Refused, count: int) -> AuditFacts:
    shown = "" if refused.key is None else f"key {refused.key}, which was shown"
    subject = ", ".join(filter(None, (refused.operation, shown)))
    return AuditFacts(
        *("refusal", refused.who, refused.role, refused.reason, subject, "", ""),
        address=refused.address,
        request_id=refused.request_id,
        times=count,
    )
