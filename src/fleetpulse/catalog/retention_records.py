"""What a longer retention of before still keeps: see `model/retention.py`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.model.manifest import GAPS
from fleetpulse.model.retention import Grace, gap_graces_after


class RetentionRecords(Protocol):
    """The part of a catalog that knows the graces of retention. Each call is one transaction, or one read."""

    def graces(self) -> dict[int, list[Grace]]:
        """What keeps samples, by number of the metric, and gaps (GAPS); ended graces may be among them.

        Raises: DamagedData; DatabaseBusy.
        """
        ...

    def keep_gaps(self, days: int, *, until_ns: int) -> None:
        """Declare how long reception gaps are kept; what was kept before is kept on until `until_ns`.

        Raises: OSError; DatabaseBusy.
        """
        ...


class SqlRetentionRecords(SqlRecords):
    """See RetentionRecords; table `retention_grace`."""

    def graces(self) -> dict[int, list[Grace]]:
        """See RetentionRecords."""
        with self._reading():
            graces: dict[int, list[Grace]] = {}
            for metric, *grace in self._select(
                "SELECT metric, kept, days, until_ns FROM retention_grace ORDER BY metric, kept, days"
            ):
                graces.setdefault(metric, []).append(Grace(*grace))
            return graces

    def keep_gaps(self, days: int, *, until_ns: int) -> None:
        """See RetentionRecords."""
        before = self.graces().get(GAPS, [])
        after = gap_graces_after(before, days, until_ns=until_ns)
        if after != sorted(before):
            with self._transaction() as run:
                before = self.graces().get(GAPS, [])  # others may have changed it until now
                replace_graces(run, GAPS, gap_graces_after(before, days, until_ns=until_ns))


def replace_graces(run: Callable[..., Any], number: int, graces: Sequence[Grace]) -> None:
    """Replace the graces of a metric, or of GAPS."""
    run("DELETE FROM retention_grace WHERE metric = ?", (number,))
    for grace in graces:
        run("INSERT INTO retention_grace VALUES (?, ?, ?, ?)", (number, *grace))
