"""The servers that the cluster's tests kill and pause keep what was committed."""

from pathlib import Path

import psycopg
import pytest

from postgres_server import PostgresServer, is_missing

pytestmark = pytest.mark.skipif(is_missing() != "", reason=is_missing())


def test_postgresql_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "postgres") as server:
        server.execute("CREATE TABLE kept (number bigint)")
        with psycopg.connect(server.url()) as open_connection:
            open_connection.execute("INSERT INTO kept VALUES (2)")
            server.execute("INSERT INTO kept VALUES (1)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                open_connection.execute("SELECT 1")
        server.start()
        server.wait_ready()
        assert server.execute("SELECT number FROM kept") == [(1,)]
        server.pause()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url(), connect_timeout=2)
        server.resume()
        assert server.execute("SELECT number FROM kept") == [(1,)]
        assert server.database() != server.database()
