"""What files of people last said: the part of the catalog that merging the declared files needs."""

import json

from fleetpulse.catalog.catalog import FileKind
from fleetpulse.catalog.database_state import DatabaseState
from fleetpulse.catalog.sql_text import put_sql
from fleetpulse.model.declaration_merge import Fields

_PUT_READING_SQL = put_sql("file_reading", "kind, read_at_ns", key="kind")
_PUT_VALUE_SQL = put_sql("file_value", "kind, name, fields", key="kind, name")


class FileReadings(DatabaseState):
    """See Catalog; tables `file_reading` and `file_value`."""

    def file_read_at(self, kind: FileKind) -> int | None:
        """See Catalog."""
        with self._reading():
            row = self._select("SELECT read_at_ns FROM file_reading WHERE kind = ?", (kind,)).fetchone()
            return None if row is None else int(row[0])

    def note_file_read(self, kind: FileKind, *, at_ns: int) -> None:
        """See Catalog."""
        with self._transaction() as run:
            run(_PUT_READING_SQL, (kind, at_ns))

    def last_read(self, kind: FileKind, name: str) -> Fields | None:
        """See Catalog."""
        with self._reading():
            text = "SELECT fields FROM file_value WHERE kind = ? AND name = ?"
            row = self._select(text, (kind, name)).fetchone()
            return None if row is None else dict(json.loads(row[0]))

    def note_last_read(self, kind: FileKind, name: str, fields: Fields) -> None:
        """See Catalog."""
        known = self.last_read(kind, name)
        if {**(known or {}), **fields} != known:
            with self._transaction() as run:
                known = self.last_read(kind, name)  # others may have changed it until now
                run(_PUT_VALUE_SQL, (kind, name, json.dumps({**(known or {}), **fields})))
