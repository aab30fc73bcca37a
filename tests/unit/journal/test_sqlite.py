import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.journal.sqlite import SqliteJournal


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DamagedData, match=r"of another program\. Name another data folder"):
        SqliteJournal(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"nonsense" * 1_000)
    with pytest.raises(DamagedData, match=r"it is damaged .*docs/howto/repair\.md"):
        SqliteJournal(path)


def test_a_checkpoint_older_than_what_was_dropped_comes_from_another_copy(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    for number in range(5):
        journal.append(b"%d" % number)
    journal.drop(through=3, entries_max=9)
    assert [position for position, _ in journal.read(after=3)] == [4, 5]
    with pytest.raises(DamagedData, match="holds entries from 4 on, but the catalog's last checkpoint ends at 1"):
        list(journal.read(after=1))
    journal.close()


@pytest.mark.parametrize(("mode", "level"), [("FULL", 2), ("NORMAL", 1)])
def test_every_commit_is_synced_unless_the_control_of_a_test_asks_otherwise(
    tmp_path: Path, mode: str, level: int
) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite", synchronous=mode)  # type: ignore[arg-type]  # one of the two
    assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == level
    assert journal._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    journal.close()


def older(path: Path) -> None:
    with contextlib.closing(SqliteJournal(path.with_name("older.sqlite"))) as journal:
        for _ in range(100):
            journal.append(bytes(1_000))
    path.write_bytes(path.with_name("older.sqlite").read_bytes())


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zeros_in_the_log(path: Path) -> None:
    zeros(path.with_name("journal.sqlite-wal"))


@pytest.mark.parametrize("accident", [older, zeros, zeros_in_the_log])
def test_a_journal_that_is_overwritten_in_its_place_takes_no_more_entries(
    accident: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    for _ in range(1_500):  # the log is moved into the database on the way
        journal.append(bytes(5_000))
    accident(path)
    for _ in range(2):
        with pytest.raises(OSError, match="overwritten by another program"):
            journal.append(b"lost")
    with pytest.raises(OSError, match="overwritten by another program"):
        journal.drop(through=1, entries_max=1)
    journal.close()


def move_the_log(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint")


def read_all(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other, contextlib.closing(sqlite3.connect(":memory:")) as copy:
        other.backup(copy)


@pytest.mark.parametrize("harmless", [lambda path: path.touch(), move_the_log, read_all])
def test_other_programs_that_change_nothing_do_not_end_it(harmless: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    for number in range(1, 6):
        assert journal.append(bytes(5_000)) == number
        harmless(path)
    journal.drop(through=3, entries_max=9)
    assert journal.append(b"entry") == 6
    journal.close()
