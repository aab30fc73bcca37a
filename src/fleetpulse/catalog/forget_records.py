"""Orders to forget what a device sent, which any node takes and the holder of the lease carries out.

    state of an order    what it says
    waiting              nobody has begun it
    counted              it was counted what there is, and an entry of the journal may say that it is forgotten
    done                 it is carried out, and its figures are final
    answered             the same, and whoever gave it has its figures
    failed               it was not carried out, and `reason` and `text` say why

An order stays until an hour after its end, so that whoever waits for it finds it. One that is given again while it is
open is the same order: so a node that did not wait until the end can be asked again. So is one that is done, until it
is answered, since its figures would be lost else; what came after an answer is to be forgotten by another order.
"""

import secrets
from typing import Any, Literal, NamedTuple, Protocol

from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.model.units import NS_PER_HOUR

State = Literal["waiting", "counted", "done", "answered", "failed"]
KEPT_NS = NS_PER_HOUR
_COLUMNS = "id, device, before_ns, is_dry, state, minutes, samples, is_written, reason, text"
_OPEN = "state IN ('waiting', 'counted')"


class ForgetOrder(NamedTuple):
    """An order, see the module."""

    id: str
    device: int
    before_ns: int
    is_dry: bool
    """Only count what would be forgotten."""
    state: State
    minutes: int = 0
    samples: int = 0
    is_written: bool = False
    """The blocks are rewritten."""
    reason: str = ""
    text: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be carried out."""
        return self.state in {"waiting", "counted"}


class ForgetRecords(Protocol):
    """The part of a catalog that keeps such orders. Each call is one transaction, or one read."""

    def give(self, device: int, before_ns: int, *, is_dry: bool) -> ForgetOrder:
        """Give an order; the one that is open, or done and not answered, where it is the same.

        What is counted only is counted anew. Raises: OSError; DatabaseBusy.
        """
        ...

    def note_answered(self, order: ForgetOrder) -> None:
        """Store that whoever gave an order that is done has its figures. Raises: OSError; DatabaseBusy."""
        ...

    def find(self, order_id: str) -> ForgetOrder | None:
        """An order, if it is still there. Raises: DamagedData; DatabaseBusy."""
        ...

    def open(self) -> list[ForgetOrder]:
        """The orders to carry out, the oldest first. Raises: DamagedData; DatabaseBusy."""
        ...

    def note(self, order: ForgetOrder) -> None:
        """Store what has become of an order; the holder does it. Raises: OSError; DatabaseBusy; Deposed."""
        ...


class SqlForgetRecords(SqlRecords):
    """See ForgetRecords; table `forget_order`."""

    def give(self, device: int, before_ns: int, *, is_dry: bool) -> ForgetOrder:
        """See ForgetRecords."""
        with self._transaction() as run:
            same = f"({_OPEN})" if is_dry else f"({_OPEN} OR (state = 'done' AND at_ns >= now_ns() - {KEPT_NS}))"
            text = f"SELECT {_COLUMNS} FROM forget_order WHERE device = ? AND before_ns = ? AND is_dry = ? AND {same}"
            row = run(text, (device, before_ns, is_dry)).fetchone()
            if row is not None:
                return _order(row)
            run(f"DELETE FROM forget_order WHERE at_ns < now_ns() - {KEPT_NS} AND NOT {_OPEN}")
            order = ForgetOrder(secrets.token_hex(8), device, before_ns, is_dry, "waiting")
            text = "INSERT INTO forget_order VALUES (?, ?, ?, ?, now_ns(), ?, 0, 0, ?, '', '')"
            run(text, (order.id, device, before_ns, is_dry, order.state, False))
            return order

    def note_answered(self, order: ForgetOrder) -> None:
        """See ForgetRecords."""
        with self._transaction() as run:
            run("UPDATE forget_order SET state = 'answered' WHERE id = ? AND state = 'done'", (order.id,))

    def find(self, order_id: str) -> ForgetOrder | None:
        """See ForgetRecords."""
        with self._reading():
            row = self._select(f"SELECT {_COLUMNS} FROM forget_order WHERE id = ?", (order_id,)).fetchone()
            return None if row is None else _order(row)

    def open(self) -> list[ForgetOrder]:
        """See ForgetRecords."""
        with self._reading():
            text = f"SELECT {_COLUMNS} FROM forget_order WHERE {_OPEN} ORDER BY at_ns, id"
            return [_order(row) for row in self._select(text)]

    def note(self, order: ForgetOrder) -> None:
        """See ForgetRecords."""
        with self._transaction() as run:
            text = (
                "UPDATE forget_order SET state = ?, minutes = ?, samples = ?, is_written = ?, reason = ?, text = ?, "
                "at_ns = now_ns() WHERE id = ?"
            )
            run(text, (*order[4:], order.id))


def _order(row: Any) -> ForgetOrder:
    order_id, device, before_ns, is_dry, state, minutes, samples, is_written, *why = row
    return ForgetOrder(order_id, device, before_ns, bool(is_dry), state, minutes, samples, bool(is_written), *why)
