"""Messages to receivers until they are delivered or given up, and the latest of those for a while after.

A message is stored in the transaction that stores the alerts it tells of. Whoever delivers it records that afterwards:
a crash between the two has it delivered again, with the same key.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords, last_number, note_number
from fleetpulse.catalog.sql_text import TEXTS_IN
from fleetpulse.model.message import Message
from fleetpulse.model.outbox import (
    DEAD,
    DELIVERED,
    OUTBOX_STATES,
    WAITING,
    OutboxAdded,
    OutboxCounts,
    OutboxEntry,
    OutboxState,
    Waiting,
    about_of,
)

FULL = "the outbox was full (outbox_max)"
_ENTRY_SQL = (
    "SELECT number, body, state, tries, next_try_ns, outcome, ended_at_ns, key, receiver, kind, at_ns FROM message"
)
_ADD_SQL = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', 0)"
_END_SQL = "UPDATE message SET state = ?, tries = ?, outcome = ?, ended_at_ns = ? WHERE number = ? AND state = 0"


class OutboxRecords(Protocol):
    """The part of a catalog that keeps messages. Every call may raise OSError or DatabaseBusy: nothing was changed."""

    def add(self, messages: Sequence[Message], *, at_ns: int, waiting_max: int) -> OutboxAdded:
        """Store messages, to be delivered in this order; those whose key is known already are not stored again.

        Beyond `waiting_max` messages that wait, reminders are left out; then the oldest of those that wait are given
        up, since the newest say what is true now.
        """
        ...

    def waiting(self, receiver: str, *, after: int, limit: int) -> list[Waiting]:
        """The messages of a receiver that wait, of numbers above `after`, in their order. Raises: DamagedData."""
        ...

    def receivers(self) -> list[str]:
        """The names of receivers for which messages wait. Raises: DamagedData."""
        ...

    def waiting_count(self) -> int:
        """How many messages wait, for all receivers. Raises: DamagedData."""
        ...

    def get(self, number: int) -> OutboxEntry | None:
        """A message; None: there is none. Raises: DamagedData."""
        ...

    def page(
        self, *, state: OutboxState | None, receiver: str | None, before: int | None, limit: int
    ) -> list[OutboxEntry]:
        """Messages, the newest first, of numbers below `before`. Raises: DamagedData."""
        ...

    def counts(self) -> dict[str, OutboxCounts]:
        """How many there are, by receiver. Raises: DamagedData."""
        ...

    def tried(self, number: int, *, outcome: str, tries: int, next_try_ns: int) -> None:
        """Record a try that failed, and when the next one is due."""
        ...

    def delivered(
        self, number: int, *, outcome: str, tries: int, at_ns: int, forwarded: Mapping[int, bytes | None] | None = None
    ) -> None:
        """Record that a message was delivered.

        Args: forwarded: of alerts, by their numbers, what is sent again to this receiver until they end; None: nothing.
        """
        ...

    def give_up(self, number: int, *, outcome: str, tries: int, at_ns: int) -> None:
        """Record that a message is given up."""
        ...

    def retry(self, numbers: Sequence[int]) -> int:
        """Have messages that were given up wait again. Returns: how many."""
        ...

    def prune(self, *, kept_max: int) -> int:
        """Forget all but the latest `kept_max` delivered, and as many dead ones. Returns: how many were forgotten."""
        ...

    def forwarded(self, receiver: str) -> dict[int, bytes]:
        """What is sent again to a receiver, by the numbers of alerts. Raises: DamagedData."""
        ...

    def end_forwarding(self, receiver: str, alerts: Iterable[int]) -> None:
        """These alerts are not sent again."""
        ...

    def use_link(self, digest: bytes, *, at_ns: int, expires_ns: int) -> bool:
        """Record that a link was used. Returns: whether it was for the first time. Forgets those that have expired."""
        ...

    def is_link_used(self, digest: bytes) -> bool:
        """Whether a link was used. Raises: DamagedData."""
        ...


class SqlOutboxRecords(SqlRecords):
    """See OutboxRecords; tables `message`, `forwarded` and `used_link`."""

    def add(self, messages: Sequence[Message], *, at_ns: int, waiting_max: int) -> OutboxAdded:
        """See OutboxRecords."""
        if not messages:
            return OutboxAdded()
        with self._transaction() as run:
            room = waiting_max - run("SELECT count(*) FROM message WHERE state = 0").fetchone()[0]
            kept = list(messages)
            if len(kept) > room:
                kept = [message for message in kept if message.kind != "reminder"]
            left_out = len(messages) - len(kept)
            self._insert(run, kept, at_ns)
            excess = len(kept) - room
            given_up = _give_up_oldest(run, excess, at_ns) if excess > 0 else 0
        return OutboxAdded(left_out, given_up)

    def waiting(self, receiver: str, *, after: int, limit: int) -> list[Waiting]:
        """See OutboxRecords."""
        text = (
            "SELECT number, about, at_ns, tries, next_try_ns FROM message "
            "WHERE state = 0 AND receiver = ? AND number > ? ORDER BY number LIMIT ?"
        )
        with self._reading():
            rows = self._select(text, (receiver, after, limit)).fetchall()
            return [Waiting(row[0], receiver, _about(row[1]), *row[2:]) for row in rows]

    def receivers(self) -> list[str]:
        """See OutboxRecords."""
        with self._reading():
            return [
                name for (name,) in self._select("SELECT DISTINCT receiver FROM message WHERE state = 0 ORDER BY 1")
            ]

    def _insert(self, run: Any, messages: Sequence[Message], at_ns: int) -> None:
        keys = json.dumps([message.key for message in messages])
        known = {key for (key,) in run(f"SELECT key FROM message WHERE key {TEXTS_IN}", (keys,))}
        number, rows = last_number(run, "message"), []
        for message in messages:
            if message.key not in known:
                known.add(message.key)
                about, body = json.dumps(sorted(about_of(message))), msgspec.json.encode(message)
                number += 1
                rows.append((number, message.key, message.receiver, message.kind, at_ns, about, body))
        if rows:
            self._database.many(_ADD_SQL, rows)
            note_number(run, "message", number)

    def waiting_count(self) -> int:
        """See OutboxRecords."""
        with self._reading():
            return int(self._select("SELECT count(*) FROM message WHERE state = 0").fetchone()[0])

    def get(self, number: int) -> OutboxEntry | None:
        """See OutboxRecords."""
        with self._reading():
            row = self._select(f"{_ENTRY_SQL} WHERE number = ?", (number,)).fetchone()
            return None if row is None else _entry(row)

    def page(
        self, *, state: OutboxState | None, receiver: str | None, before: int | None, limit: int
    ) -> list[OutboxEntry]:
        """See OutboxRecords."""
        conditions = ["number < ?"]
        values: list[int | str] = [before if before is not None else 2**62]
        if state is not None:
            conditions, values = [*conditions, "state = ?"], [*values, OUTBOX_STATES.index(state)]
        if receiver is not None:
            conditions, values = [*conditions, "receiver = ?"], [*values, receiver]
        text = f"{_ENTRY_SQL} WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?"
        with self._reading():
            return [_entry(row) for row in self._select(text, (*values, limit))]

    def counts(self) -> dict[str, OutboxCounts]:
        """See OutboxRecords."""
        text = "SELECT receiver, state, count(*), min(at_ns) FROM message GROUP BY receiver, state"
        found: dict[str, OutboxCounts] = {}
        with self._reading():
            for receiver, state, count, oldest_ns in self._select(text):
                known = found.get(receiver, OutboxCounts())
                changes: dict[str, int] = {OUTBOX_STATES[state]: count}
                if state == WAITING:
                    changes["oldest_ns"] = oldest_ns
                found[receiver] = known._replace(**changes)
        return found

    def tried(self, number: int, *, outcome: str, tries: int, next_try_ns: int) -> None:
        """See OutboxRecords."""
        with self._transaction() as run:
            text = "UPDATE message SET tries = ?, next_try_ns = ?, outcome = ? WHERE number = ? AND state = 0"
            run(text, (tries, next_try_ns, outcome, number))

    def delivered(
        self, number: int, *, outcome: str, tries: int, at_ns: int, forwarded: Mapping[int, bytes | None] | None = None
    ) -> None:
        """See OutboxRecords."""
        with self._transaction() as run:
            run(_END_SQL, (DELIVERED, tries, outcome, at_ns, number))
            for alert, body in (forwarded or {}).items():
                receiver = "(SELECT receiver FROM message WHERE number = ?1)"
                if body is None:
                    run(f"DELETE FROM forwarded WHERE receiver = {receiver} AND alert = ?2", (number, alert))
                else:
                    text = f"INSERT INTO forwarded (receiver, alert, body) VALUES ({receiver}, ?2, ?3)"
                    run(
                        f"{text} ON CONFLICT (receiver, alert) DO UPDATE SET body = excluded.body",
                        (number, alert, body),
                    )

    def give_up(self, number: int, *, outcome: str, tries: int, at_ns: int) -> None:
        """See OutboxRecords."""
        with self._transaction() as run:
            run(_END_SQL, (DEAD, tries, outcome, at_ns, number))

    def retry(self, numbers: Sequence[int]) -> int:
        """See OutboxRecords."""
        count = 0
        with self._transaction() as run:
            for number in numbers:
                text = "UPDATE message SET state = 0, tries = 0, next_try_ns = 0, ended_at_ns = 0 WHERE number = ?"
                if run(f"{text} AND state = {DEAD}", (number,)).rowcount:
                    audit_change(f"message {number}", {"state": "dead"}, {"state": "waiting"})
                    count += 1
        return count

    def prune(self, *, kept_max: int) -> int:
        """See OutboxRecords."""
        count = 0
        with self._transaction() as run:
            for state in (DELIVERED, DEAD):
                oldest = "SELECT number FROM message WHERE state = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
                text = f"DELETE FROM message WHERE state = ? AND number <= ({oldest})"
                count += run(text, (state, state, kept_max)).rowcount
        return count

    def forwarded(self, receiver: str) -> dict[int, bytes]:
        """See OutboxRecords."""
        with self._reading():
            text = "SELECT alert, body FROM forwarded WHERE receiver = ? ORDER BY alert"
            return {alert: bytes(body) for alert, body in self._select(text, (receiver,))}

    def end_forwarding(self, receiver: str, alerts: Iterable[int]) -> None:
        """See OutboxRecords."""
        with self._transaction() as run:
            for alert in alerts:
                run("DELETE FROM forwarded WHERE receiver = ? AND alert = ?", (receiver, alert))

    def use_link(self, digest: bytes, *, at_ns: int, expires_ns: int) -> bool:
        """See OutboxRecords."""
        with self._transaction() as run:
            run("DELETE FROM used_link WHERE expires_ns < ?", (at_ns,))
            text = "INSERT INTO used_link VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING"
            return bool(run(text, (digest, at_ns, expires_ns)).rowcount)

    def is_link_used(self, digest: bytes) -> bool:
        """See OutboxRecords."""
        with self._reading():
            return self._select("SELECT 1 FROM used_link WHERE digest = ?", (digest,)).fetchone() is not None


def _give_up_oldest(run: Any, count: int, at_ns: int) -> int:
    """Reminders first, then the oldest. Returns: how many."""
    oldest = "SELECT number FROM message WHERE state = 0 ORDER BY kind != 'reminder', number LIMIT ?"
    text = f"UPDATE message SET state = ?, outcome = ?, ended_at_ns = ? WHERE number IN ({oldest})"
    return int(run(text, (DEAD, FULL, at_ns, count)).rowcount)


def _entry(row: Sequence[Any]) -> OutboxEntry:
    number, body, state, tries, next_try_ns, outcome, ended_at_ns, key, receiver, kind, at_ns = row
    is_damaged = False
    try:
        message = msgspec.json.decode(body, type=Message)
    except (msgspec.MsgspecError, ValueError):
        # One message that cannot be read must not keep the others from being listed and delivered.
        message, is_damaged = Message(key=key, receiver=receiver, kind=kind, at_ns=at_ns), True
    return OutboxEntry(number, message, OUTBOX_STATES[state], tries, next_try_ns, outcome, ended_at_ns, is_damaged)


def _about(text: str) -> frozenset[str]:
    """What a message tells of; nothing where that cannot be read, so that it holds back no other."""
    try:
        return frozenset(json.loads(text))
    except (ValueError, TypeError):
        return frozenset()
