"""Nodes that start at the same moment on PostgreSQL wait for each other, and not only for `database_wait_s`."""

import contextlib
import threading
from collections.abc import Callable, Generator

import psycopg
import pytest

from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.catalog.postgres_schema import MIGRATION_LOCK
from fleetpulse.errors import DatabaseBusy
from fleetpulse.model.device import Device

NODES_COUNT = 4
WAIT_S = 0.05
"""`database_wait_s`: shorter than other nodes take here."""
LOCK_S = 0.6
"""How long another node makes the tables, or changes the catalog: not a wait of the test, but what is tried."""


def opened(url: str, start_wait_s: float = 30.0) -> PostgresCatalog:
    return PostgresCatalog(url, wait_s=WAIT_S, start_wait_s=start_wait_s)


@contextlib.contextmanager
def another_node(url: str, statement: str) -> Generator[Callable[[], None], None, None]:
    """A transaction with a statement that locks something. Yields: what ends it after LOCK_S."""
    timers: list[threading.Timer] = []
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())

        def end_soon() -> None:
            timers.append(threading.Timer(LOCK_S, connection.commit))
            timers[0].start()

        yield end_soon
        for timer in timers:
            timer.join()


def test_all_nodes_that_start_at_once_on_an_empty_database_come_up(postgres_url: str) -> None:
    made: list[PostgresCatalog] = []
    failed: list[BaseException] = []

    def start(name: str) -> None:
        try:
            catalog = opened(postgres_url)
            made.append(catalog)
            catalog.register([Device(name)], devices_max=99, at_ns=5)
        except BaseException as error:  # noqa: BLE001  # it is shown below
            failed.append(error)

    with another_node(postgres_url, f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})") as end_soon:
        starts = [threading.Thread(target=start, args=(f"d{number}",)) for number in range(NODES_COUNT)]
        for thread in starts:
            thread.start()
        end_soon()
        for thread in starts:
            thread.join(60)
    assert failed == []
    assert len(made) == NODES_COUNT
    assert {record.device.id for record in made[0].records()} == {f"d{number}" for number in range(NODES_COUNT)}
    for catalog in made:
        catalog.close()


def test_without_that_wait_a_node_gives_up_while_another_one_makes_the_tables(postgres_url: str) -> None:
    with (
        another_node(postgres_url, f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"),
        pytest.raises(DatabaseBusy, match="database_wait_s"),
    ):
        opened(postgres_url, start_wait_s=0.0)


def test_a_start_waits_for_a_long_transaction_and_a_running_service_does_not(postgres_url: str) -> None:
    catalog = opened(postgres_url)
    with another_node(postgres_url, "SELECT number FROM transactions FOR UPDATE") as end_soon:
        end_soon()
        assert catalog.register([Device("first")], devices_max=99, at_ns=5)
    catalog.note_started()
    with (
        another_node(postgres_url, "SELECT number FROM transactions FOR UPDATE"),
        pytest.raises(DatabaseBusy, match="database_wait_s"),
    ):
        catalog.register([Device("second")], devices_max=99, at_ns=6)
    catalog.register([Device("third")], devices_max=99, at_ns=7)
    assert [record.device.id for record in catalog.records()] == ["first", "third"]
    catalog.close()
