"""Moving a catalog to another engine: a note on both sides of what the move has made of them, and all of their rows.

    state of the note    what it says, until the note is removed
    leaving              its data is being taken elsewhere: nothing may change it
    left                 the service goes on elsewhere: this is a copy of before
    arriving             data is being brought here, and may not be whole yet

No service starts on a catalog that has a note, so at no time there are two that may. The rows of a move are written in
one transaction: they are all there, or none is.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol, get_args

import msgspec

from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.tables import Table, moved_tables
from fleetpulse.errors import DamagedData

State = Literal["leaving", "left", "arriving"]
Row = tuple[Any, ...]
PIECE_ROWS = 5_000
PARAMETERS_MAX = 16_000
"""Of one statement; SQLite takes 32,766, and PostgreSQL 65,535."""
_HASH_END = 1 << 256


class MoveNote(NamedTuple):
    """What a catalog says of a move; see the module."""

    state: State
    id: str
    """Of the move: both sides have the same."""
    identity: str
    """Of the data folder that moves."""
    other: str
    """Where the other side is, for people."""
    at_ns: int
    position: int = 0
    """Where it has `left`: the last position of the journal that was taken along."""
    transactions: int = 0
    """Where it has `left`: how many transactions the other side had counted when it was complete."""


class Piece(NamedTuple):
    """Some rows of a table."""

    table: Table
    rows: list[Row]


class RowHash:
    """A hash of rows in any order, since two engines do not sort alike."""

    def __init__(self) -> None:
        self._sum, self.count = 0, 0

    def add(self, rows: Iterable[Row]) -> None:
        """Take in rows."""
        for row in rows:
            digest = hashlib.sha256(msgspec.msgpack.encode(row)).digest()
            self._sum = (self._sum + int.from_bytes(digest, "little")) % _HASH_END
            self.count += 1

    @property
    def text(self) -> str:
        """The hash of all rows so far, and of how many they are."""
        return f"{self._sum:064x}"


class MoveRecords(Protocol):
    """The part of a catalog that moves it."""

    def note(self) -> MoveNote | None:
        """The note of a move. Raises: DamagedData; DatabaseBusy."""
        ...

    def put_note(self, note: MoveNote | None) -> None:
        """Replace the note, or remove it. Raises: OSError; DatabaseBusy."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many rows each table has that moves. Raises: DamagedData; DatabaseBusy."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """All rows of all tables that move, of a table in one order. Raises: DamagedData; DatabaseBusy."""
        ...

    def fill(self, pieces: Iterable[Piece], *, transactions: int) -> None:
        """Replace all rows by those of `pieces`, in one transaction, and count transactions from `transactions` on.

        Raises: OSError; DatabaseBusy; and what `pieces` raises. Then nothing was changed.
        """
        ...


def hashes_of(pieces: Iterable[Piece]) -> dict[str, RowHash]:
    """The hash of each table that moves."""
    hashes = {table.name: RowHash() for table in moved_tables()}
    for piece in pieces:
        hashes[piece.table.name].add(piece.rows)
    return hashes


class SqlMoveRecords(SqlRecords):
    """See MoveRecords; table `move`, and every other one."""

    def note(self) -> MoveNote | None:
        """See MoveRecords."""
        with self._reading():
            row = self._select("SELECT state, id, identity, other, at_ns, position, transactions FROM move").fetchone()
        if row is None:
            return None
        if row[0] not in get_args(State):
            raise DamagedData(f"the catalog says of a move that it is `{row[0]}`: run the newer fleetpulse")
        return MoveNote(*row)

    def put_note(self, note: MoveNote | None) -> None:
        """See MoveRecords."""
        with self._transaction() as run:
            run("DELETE FROM move")
            if note is not None:
                columns = "state, id, identity, other, at_ns, position, transactions"
                run(f"INSERT INTO move ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(note))

    def counts(self) -> Mapping[str, int]:
        """See MoveRecords."""
        with self._reading():
            return {
                table.name: int(self._select(f"SELECT count(*) FROM {table.name}").fetchone()[0])
                for table in moved_tables()
            }

    def pieces(self) -> Iterator[Piece]:
        """See MoveRecords."""
        with self._reading(), self._database.snapshot():
            for table in moved_tables():
                order = ", ".join(f'"{column}"' for column in table.order)
                text = f"SELECT {table.listed} FROM {table.name} ORDER BY {order}"
                rows = self._database.all_rows(text, is_long=True)
                while piece := [tuple(row) for row in islice(rows, PIECE_ROWS)]:
                    yield Piece(table, piece)

    def fill(self, pieces: Iterable[Piece], *, transactions: int) -> None:
        """See MoveRecords."""
        with self._transaction() as run:
            for table in moved_tables():
                run(f"DELETE FROM {table.name}")
            for piece in pieces:
                _insert(run, piece)
            run("UPDATE transactions SET number = ?1 WHERE number < ?1", (transactions,))


def _insert(run: Callable[..., Any], piece: Piece) -> None:
    table = piece.table
    width = len(table.columns)
    step = max(1, PARAMETERS_MAX // width)
    marks = f"({', '.join('?' * width)})"
    for start in range(0, len(piece.rows), step):
        rows = piece.rows[start : start + step]
        text = f"INSERT INTO {table.name} ({table.listed}) VALUES {', '.join([marks] * len(rows))}"
        run(text, [value for row in rows for value in row])
