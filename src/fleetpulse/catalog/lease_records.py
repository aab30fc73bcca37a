"""The lease in the catalog: one row that says which node does what only one may do, and until when.

    lease(holder, epoch, expires_at_ns)

The epoch grows with each term, and every transaction of the holder's work compares it (`holding.py`): this, and not
the time, keeps a former holder from changing anything. The time says when others may take the lease, by the clock of
the database (`now_ns()` in SQL), so clocks of nodes that differ do no harm. It is renewed on a connection of its own
where the engine is a server: a transaction that takes long, of this node or another one, must not end the term. These
transactions are not counted as changes of the catalog, since nothing that nodes keep in memory depends on them.
"""

from typing import Protocol

from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.model.lease import LeaseState, Term


class LeaseRecords(Protocol):
    """The part of a catalog that keeps the lease. Each call is one short transaction, or one read."""

    def take(self, holder: str, *, for_ns: int) -> Term | None:
        """Take the lease, if its time is over, for so long from now on; None: another node has it.

        Args: for_ns: 0 where nobody else can be there: it is taken whoever had it, and whoever comes next may take it.
        Raises: OSError; DatabaseBusy.
        """
        ...

    @property
    def is_renewed_aside(self) -> bool:
        """Whether `renew` is called in a thread of its own, since it waits for no transaction that is under way."""
        ...

    def renew(self, term: Term, *, for_ns: int) -> bool:
        """Keep the lease for so long from now on; False: the term has ended. Raises: OSError; DatabaseBusy."""
        ...

    def release(self, term: Term) -> None:
        """Let others take the lease at once, if the term has not ended before. Raises: OSError; DatabaseBusy."""
        ...

    def current(self) -> LeaseState:
        """What is known of the lease now. Raises: DamagedData; DatabaseBusy."""
        ...

    def now_ns(self) -> int:
        """The time by the clock of the database. Raises: DamagedData; DatabaseBusy."""
        ...


class SqlLeaseRecords(SqlRecords):
    """See LeaseRecords; table `lease`."""

    def take(self, holder: str, *, for_ns: int) -> Term | None:
        """See LeaseRecords."""
        with self._transaction(is_counted=False) as run:
            if for_ns:
                term = "expires_at_ns = now_ns() + ? WHERE expires_at_ns <= now_ns()"
                taken = run(f"UPDATE lease SET holder = ?, epoch = epoch + 1, {term}", (holder, for_ns))
            else:
                # Whatever the row says: a clock that was ahead when it was written must not keep its only node out.
                taken = run("UPDATE lease SET holder = ?, epoch = epoch + 1, expires_at_ns = 0", (holder,))
            return Term(*run("SELECT holder, epoch FROM lease").fetchone()) if taken.rowcount else None

    @property
    def is_renewed_aside(self) -> bool:
        """See LeaseRecords."""
        return self._database.is_aside_own

    def renew(self, term: Term, *, for_ns: int) -> bool:
        """See LeaseRecords. Others take the lease by an update of the same row, so one of both comes first."""
        text = "UPDATE lease SET expires_at_ns = now_ns() + ? WHERE holder = ? AND epoch = ?"
        return bool(self._database.aside(text, (for_ns, *term)))

    def release(self, term: Term) -> None:
        """See LeaseRecords."""
        with self._transaction(is_counted=False) as run:
            run("UPDATE lease SET expires_at_ns = 0 WHERE holder = ? AND epoch = ?", term)

    def current(self) -> LeaseState:
        """See LeaseRecords."""
        with self._reading():
            row = self._select("SELECT holder, epoch, expires_at_ns <= now_ns() FROM lease").fetchone()
            return LeaseState(Term(row[0], row[1]), bool(row[2]))

    def now_ns(self) -> int:
        """See LeaseRecords."""
        with self._reading():
            return int(self._select("SELECT now_ns()").fetchone()[0])
