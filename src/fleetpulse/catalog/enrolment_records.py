"""Enrolment keys, and which devices enrolled with them. All of it is written in transactions of those who use it."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import put_sql
from fleetpulse.model.enrolment import Enrolment, EnrolmentTerms

_COLUMNS = "device, enrolment_key, device_key, secret_hash, at_ns"
_PUT_SQL = put_sql("enrolment", _COLUMNS, key="device")
_TERMS_SQL = "SELECT number, uses_max, uses, pattern, labels, takes FROM enrolment_key"


class EnrolmentRecords(Protocol):
    """The part of a catalog that knows how devices enrol."""

    def add_terms(self, terms: EnrolmentTerms) -> None:
        """Record the terms of a new enrolment key. Raises: OSError; DatabaseBusy."""
        ...

    def terms(self, key: int) -> EnrolmentTerms | None:
        """The terms of an enrolment key; None: there are none. Raises: DamagedData; DatabaseBusy."""
        ...

    def all_terms(self) -> list[EnrolmentTerms]:
        """Those of all enrolment keys, by number, of revoked ones too. Raises: DamagedData; DatabaseBusy."""
        ...

    def of(self, device: int) -> Enrolment | None:
        """The enrolment of a device; None: it never enrolled. Raises: DamagedData; DatabaseBusy."""
        ...

    def put(self, enrolment: Enrolment, *, counts: bool) -> None:
        """Record an enrolment in place of the former one. Args: counts: it is a use of its key.

        Raises: OSError; DatabaseBusy.
        """
        ...


class SqlEnrolmentRecords(SqlRecords):
    """See EnrolmentRecords; tables `enrolment_key` and `enrolment`."""

    def add_terms(self, terms: EnrolmentTerms) -> None:
        """See EnrolmentRecords."""
        with self._transaction() as run:
            row = (terms.key, terms.uses_max, terms.uses, terms.pattern)
            text = "INSERT INTO enrolment_key VALUES (?, ?, ?, ?, ?, ?)"
            run(text, (*row, json.dumps(terms.labels), json.dumps(terms.takes)))
            after = {"uses_max": terms.uses_max, "pattern": terms.pattern, "labels": dict(terms.labels)}
            audit_change(f"enrolment key {terms.key}", None, {**after, "takes": list(terms.takes)})

    def terms(self, key: int) -> EnrolmentTerms | None:
        """See EnrolmentRecords."""
        with self._reading():
            row = self._select(f"{_TERMS_SQL} WHERE number = ?", (key,)).fetchone()
            return None if row is None else _read_terms(row)

    def all_terms(self) -> list[EnrolmentTerms]:
        """See EnrolmentRecords."""
        with self._reading():
            return [_read_terms(row) for row in self._select(f"{_TERMS_SQL} ORDER BY number")]

    def of(self, device: int) -> Enrolment | None:
        """See EnrolmentRecords."""
        with self._reading():
            row = self._select(f"SELECT {_COLUMNS} FROM enrolment WHERE device = ?", (device,)).fetchone()
            return None if row is None else Enrolment(*row)

    def put(self, enrolment: Enrolment, *, counts: bool) -> None:
        """See EnrolmentRecords."""
        with self._transaction() as run:
            run(_PUT_SQL, enrolment)
            if counts:
                run("UPDATE enrolment_key SET uses = uses + 1 WHERE number = ?", (enrolment.enrolment_key,))


def _read_terms(row: Sequence[Any]) -> EnrolmentTerms:
    number, uses_max, uses, pattern, labels, takes = row
    pairs = tuple((name, value) for name, value in json.loads(labels))
    return EnrolmentTerms(number, uses_max, uses, pattern, pairs, tuple(json.loads(takes)))
