"""The rules of alerts that people declared, changed or removed.

Those of the default set that nobody touched are not here. All of it is written in transactions of those who use it.
"""

from typing import Protocol

import msgspec

from fleetpulse.catalog.acting import audit_change
from fleetpulse.catalog.row_checksum import Row, checked, is_changed
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import put_sql
from fleetpulse.model.alert_rule import AlertRule, check_rule
from fleetpulse.model.declaration_merge import Fields
from fleetpulse.model.declared_rule import DeclaredRule, RuleOrigin

_PUT_SQL = put_sql("alert_rule", "name, body, origin, changed_at_ns, is_removed, checksum", key="name")
_ROWS_SQL = "SELECT name, body, origin, changed_at_ns, is_removed, checksum FROM alert_rule ORDER BY name"


class RuleRecords(Protocol):
    """The part of a catalog that knows the rules of alerts."""

    def all(self) -> list[DeclaredRule]:
        """What was declared, by name, also of removed rules. Rows that cannot be read are left out, see `wrong_rows`.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def put(self, declared: DeclaredRule, *, before: Fields | None, after: Fields | None) -> None:
        """Record a rule as it is now, or that it was removed.

        Args: before, after: for the audit log, None: it was, or is, not there. Raises: OSError; DatabaseBusy.
        """
        ...

    def forget(self, name: str, *, before: Fields) -> None:
        """Remove all that is known of a rule. Args: before: for the audit log. Raises: OSError; DatabaseBusy."""
        ...

    def wrong_rows(self) -> list[str]:
        """What is wrong with rows, as sentences. Raises: DamagedData; DatabaseBusy."""
        ...


class SqlRuleRecords(SqlRecords):
    """See RuleRecords; table `alert_rule`."""

    def all(self) -> list[DeclaredRule]:
        """See RuleRecords."""
        return self._read([])

    def put(self, declared: DeclaredRule, *, before: Fields | None, after: Fields | None) -> None:
        """See RuleRecords."""
        rule, body = declared.rule, msgspec.json.encode(declared.rule).decode()
        with self._transaction() as run:
            run(_PUT_SQL, checked(rule.name, body, declared.origin, declared.changed_at_ns, int(declared.is_removed)))
            audit_change(_subject(rule.name), before, after)

    def forget(self, name: str, *, before: Fields) -> None:
        """See RuleRecords."""
        with self._transaction() as run:
            run("DELETE FROM alert_rule WHERE name = ?", (name,))
            audit_change(_subject(name), before, None)

    def wrong_rows(self) -> list[str]:
        """See RuleRecords."""
        wrong: list[str] = []
        self._read(wrong)
        return wrong

    def _read(self, wrong: list[str]) -> list[DeclaredRule]:
        with self._reading():
            found = [_read_row(row, wrong) for row in self._select(_ROWS_SQL)]
            return [declared for declared in found if declared is not None]


def _read_row(row: Row, wrong: list[str]) -> DeclaredRule | None:
    *values, written = row
    name, body, origin, changed_at_ns, is_removed = values
    about, is_altered = f"the alert rule {str(name)[:100]}", is_changed(values, written)
    try:
        rule = msgspec.json.decode(body, type=AlertRule)
        known = msgspec.convert(origin, RuleOrigin)
        if is_altered:
            # Rows as they were written are not checked: limits may have been others then.
            check_rule(rule)
        if type(changed_at_ns) is not int or rule.name != name:
            raise ValueError(name)
    except (msgspec.MsgspecError, ValueError, TypeError):
        wrong.append(f"{about} cannot be read and is not in effect: declare it again")
        return None
    if is_altered:
        wrong.append(f"{about} is not what was written: declare it again")
    return DeclaredRule(rule, known, changed_at_ns, bool(is_removed))


def _subject(name: str) -> str:
    return f"alert rule {name}"
