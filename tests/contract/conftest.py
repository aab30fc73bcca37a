"""Every catalog, for the pages that say what all of them promise."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from postgres_server import PostgresServer, is_missing

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for all tests of the session; each takes a database of its own. It syncs nothing, to be quick."""
    if why := is_missing():
        pytest.skip(why)
    quick = {"fsync": "off", "full_page_writes": "off"}
    with PostgresServer(tmp_path_factory.mktemp("postgres"), settings=quick) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of a new database."""
    return postgres_server.database()


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Catalog]]:
    """Opens the same catalog once more, beside those that are open."""
    opened: list[Catalog] = []
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""

    def make() -> Catalog:
        catalog = PostgresCatalog(url) if url else SqliteCatalog(tmp_path / "catalog.sqlite", wait_s=10)
        opened.append(catalog)
        return catalog

    yield make
    for catalog in opened:
        catalog.close()


@pytest.fixture
def spoil(request: pytest.FixtureRequest, connect: Callable[[], Catalog], tmp_path: Path) -> Spoil:
    """Runs statements on the tables, as a damaged disk or somebody with a database shell would."""
    is_postgres = request.node.callspec.params["connect"] == "postgres"
    url = request.getfixturevalue("postgres_url") if is_postgres else ""

    def run(statements: str) -> None:
        if not is_postgres:
            with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
                connection.executescript(statements)
            return
        with psycopg.connect(url, autocommit=True) as connection:
            try:
                connection.execute(statements.replace("x'00'", "'\\x00'::bytea").encode())
            except psycopg.DataError as error:
                pytest.skip(f"PostgreSQL keeps types: {error}")

    return run


@pytest.fixture
def reopen(connect: Callable[[], Catalog]) -> Reopen:
    """Opens the same catalog again and again."""
    opened: list[Catalog] = []

    def make() -> Catalog:
        for catalog in opened:
            catalog.close()
        opened[:] = [connect()]
        return opened[0]

    return make
