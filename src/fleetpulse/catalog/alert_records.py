"""Alerts, what people decided of them, and the state of the rounds that make them.

Alerts are stored in pieces of PIECE neighbouring numbers, each a compressed array of rows (`model/alert_rows.py`): a
round in which 100,000 alerts fire writes a hundred blobs, where a row for each would keep the catalog's thread for
seconds, and take the interpreter's lock from the event loop 100,000 times.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import NUMBERS_IN, put_sql
from fleetpulse.errors import DamagedData
from fleetpulse.model.alert import RESOLVED, AlertDecision, AlertNote, Incident, Silence
from fleetpulse.model.alert_rows import ALERT_ROW, PENDING_ROW, AlertRows, PendingRows
from fleetpulse.model.alert_rule import AlertRule

PIECE = 1_000
_LAYOUT = 1
_FAST = 1
"""The level of zlib: alerts that began together have nearly equal rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRound:
    """What a round has decided, to be stored in one transaction.

    Attributes:
        alerts: new ones, and those that have changed.
        pending: of the rules whose pending alerts have changed, what they are now; None: none.
        planner: the state of the planner; None: as it was.
        rules: the rules of the round; None: as they were.
        told_blind_ns: until when people have been told of blind time.
        unacknowledged: numbers of alerts that fire again, so that nobody has acknowledged this.
    """

    alerts: AlertRows = field(default_factory=AlertRows)
    pending: Mapping[str, PendingRows | None] = field(default_factory=dict)
    planner: bytes | None = None
    rules: Sequence[AlertRule] | None = None
    told_blind_ns: int = 0
    unacknowledged: Sequence[int] = ()
    incidents: Sequence[Incident] = ()
    notes: Sequence[AlertNote] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """What the catalog knows when the service starts.

    Attributes:
        alerts: those that have not ended, and those that ended at `ended_from_ns` or later, among others.
    """

    alerts: AlertRows
    pending: dict[str, PendingRows]
    planner: bytes
    rules: list[AlertRule]
    next_number: int
    told_blind_ns: int
    decisions: dict[int, AlertDecision]
    silences: list[Silence]
    wrong: tuple[str, ...] = ()
    """What cannot be read, and what follows from that, as sentences."""


class AlertRecords(Protocol):
    """The part of a catalog that keeps alerts."""

    def load(self, *, ended_from_ns: int) -> StoredState:
        """All that rounds go on from, less what is damaged. Raises: DamagedData: the file is; DatabaseBusy."""
        ...

    def store(self, decided: AlertRound) -> None:
        """Store what a round decided. Raises: OSError; DatabaseBusy: nothing was stored."""
        ...

    def piece_before(self, number: int) -> AlertRows | None:
        """The stored piece with the highest numbers below `number`; None: there is none. Raises: DamagedData."""
        ...

    def decisions(self, numbers: Sequence[int]) -> dict[int, AlertDecision]:
        """What people decided of these alerts, where they did. Raises: DamagedData; DatabaseBusy."""
        ...

    def decide(self, decision: AlertDecision, note: AlertNote) -> None:
        """Replace what people decided of an alert, and log it. Raises: OSError; DatabaseBusy."""
        ...

    def note(self, note: AlertNote) -> None:
        """Add an entry to the log of an alert. Raises: OSError; DatabaseBusy."""
        ...

    def notes(self, alert: int) -> list[AlertNote]:
        """The log of an alert, oldest first. Raises: DamagedData; DatabaseBusy."""
        ...

    def put_silence(self, silence: Silence) -> int:
        """Add a silence (number 0), or replace one. Returns its number. Raises: OSError; DatabaseBusy."""
        ...

    def silences(self) -> list[Silence]:
        """All silences, oldest first. Raises: DamagedData; DatabaseBusy."""
        ...

    def incidents(self, *, before: int, limit: int) -> list[Incident]:
        """Incidents with numbers below `before`, newest first. Raises: DamagedData; DatabaseBusy."""
        ...

    def expire(self, *, before_ns: int, limit: int) -> int:
        """Remove pieces of alerts that all ended before, their logs, and incidents and silences that did.

        Returns: how many pieces were removed, at most `limit`. Raises: OSError; DatabaseBusy.
        """
        ...


