"""Which files of the block store this catalog wrote, and which of them no manifest names any more.

Before a checkpoint or a piece of compaction writes files, a mark is recorded here; it stands in the names of these
files. So every file can be told to be ours before it exists, also after a crash, and one without a recorded mark is
somebody else's: it is never removed. When a manifest no longer names a file, the file is recorded as superseded, in the
transaction that commits the manifest.
"""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import TEXTS_IN
from fleetpulse.model.manifest import Manifest, Superseded

MARK_BYTES = 8
"""Random, so that no two catalogs ever record the same mark, not even two copies of one."""


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """What is recorded: the marks of files that may have been written, and the superseded files, oldest first."""

    marks: frozenset[str]
    superseded: tuple[Superseded, ...]


class FileRecords(Protocol):
    """The part of a catalog that knows its own files. Each call is one transaction, or one read."""

    def identity(self) -> str | None:
        """The id of the data folder, None where it has none yet. Raises: DamagedData; DatabaseBusy."""
        ...

    def identify(self, identity: str) -> None:
        """Record the id of the data folder, for good. Raises: OSError; DatabaseBusy."""
        ...

    def begin(self, *, at_ns: int) -> str:
        """Record a new mark, durably, and return it. Raises: OSError; DatabaseBusy."""
        ...

    def written(self) -> WrittenFiles:
        """All that is recorded. Raises: DamagedData; DatabaseBusy."""
        ...

    def settle(self, *, leftovers: Collection[str], removed: Collection[str], at_ns: int, marks_before_ns: int) -> None:
        """Record what was found in the store.

        Args:
            leftovers: names with our marks that no manifest ever named; they are superseded from now on.
            removed: superseded files that are gone.
            marks_before_ns: forget older marks. Leftovers of them, if there are any, must be recorded by now.
        Raises: OSError; DatabaseBusy.
        """
        ...

    def set_aside(self) -> dict[str, tuple[str, int]]:
        """Blocks that are set aside, by name: what is wrong with each, and since when. Raises: DamagedData."""
        ...

    def note_set_aside(self, blocks: Mapping[str, tuple[str, int]]) -> None:
        """Record which blocks are set aside, in the place of what was recorded. Raises: OSError; DatabaseBusy."""
        ...


class SqlFileRecords(SqlRecords):
    """See FileRecords; tables `owner`, `written`, `superseded` and `set_aside`."""

    def identity(self) -> str | None:
        """See FileRecords."""
        with self._reading():
            return next((identity for (identity,) in self._select("SELECT id FROM owner")), None)

    def identify(self, identity: str) -> None:
        """See FileRecords."""
        with self._transaction() as run:
            run("DELETE FROM owner")
            run("INSERT INTO owner VALUES (?)", (identity,))

    def begin(self, *, at_ns: int) -> str:
        """See FileRecords."""
        mark = secrets.token_hex(MARK_BYTES)
        with self._transaction() as run:
            run("INSERT INTO written VALUES (?, ?)", (mark, at_ns))
        return mark

    def written(self) -> WrittenFiles:
        """See FileRecords."""
        with self._reading():
            marks = frozenset(mark for (mark,) in self._select("SELECT mark FROM written"))
            rows = self._select(
                "SELECT name, size_bytes, since_ns, was_at_rest FROM superseded ORDER BY since_ns, name"
            )
            superseded = tuple(
                Superseded(name, size_bytes, since_ns, bool(at_rest)) for name, size_bytes, since_ns, at_rest in rows
            )
        return WrittenFiles(marks, superseded)

    def settle(self, *, leftovers: Collection[str], removed: Collection[str], at_ns: int, marks_before_ns: int) -> None:
        """See FileRecords."""
        with self._transaction() as run:
            for name in leftovers:
                run("INSERT INTO superseded VALUES (?, 0, ?, 0) ON CONFLICT (name) DO NOTHING", (name, at_ns))
            for name in removed:
                run("DELETE FROM superseded WHERE name = ?", (name,))
            run("DELETE FROM written WHERE at_ns < ?", (marks_before_ns,))

    def set_aside(self) -> dict[str, tuple[str, int]]:
        """See FileRecords."""
        with self._reading():
            return {
                name: (because, since_ns)
                for name, because, since_ns in self._select(
                    "SELECT name, because, since_ns FROM set_aside ORDER BY name"
                )
            }

    def note_set_aside(self, blocks: Mapping[str, tuple[str, int]]) -> None:
        """See FileRecords."""
        with self._transaction() as run:
            run("DELETE FROM set_aside")
            for name, (because, since_ns) in blocks.items():
                run("INSERT INTO set_aside VALUES (?, ?, ?)", (name, because, since_ns))


def note_superseded(run: Callable[..., Any], manifest: Manifest, *, at_ns: int, was_at_rest: bool) -> None:
    """Record the files of the manifest in the tables that `manifest`, which is about to replace it, does not name."""
    run(
        "INSERT INTO superseded (name, size_bytes, since_ns, was_at_rest) SELECT name, size_bytes, ?, ? FROM block"
        f" WHERE name NOT {TEXTS_IN} ON CONFLICT (name) DO UPDATE SET"
        " size_bytes = excluded.size_bytes, since_ns = excluded.since_ns, was_at_rest = excluded.was_at_rest",
        (at_ns, int(was_at_rest), json.dumps([file.name for file in manifest.files()])),
    )
