"""Receivers and routes as people declared them. What is written of them in the audit log has no secret."""

from typing import Protocol, TypeVar

import msgspec

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import put_sql
from fleetpulse.model.declaration_merge import Fields
from fleetpulse.model.receiver import Receiver, Route

_PUT_SQL = put_sql("receiver_or_route", "kind, name, body, is_removed", key="kind, name")
_RECEIVER, _ROUTE = "receiver", "route"
_Declared = TypeVar("_Declared", Receiver, Route)


class ReceiverRecords(Protocol):
    """The part of a catalog that knows whom to tell. Every change may raise OSError; DatabaseBusy: nothing changed."""

    def receivers(self) -> list[Receiver]:
        """All receivers, by name; rows that cannot be read are left out, see `wrong_rows`. Raises: DamagedData."""
        ...

    def routes(self) -> list[Route]:
        """All routes, by name; rows that cannot be read are left out, see `wrong_rows`. Raises: DamagedData."""
        ...

    def wrong_rows(self) -> list[str]:
        """What is wrong with rows, as sentences. Raises: DamagedData."""
        ...

    def removed(self, kind: str) -> list[str]:
        """Names of those of a kind (`receiver`, `route`) that a file declared, and people removed."""
        ...

    def put(self, declared: Receiver | Route, *, before: Fields | None, after: Fields) -> None:
        """Record a receiver or route in place of the one of its name. Args: before, after: for the audit log."""
        ...

    def remove(self, declared: Receiver | Route, *, before: Fields, is_remembered: bool) -> None:
        """Remove a receiver or route. Args: is_remembered: a file may name it still, which must not bring it back."""
        ...


class SqlReceiverRecords(SqlRecords):
    """See ReceiverRecords; table `receiver_or_route`."""

    def receivers(self) -> list[Receiver]:
        """See ReceiverRecords."""
        return self._read(_RECEIVER, Receiver, [])

    def routes(self) -> list[Route]:
        """See ReceiverRecords."""
        return self._read(_ROUTE, Route, [])

    def wrong_rows(self) -> list[str]:
        """See ReceiverRecords."""
        wrong: list[str] = []
        self._read(_RECEIVER, Receiver, wrong)
        self._read(_ROUTE, Route, wrong)
        return wrong

    def removed(self, kind: str) -> list[str]:
        """See ReceiverRecords."""
        with self._reading():
            text = "SELECT name FROM receiver_or_route WHERE kind = ? AND is_removed = 1 ORDER BY name"
            return [name for (name,) in self._select(text, (kind,))]

    def put(self, declared: Receiver | Route, *, before: Fields | None, after: Fields) -> None:
        """See ReceiverRecords."""
        with self._transaction() as run:
            row = (_kind(declared), declared.name, msgspec.json.encode(declared), 0)
            run(_PUT_SQL, row)
            audit_change(_subject(declared), before, after)

    def remove(self, declared: Receiver | Route, *, before: Fields, is_remembered: bool) -> None:
        """See ReceiverRecords."""
        with self._transaction() as run:
            run("DELETE FROM receiver_or_route WHERE kind = ? AND name = ?", (_kind(declared), declared.name))
            if is_remembered:
                run(_PUT_SQL, (_kind(declared), declared.name, b"", 1))
            audit_change(_subject(declared), before, None)

    def _read(self, kind: str, declared: type[_Declared], wrong: list[str]) -> list[_Declared]:
        text = "SELECT name, body FROM receiver_or_route WHERE kind = ? AND is_removed = 0 ORDER BY name"
        found: list[_Declared] = []
        with self._reading():
            for name, body in self._select(text, (kind,)):
                try:
                    found.append(msgspec.json.decode(body, type=declared))
                except (msgspec.MsgspecError, TypeError):
                    wrong.append(f"the {kind} {str(name)[:100]} cannot be read and is not in effect: declare it again")
        return found


def _kind(declared: Receiver | Route) -> str:
    return _RECEIVER if isinstance(declared, Receiver) else _ROUTE


def _subject(declared: Receiver | Route) -> str:
    return f"{_kind(declared)} {declared.name}"
