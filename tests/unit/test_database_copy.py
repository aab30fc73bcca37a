"""Copies of databases that are in use."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from fleetpulse.database_copy import copy_database
from fleetpulse.errors import OperatorError


def rows_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM entry").fetchone()[0])


def test_a_copy_is_of_one_moment_and_commits_go_on_beside_it(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "source", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE entry (body BLOB)")
        for _ in range(600):
            writer.execute("INSERT INTO entry VALUES (zeroblob(4096))")
        added = 0

        def write_meanwhile(_seconds: float) -> None:
            nonlocal added
            writer.execute("INSERT INTO entry VALUES (zeroblob(4096))")
            added += 1

        copy_database(tmp_path / "source", tmp_path / "copy", wait_s=0, sleep=write_meanwhile)
        assert added >= 2
        assert (rows_of(tmp_path / "copy"), rows_of(tmp_path / "source")) == (600, 600 + added)
        # The log was left to the writer.
        assert (tmp_path / "source-wal").exists()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        copy_database(tmp_path / "source", tmp_path / "copy", wait_s=0, sleep=lambda _: None)
    assert not (tmp_path / "source").exists()
