"""What the catalog says of its database itself: how far it has come, what of it was lost, and how it is copied."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from fleetpulse.catalog.change_log import FOLLOWING_TABLES, CatalogChanges, read_changes
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.reached import Loss, Reached


class DatabaseState(SqlRecords):
    """See Catalog."""

    def activity(self) -> int | None:
        """See Catalog."""
        return self._database.activity()

    def transactions(self) -> int:
        """See Catalog."""
        return self._database.transactions()

    @property
    def is_shared(self) -> bool:
        """See SharedCatalog."""
        return self._database.is_shared

    def share(self) -> None:
        """See SharedCatalog."""
        self._database.is_shared, self._database.following = True, self.transactions()

    def version(self) -> int:
        """See SharedCatalog."""
        with self._reading():
            return int(self._select("SELECT number FROM transactions").fetchone()[0])

    def changes(self, after: int) -> CatalogChanges:
        """See SharedCatalog."""
        with self._reading():
            changes = read_changes(self._select, after=after, version=self.version())
        if changes.concerns(*FOLLOWING_TABLES):
            self._database.following = max(self._database.following, changes.version)
        return changes

    def listen(self, heard: Callable[[int], None]) -> Callable[[], None]:
        """See SharedCatalog."""
        return self._database.listen(heard)

    def note_started(self) -> None:
        """See SharedCatalog."""
        self._database.note_started()

    def following_version(self) -> int:
        """See SharedCatalog."""
        return self._database.following

    def secret(self, name: str) -> str:
        """See SharedCatalog."""
        with self._reading():
            row = self._select("SELECT secret FROM shared_secret WHERE name = ?", (name,)).fetchone()
            return "" if row is None else str(row[0])

    def put_secret(self, name: str, secret: str) -> None:
        """See SharedCatalog."""
        text = "INSERT INTO shared_secret (name, secret) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET secret = ?"
        with self._transaction() as run:
            run(text, (name, secret, secret))

    def reached(self) -> Reached | None:
        """See Catalog."""
        return self._database.reached()

    @property
    def mark_trouble(self) -> str:
        """See Catalog."""
        return self._database.mark_trouble

    def is_marked(self) -> bool:
        """See Catalog."""
        return self._database.is_marked()

    def note_marked(self, *, at_ns: int) -> bool:
        """See Catalog."""
        return self._database.note_marked(at_ns=at_ns)

    def accept_loss(self, loss: Loss, *, at_ns: int) -> None:
        """See Catalog."""
        self._database.accept_loss(loss, at_ns=at_ns)

    def losses(self) -> list[tuple[int, Loss]]:
        """See Catalog."""
        with self._reading():
            rows = self._select("SELECT accepted_at_ns, part, after, through, since_ns FROM loss ORDER BY rowid")
            return [(at_ns, Loss(*loss)) for at_ns, *loss in rows]

    @abstractmethod
    def copy_bytes(self) -> int:
        """See Catalog."""

    @abstractmethod
    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog."""

    def close(self) -> None:
        """See Catalog."""
        self._database.close()