class SqlAlertRecords(SqlRecords):
    """See AlertRecords; tables `alert_piece`, `alert_name`, `alert_pending`, `alert_round` and the like."""

    def load(self, *, ended_from_ns: int) -> StoredState:
        """See AlertRecords."""
        with self._reading(), self._database.snapshot():
            text = "SELECT rows, layout, piece FROM alert_piece WHERE open > 0 OR ended_at_ns >= ? ORDER BY piece"
            wrong: list[str] = []
            pieces = [_sound_piece(row, wrong) for row in self._select(text, (ended_from_ns,)).fetchall()]
            rows = np.concatenate([*pieces, np.zeros(0, ALERT_ROW)])
            decisions = self._decided(rows["number"][rows["state"] != RESOLVED].tolist())
            text = "SELECT planner, rules, next_number, told_blind_ns FROM alert_round"
            planner, rules, next_number, told_blind_ns = self._select(text).fetchone()
            return StoredState(
                alerts=AlertRows(rows, self._names()),
                pending=self._pending(wrong),
                planner=planner,
                rules=_sound_rules(rules, wrong),
                next_number=next_number,
                told_blind_ns=told_blind_ns,
                decisions=decisions,
                silences=self._silences(),
                wrong=tuple(wrong),
            )

    def _pending(self, wrong: list[str]) -> dict[str, PendingRows]:
        found = {}
        for rule, groups, body in self._select("SELECT rule, groups, body FROM alert_pending ORDER BY rule").fetchall():
            try:
                known = None if groups is None else tuple(json.loads(groups))
                found[rule] = PendingRows(_array(body, PENDING_ROW), known)
            except (DamagedData, ValueError) as error:
                wrong.append(f"the pending alerts of rule {rule} cannot be read ({error}): their timers begin anew")
        return found

    def _names(self) -> tuple[str, ...]:
        names = [""]
        for code, name in self._select("SELECT code, name FROM alert_name ORDER BY code"):
            names += [""] * (code - len(names))
            names.append(name)
        return tuple(names)

    def store(self, decided: AlertRound) -> None:
        """See AlertRecords."""
        with self._transaction() as run:
            if len(decided.alerts):
                _store_alerts(run, decided.alerts)
                highest = int(decided.alerts.rows["number"].max())
                run("UPDATE alert_round SET next_number = ?1 WHERE next_number < ?1", (highest + 1,))
            for rule, pending in decided.pending.items():
                _store_pending(run, rule, pending)
            if decided.planner is not None:
                run("UPDATE alert_round SET planner = ?", (decided.planner,))
            if decided.rules is not None:
                run("UPDATE alert_round SET rules = ?", (msgspec.json.encode(decided.rules).decode(),))
            if decided.told_blind_ns:
                run("UPDATE alert_round SET told_blind_ns = ?", (decided.told_blind_ns,))
            text = "UPDATE alert_decision SET acknowledged_by = '', acknowledged_at_ns = 0 WHERE alert = ?"
            self._database.many(text, [(number,) for number in decided.unacknowledged])
            self._database.many(_INCIDENT_SQL, decided.incidents)
            self._database.many(_NOTE_SQL, decided.notes)

    def piece_before(self, number: int) -> AlertRows | None:
        """See AlertRecords."""
        with self._reading():
            text = "SELECT rows, layout FROM alert_piece WHERE piece <= ? ORDER BY piece DESC LIMIT 1"
            row = self._select(text, ((number - 1) // PIECE,)).fetchone()
            return None if row is None else AlertRows(_unpacked(row), self._names())

    def decisions(self, numbers: Sequence[int]) -> dict[int, AlertDecision]:
        """See AlertRecords."""
        with self._reading():
            return self._decided(numbers)

    def _decided(self, numbers: Sequence[int]) -> dict[int, AlertDecision]:
        text = f"SELECT {_DECISIONS} FROM alert_decision WHERE alert {NUMBERS_IN}"
        return {row[0]: AlertDecision(*row) for row in self._select(text, (json.dumps(list(numbers)),))}

    def decide(self, decision: AlertDecision, note: AlertNote) -> None:
        """See AlertRecords."""
        with self._transaction() as run:
            row = run(f"SELECT {_DECISIONS} FROM alert_decision WHERE alert = ?", (decision.alert,)).fetchone()
            before = AlertDecision(*row) if row else AlertDecision(decision.alert)
            run(put_sql("alert_decision", _DECISIONS, key="alert"), decision)
            run(_NOTE_SQL, note)
            audit_change(f"alert {decision.alert}", before._asdict(), {**decision._asdict(), "comment": note.text})

    def note(self, note: AlertNote) -> None:
        """See AlertRecords."""
        with self._transaction() as run:
            run(_NOTE_SQL, note)
            audit_change(f"alert {note.alert}", {}, {"comment": note.text})

    def notes(self, alert: int) -> list[AlertNote]:
        """See AlertRecords."""
        with self._reading():
            text = "SELECT alert, at_ns, action, who, text FROM alert_note WHERE alert = ? ORDER BY rowid"
            return [AlertNote(*row) for row in self._select(text, (alert,))]

    def put_silence(self, silence: Silence) -> int:
        """See AlertRecords."""
        with self._transaction() as run:
            former = run("SELECT end_ns FROM silence WHERE number = ?", (silence.number,)).fetchone()
            number = silence.number or run("SELECT coalesce(max(number), 0) + 1 FROM silence").fetchone()[0]
            run(_SILENCE_SQL, (number, json.dumps(silence.labels), *silence[2:]))
            after = {"labels": dict(silence.labels), "end_ns": silence.end_ns, "comment": silence.comment}
            audit_change(f"silence {number}", None if former is None else {**after, "end_ns": former[0]}, after)
            return int(number)

    def silences(self) -> list[Silence]:
        """See AlertRecords."""
        with self._reading():
            return self._silences()

    def _silences(self) -> list[Silence]:
        rows = self._select(f"SELECT {_SILENCES} FROM silence ORDER BY number")
        return [Silence(number, _scope(labels), *rest) for number, labels, *rest in rows]

    def incidents(self, *, before: int, limit: int) -> list[Incident]:
        """See AlertRecords."""
        with self._reading():
            text = f"SELECT {_INCIDENTS} FROM incident WHERE number < ? ORDER BY number DESC LIMIT ?"
            return [Incident(*row) for row in self._select(text, (before, limit))]

    def expire(self, *, before_ns: int, limit: int) -> int:
        """See AlertRecords."""
        with self._transaction() as run:
            text = "SELECT piece FROM alert_piece WHERE open = 0 AND ended_at_ns < ? ORDER BY piece LIMIT ?"
            pieces = [piece for (piece,) in run(text, (before_ns, limit))]
            for piece in pieces:
                numbers = piece * PIECE, (piece + 1) * PIECE
                run("DELETE FROM alert_piece WHERE piece = ?", (piece,))
                run("DELETE FROM alert_note WHERE alert >= ? AND alert < ?", numbers)
                run("DELETE FROM alert_decision WHERE alert >= ? AND alert < ?", numbers)
            run("DELETE FROM silence WHERE end_ns < ?", (before_ns,))
            run("DELETE FROM incident WHERE ended_at_ns > 0 AND ended_at_ns < ?", (before_ns,))
            return len(pieces)


_DECISIONS = ", ".join(AlertDecision._fields)
_INCIDENTS = ", ".join(Incident._fields)
_SILENCES = ", ".join(Silence._fields)
_INCIDENT_SQL = put_sql("incident", _INCIDENTS, key="number")
_SILENCE_SQL = put_sql("silence", _SILENCES, key="number")
_PIECE_SQL = put_sql("alert_piece", "piece, open, ended_at_ns, layout, rows", key="piece")
_PENDING_SQL = put_sql("alert_pending", "rule, groups, body", key="rule")
_NOTE_SQL = "INSERT INTO alert_note (alert, at_ns, action, who, text) VALUES (?, ?, ?, ?, ?)"


def _scope(labels: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(labels))


def _store_alerts(run: Any, alerts: AlertRows) -> None:
    rows = alerts.rows.copy()
    used = np.unique(np.concatenate([rows["rule"], rows["group"]]))
    codes = np.zeros(len(alerts.names), np.int32)
    for place in used[used > 0].tolist():
        codes[place] = _code(run, alerts.names[place])
    rows["rule"], rows["group"] = codes[rows["rule"]], codes[rows["group"]]
    rows = rows[np.argsort(rows["number"], kind="stable")]
    pieces = rows["number"] // PIECE
    for piece in np.unique(pieces).tolist():
        start, end = np.searchsorted(pieces, [piece, piece + 1])
        _store_piece(run, piece, rows[start:end])


def _code(run: Any, name: str) -> int:
    row = run("SELECT code FROM alert_name WHERE name = ?", (name,)).fetchone()
    if row is None:
        row = run("SELECT coalesce(max(code), 0) + 1 FROM alert_name").fetchone()
        run("INSERT INTO alert_name (code, name) VALUES (?, ?)", (row[0], name))
    return int(row[0])


def _store_piece(run: Any, piece: int, rows: NDArray[np.void]) -> None:
    row = run("SELECT rows, layout FROM alert_piece WHERE piece = ?", (piece,)).fetchone()
    if row is not None:
        former = _sound_piece((*row, piece), [])  # what is damaged must not keep others from being stored
        rows = np.concatenate([former[~np.isin(former["number"], rows["number"])], rows])
        rows = rows[np.argsort(rows["number"], kind="stable")]
    opened = int((rows["state"] != RESOLVED).sum())
    run(_PIECE_SQL, (piece, opened, int(rows["resolved_at_ns"].max()), _LAYOUT, zlib.compress(rows.tobytes(), _FAST)))


def _unpacked(row: Sequence[Any]) -> NDArray[np.void]:
    body, layout = row
    if layout != _LAYOUT:
        raise DamagedData(f"alerts are stored in layout {layout}, which this fleetpulse does not know")
    return _array(body, ALERT_ROW)


def _sound_piece(row: Sequence[Any], wrong: list[str]) -> NDArray[np.void]:
    *stored, piece = row
    try:
        return _unpacked(stored)
    except DamagedData as error:
        numbers = f"{max(1, piece * PIECE)} to {(piece + 1) * PIECE - 1}"
        wrong.append(f"the alerts {numbers} cannot be read ({error}): those whose condition is true fire anew")
        return np.zeros(0, ALERT_ROW)


def _sound_rules(rules: str, wrong: list[str]) -> list[AlertRule]:
    try:
        return msgspec.json.decode(rules, type=list[AlertRule])
    except msgspec.MsgspecError as error:
        wrong.append(f"the rules of the last round cannot be read ({error}): all alerts begin anew")
        return []


def _array(body: bytes, dtype: "np.dtype[np.void]") -> NDArray[np.void]:
    try:
        return np.frombuffer(zlib.decompress(body), dtype)
    except (zlib.error, ValueError) as error:
        raise DamagedData(f"stored alerts cannot be read: {error}") from error


def _store_pending(run: Any, rule: str, pending: PendingRows | None) -> None:
    if pending is None or not len(pending.rows):
        run("DELETE FROM alert_pending WHERE rule = ?", (rule,))
        return
    groups = None if pending.groups is None else json.dumps(pending.groups)
    body = zlib.compress(pending.rows.tobytes(), _FAST)
    run(_PENDING_SQL, (rule, groups, body))
