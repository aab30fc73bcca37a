"""What people do with alerts: acknowledge, assign, snooze and comment on them, and silence what they know of.

All of it is in the catalog first, with its entry in the log of the alert, and in effect afterwards.
"""

from dataclasses import dataclass

from fleetpulse.alert_settings import DeskLimits
from fleetpulse.clock import Clock
from fleetpulse.errors import Conflict, NotFound, OutOfRange
from fleetpulse.model.alert import AlertDecision, AlertNote, Silence
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.alert_book import AlertBook


@dataclass(eq=False, kw_only=True)
class AlertDesk:
    """Records what people decide. On the event loop. `who` is how logs name whoever decides."""

    book: AlertBook
    clock: Clock
    limits: DeskLimits

    def is_firing(self, number: int) -> bool:
        """Whether an alert has fired and has not ended."""
        return number > 0 and bool((self.book.lives.open.of["number"] == number).any())

    async def acknowledge(self, number: int, *, who: str, comment: str = "", is_undone: bool = False) -> None:
        """Say that somebody takes care of it, so that nobody else is asked to; or that nobody does.

        Raises: Conflict: the alert has ended. OutOfRange; NotAccepting.
        """
        async with self.book.changing:
            before = self._open_decision(number)
            now_ns = self.clock.now_ns()
            if is_undone:
                after = before._replace(acknowledged_by="", acknowledged_at_ns=0)
            elif before.acknowledged_by == who:
                after = before
            else:
                after = before._replace(acknowledged_by=who, acknowledged_at_ns=now_ns)
            action = "acknowledgement withdrawn" if is_undone else "acknowledged"
            await self._decide(after, action, who, comment)

    async def assign(self, number: int, *, assignee: str, who: str, comment: str = "") -> None:
        """Say who is to take care of it; empty: nobody is. Raises: Conflict; OutOfRange; NotAccepting."""
        async with self.book.changing:
            after = self._open_decision(number)._replace(assignee=assignee)
            text = f"to {assignee}" if assignee else "to nobody"
            await self._decide(after, "assigned", who, f"{text}: {comment}" if comment else text)

    async def snooze(self, number: int, *, until_ns: int, who: str, comment: str = "") -> None:
        """Tell nobody of it until then; a time that is over ends that. Raises: Conflict; OutOfRange; NotAccepting."""
        now_ns = self.clock.now_ns()
        self._check_length(until_ns - now_ns)
        async with self.book.changing:
            is_over = until_ns <= now_ns
            after = self._open_decision(number)._replace(snoozed_until_ns=0 if is_over else until_ns)
            text = "no longer" if is_over else f"until {format_rfc3339(until_ns)}"
            await self._decide(after, "snoozed", who, f"{text}: {comment}" if comment else text)

    async def comment(self, number: int, *, text: str, who: str) -> None:
        """Write something into the log of an alert, also of one that has ended. Raises: OutOfRange; NotAccepting."""
        await self._check_log(number)
        note = AlertNote(number, self.clock.now_ns(), "commented", who, text)
        await self.book.note(note)

    async def _decide(self, decision: AlertDecision, action: str, who: str, text: str) -> None:
        await self._check_log(decision.alert)
        note = AlertNote(decision.alert, self.clock.now_ns(), action, who, text)
        await self.book.decide(decision, note)

    async def _check_log(self, number: int) -> None:
        if len(await self.book.notes(number)) >= self.limits.alert_notes_max:
            raise OutOfRange(
                f"the log of alert {number} has {self.limits.alert_notes_max} entries (alert_notes_max)",
                setting="alert_notes_max",
            )

    def _open_decision(self, number: int) -> AlertDecision:
        if not self.is_firing(number):
            raise Conflict(f"alert {number} has ended: it can only be commented on", reason="alert_ended")
        return self.book.decisions.get(number) or AlertDecision(number)

    def _check_length(self, length_ns: int) -> None:
        if length_ns > self.limits.quiet_days_max * NS_PER_DAY:
            raise OutOfRange(
                f"at most {self.limits.quiet_days_max} days from now (quiet_days_max): what is silent for longer is "
                "forgotten; change the rule instead",
                setting="quiet_days_max",
            )

    async def add_silence(self, silence: Silence) -> Silence:
        """Tell nobody of alerts with these labels for a while. Raises: OutOfRange; NotAccepting."""
        now_ns = self.clock.now_ns()
        if silence.end_ns <= max(silence.start_ns, now_ns):
            raise OutOfRange("a silence must end after it starts, and after now", reason="silence")
        self._check_length(silence.end_ns - max(silence.start_ns, now_ns))
        if len(self.book.silences_at(now_ns)) >= self.limits.silences_max:
            raise OutOfRange(
                f"there are {self.limits.silences_max} silences (silences_max): end some of them",
                setting="silences_max",
            )
        return await self.book.put_silence(silence)

    async def end_silence(self, silence: Silence) -> Silence:
        """End a silence now; one that has not begun never does. Raises: Conflict: it has ended; NotAccepting."""
        now_ns = self.clock.now_ns()
        if silence.end_ns <= now_ns:
            raise Conflict(
                f"silence {silence.number} has ended at {format_rfc3339(silence.end_ns)}", reason="silence_ended"
            )
        return await self.book.put_silence(silence._replace(start_ns=min(silence.start_ns, now_ns), end_ns=now_ns))

    def silence(self, number: int) -> Silence:
        """A silence, also one that has ended. Raises: NotFound."""
        found = next((one for one in self.book.silences if one.number == number), None)
        if found is None:
            raise NotFound(f"there is no silence {number}", reason="unknown_silence")
        return found
