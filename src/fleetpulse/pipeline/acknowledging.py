"""Acknowledging by the link of a message: what it names, whether it still can, and that it works once."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fleetpulse.access_errors import Forbidden
from fleetpulse.alert.acknowledge_link import LinkTerms, WrongLink, digest_of, read_token
from fleetpulse.catalog.acting import current_act
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Conflict
from fleetpulse.model.alert import AlertDecision, AlertNote
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.link_key_file import LinkKeyFile


class LinkView(NamedTuple):
    """What a link would acknowledge now: alerts that fire, by their numbers."""

    terms: LinkTerms
    numbers: list[int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Acknowledging:
    """Reads and uses links. On the event loop."""

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    alert_book: AlertBook
    link_key: LinkKeyFile
    changing: asyncio.Lock
    """Held by whoever reads what was decided of an alert, alters it and writes it back."""

    async def look(self, token: str) -> LinkView:
        """What a link would acknowledge. Changes nothing.

        Raises: Forbidden: it is none of ours. Conflict: it was used, or its time is over. NotAccepting.
        """
        terms = await self._terms(token)
        digest = digest_of(token)
        if await self.catalog_thread.run(lambda: self.catalog.outbox.is_link_used(digest)):
            raise _used()
        return LinkView(terms, self._firing(terms))

    async def use(self, token: str) -> int:
        """Acknowledge what a link names and still fires. Returns: how many alerts. Raises: as `look`."""
        terms = await self._terms(token)
        now_ns, who = self.clock.now_ns(), f"the link to receiver {terms.receiver}"
        if (act := current_act()) is not None:
            act.who, act.subject = who, f"message {terms.message}"
        async with self.changing:
            known = self.alert_book.decisions
            before = [known.get(number) or AlertDecision(number) for number in self._firing(terms)]
            decisions = [
                one._replace(acknowledged_by=who, acknowledged_at_ns=now_ns)
                for one in before
                if not one.acknowledged_by
            ]

            def write() -> None:
                outbox = self.catalog.outbox
                with self.catalog.transaction():
                    if not outbox.use_link(digest_of(token), at_ns=now_ns, expires_ns=terms.expires_s * NS_PER_S):
                        raise _used()
                    for decision in decisions:
                        note = AlertNote(decision.alert, now_ns, "acknowledged", who, "")
                        self.catalog.alerts.decide(decision, note)

            await self.catalog_thread.run(write)
            known.update({decision.alert: decision for decision in decisions})
        return len(decisions)

    async def _terms(self, token: str) -> LinkTerms:
        key = await self.catalog_thread.run(self.link_key.key)
        try:
            terms = read_token(key, token)
        except WrongLink as error:
            raise Forbidden(str(error), reason="link") from error
        if self.clock.now_ns() >= terms.expires_s * NS_PER_S:
            at = format_rfc3339(terms.expires_s * NS_PER_S)
            raise Conflict(f"this link ended at {at}: acknowledge the alerts in fleetpulse", reason="link_expired")
        return terms

    def _firing(self, terms: LinkTerms) -> list[int]:
        """Those of the alerts that a link names, or that belong to its incident, which fire."""
        of = self.alert_book.lives.open.of
        chosen = np.isin(of["number"], np.array(terms.numbers, np.int64)) & (of["number"] > 0)
        if terms.incident:
            chosen |= (of["incident"] == terms.incident) & (of["number"] > 0)
        return [int(number) for number in of["number"][chosen]]


def _used() -> Conflict:
    return Conflict("this link was used already: it works once", reason="link_used")
