"""What the catalog says of its database itself: how far it has come, what of it was lost, and how it is copied."""

from collections.abc import Callable
from pathlib import Path

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

    def copy(self, target: Path, *, rest: Callable[[float], None]) -> None:
        """See Catalog."""
        self._database.copy(target, rest=rest)

    def close(self) -> None:
        """See Catalog."""
        self._database.close()
