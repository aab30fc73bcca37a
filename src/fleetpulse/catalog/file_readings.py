"""What files of people last said: the part of the catalog that merging the declared files needs."""

import json

from fleetpulse.catalog.catalog import FileKind
from fleetpulse.catalog.database_state import DatabaseState
from fleetpulse.model.declaration_merge import Fields


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
            run("INSERT OR REPLACE INTO file_reading VALUES (?, ?)", (kind, at_ns))

    def last_read(self, kind: FileKind, name: str) -> Fields | None:
        """See Catalog."""
        with self._reading():
            text = "SELECT fields FROM file_value WHERE kind = ? AND name = ?"
            row = self._select(text, (kind, name)).fetchone()
            return None if row is None else dict(json.loads(row[0]))

    def note_last_read(self, kind: FileKind, name: str, fields: Fields) -> None:
        """See Catalog."""
        known = self.last_read(kind, name)
        after = {**(known or {}), **fields}
        if after != known:
            with self._transaction() as run:
                run("INSERT OR REPLACE INTO file_value VALUES (?, ?, ?)", (kind, name, json.dumps(after)))
