"""What files of people last said: the part of the catalog that merging the declared files needs."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from fleetpulse.catalog.database_state import DatabaseState
from fleetpulse.catalog.sql_text import TEXTS_IN, put_sql
from fleetpulse.model.declaration_merge import Fields

_PUT_READING_SQL = put_sql("file_reading", "kind, read_at_ns", key="kind")
_NEW_VALUE_SQL = "INSERT INTO file_value (kind, name, fields) VALUES (?, ?, ?)"
_PUT_VALUE_SQL = put_sql("file_value", "kind, name, fields", key="kind, name")


FileKind = Literal["devices", "metrics", "alerts"]
"""Which of the declared files: devices.csv, metrics.json or alerts.toml, whatever they are called."""


class FileReadings(Protocol):
    """The part of a catalog that remembers what the declared files said."""

    def file_read_at(self, kind: FileKind) -> int | None:
        """When a file of this kind was last read, in nanoseconds since 1970; None: what it said before is not known."""
        ...

    def note_file_read(self, kind: FileKind, *, at_ns: int) -> None:
        """Record that a file of this kind was read."""
        ...

    def last_read(self, kind: FileKind, name: str) -> Fields | None:
        """What a file of this kind said of a device or metric when it last named it, field by field; None: never."""
        ...

    def last_reads(self, kind: FileKind, names: Sequence[str]) -> dict[str, Fields]:
        """`last_read` for many at once; what was never named is not in it."""
        ...

    def note_last_read(self, kind: FileKind, name: str, fields: Fields) -> None:
        """Record what a file says of a device or metric. Fields that it no longer names keep what was recorded."""
        ...

    def note_last_reads(self, kind: FileKind, fields: Mapping[str, Fields]) -> None:
        """`note_last_read` for many at once, by name."""
        ...


class SqlFileReadings(DatabaseState):
    """See FileReadings; tables `file_reading` and `file_value`."""

    def file_read_at(self, kind: FileKind) -> int | None:
        """See FileReadings."""
        with self._reading():
            row = self._select("SELECT read_at_ns FROM file_reading WHERE kind = ?", (kind,)).fetchone()
            return None if row is None else int(row[0])

    def note_file_read(self, kind: FileKind, *, at_ns: int) -> None:
        """See FileReadings."""
        with self._transaction() as run:
            run(_PUT_READING_SQL, (kind, at_ns))

    def last_read(self, kind: FileKind, name: str) -> Fields | None:
        """See FileReadings."""
        with self._reading():
            text = "SELECT fields FROM file_value WHERE kind = ? AND name = ?"
            row = self._select(text, (kind, name)).fetchone()
            return None if row is None else dict(json.loads(row[0]))

    def last_reads(self, kind: FileKind, names: Sequence[str]) -> dict[str, Fields]:
        """See FileReadings."""
        with self._reading():
            text = f"SELECT name, fields FROM file_value WHERE kind = ? AND name {TEXTS_IN}"
            rows = self._database.all_rows(text, kind, json.dumps(list(names)))
            return {name: dict(json.loads(fields)) for name, fields in rows}

    def note_last_read(self, kind: FileKind, name: str, fields: Fields) -> None:
        """See FileReadings."""
        self.note_last_reads(kind, {name: fields})

    def note_last_reads(self, kind: FileKind, fields: Mapping[str, Fields]) -> None:
        """See FileReadings."""
        if not _changed(self.last_reads(kind, list(fields)), fields):
            return
        with self._transaction():
            known = self.last_reads(kind, list(fields))  # others may have changed it until now
            rows = [(kind, name, json.dumps(one)) for name, one in _changed(known, fields).items()]
            self._database.many(_NEW_VALUE_SQL, [row for row in rows if row[1] not in known])
            self._database.many(_PUT_VALUE_SQL, [row for row in rows if row[1] in known])


def _changed(known: Mapping[str, Fields], fields: Mapping[str, Fields]) -> dict[str, Fields]:
    """What is to be recorded anew, by name."""
    together = {name: {**known.get(name, {}), **one} for name, one in fields.items()}
    return {name: one for name, one in together.items() if one != known.get(name)}
