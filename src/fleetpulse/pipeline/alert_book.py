"""What is known of alerts on the event loop: the state that rounds go on from, and what people decide.

The catalog has all of it. A round is in effect here only after it is stored; where that fails, all is read again, for
nobody knows whether it was stored after all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np
import structlog

from fleetpulse.alert.lifecycle import Lives
from fleetpulse.alert.planner_state import PlannerState, state_of
from fleetpulse.alert.round import Decided, RoundState
from fleetpulse.alert.stored_rows import lives_of
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.catalog.alert_records import AlertRecords
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.model.alert import RESOLVED, AlertDecision, AlertNote, Silence
from fleetpulse.model.alert_rows import AlertRows
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread

log = structlog.get_logger("alerts")


@dataclass(eq=False, kw_only=True)
class AlertBook:
    """See the module.

    Attributes:
        state: as of the last round that was stored.
        decisions: what people decided, by the number of the alert; of those that are open, and perhaps others.
        silences: those that have not ended, and perhaps others, oldest first.
        is_known: it is what the catalog has.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    settings: AlertSettings
    state: RoundState = field(default_factory=RoundState)
    decisions: dict[int, AlertDecision] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    is_known: bool = False
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever reads a decision, alters it and writes it back."""

    @property
    def records(self) -> AlertRecords:
        """The part of the catalog that keeps alerts."""
        return self.catalog.alerts

    @property
    def lives(self) -> Lives:
        """All alerts that are pending or fire, and those that ended a short while ago."""
        return self.state.lives

    def load(self) -> None:
        """Read all of it from the catalog. Blocks; on the catalog's thread. Raises: DamagedData; DatabaseBusy."""
        ended_from_ns = self.clock.now_ns() - int(self.settings.flap_within_s * NS_PER_S)
        stored = self.records.load(ended_from_ns=ended_from_ns)
        rows = stored.alerts.rows
        rows = rows[(rows["state"] != RESOLVED) | (rows["resolved_at_ns"] >= ended_from_ns)]
        lives = lives_of(
            AlertRows(rows, stored.alerts.names), stored.pending, stored.rules, next_number=stored.next_number
        )
        self.state = RoundState(lives=lives, planner=_readable(stored.planner), told_blind_ns=stored.told_blind_ns)
        self.decisions, self.silences = stored.decisions, tuple(stored.silences)
        self.is_known = True
        for text in stored.wrong:
            log.error("stored alerts are damaged", what=text)

    async def reload(self, *, is_round: bool) -> None:
        """Bring memory to what other nodes stored. Raises: DamagedData; NotAccepting.

        Args: is_round: rounds too, and not only what people decided: of who makes rounds, memory is what was stored.
        """
        async with self.changing:
            if is_round:
                await self.catalog_thread.run(self.load)
                return
            known = np.concatenate([self.lives.open.of["number"], self.lives.ended.of["number"]]).tolist()
            records = self.records
            read = self.catalog_thread.run(lambda: (records.decisions(known), records.silences()))
            decisions, silences = await read
            self.decisions, self.silences = decisions, tuple(silences)

    def adopt(self, decided: Decided) -> None:
        """A round was stored, or had nothing to store: it is in effect."""
        self.state = decided.state
        if decided.record is not None:
            for number in decided.record.unacknowledged:
                before = self.decisions[number]
                self.decisions[number] = before._replace(acknowledged_by="", acknowledged_at_ns=0)
        if self.decisions and len(decided.changes.resolved):
            known = np.concatenate([self.lives.open.of["number"], self.lives.ended.of["number"]])
            numbers = np.fromiter(self.decisions, np.int64, len(self.decisions))
            for number in numbers[~np.isin(numbers, known)].tolist():
                del self.decisions[number]

    async def decide(self, decision: AlertDecision, note: AlertNote) -> None:
        """Record what somebody decided of an alert. Raises: NotAccepting."""
        await self.catalog_thread.run(partial(self.records.decide, decision, note))
        self.decisions[decision.alert] = decision

    async def note(self, note: AlertNote) -> None:
        """Add an entry to the log of an alert. Raises: NotAccepting."""
        await self.catalog_thread.run(partial(self.records.note, note))

    async def notes(self, number: int) -> list[AlertNote]:
        """The log of an alert, oldest entries first. Raises: NotAccepting."""
        return await self.catalog_thread.run(partial(self.records.notes, number))

    async def put_silence(self, silence: Silence) -> Silence:
        """Add or replace a silence. Raises: NotAccepting."""
        number = await self.catalog_thread.run(partial(self.records.put_silence, silence))
        stored = silence._replace(number=number)
        others = [one for one in self.silences if one.number != number]
        self.silences = tuple(sorted([*others, stored], key=lambda one: one.number))
        return stored

    def silences_at(self, now_ns: int) -> list[Silence]:
        """The silences that are in effect, or will be."""
        return [one for one in self.silences if one.end_ns > now_ns]


def _readable(planner: bytes) -> PlannerState | None:
    """What the planner remembers; None where it remembers nothing, or what is stored of it is damaged."""
    try:
        return state_of(planner) if planner else None
    except msgspec.DecodeError as error:
        log.error("what receivers know of alerts is damaged: they are told anew of all that fire", error=str(error))
        return None
