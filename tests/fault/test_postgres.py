"""The catalog while PostgreSQL crashes, restarts, stands still or is cut off, also in the midst of a COMMIT.

What was acknowledged is there; what was refused with "nothing was changed" is not; and only where nobody can be asked
it is said that the outcome is not known.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.catalog.postgres_database import CommitUnknown, PostgresDatabase
from fleetpulse.catalog.postgres_link import read_address
from fleetpulse.catalog.sql_catalog import SqlCatalog
from fleetpulse.catalog_away import CatalogAway
from fleetpulse.clock import SystemClock
from fleetpulse.errors import DatabaseBusy
from fleetpulse.model.device import Device
from postgres_server import PostgresServer, is_missing
from tcp_proxy import TcpProxies, TcpProxy

TIMEOUT_S = 1.5
DEVICES_MAX = 99_999


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that syncs, which the tests of this module kill."""
    if why := is_missing():
        pytest.skip(why)
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def link(server: PostgresServer) -> Iterator[TcpProxy]:
    """The way to the server, which tests cut."""
    with TcpProxies() as proxies:
        yield proxies.to(server.port)


def opened(url: str) -> PostgresCatalog:
    return PostgresCatalog(url, timeout_s=TIMEOUT_S, wait_s=TIMEOUT_S)


def register(catalog: SqlCatalog, name: str) -> None:
    catalog.register([Device(name)], devices_max=DEVICES_MAX, at_ns=1)


def names_in(server: PostgresServer, url: str) -> set[str]:
    """The devices that are in the database, past the catalog."""
    return {name for (name,) in server.execute("SELECT id FROM device", database=url.rpartition("/")[2])}


def in_the_midst_of_a_commit(catalog: SqlCatalog, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Register `a`, with something that happens before COMMIT is sent, and something while its answer is awaited."""
    waiter = threading.Thread(target=after)
    try:
        with catalog.transaction():
            register(catalog, "a")
            # What the transaction has still to say before COMMIT is said; the rest of it is one round trip each.
            send = catalog._database.statements.execute

            def execute(query: str, parameters: object = (), /) -> object:
                if query == "COMMIT" and waiter.ident is None:
                    before()
                    waiter.start()
                return send(query, parameters)

            catalog._database.statements.execute = execute  # type: ignore[method-assign]  # to break off there
    finally:
        del catalog._database.statements.execute  # type: ignore[attr-defined]  # what was put there
        if waiter.ident is not None:
            waiter.join()


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_a_server_that_restarts_between_two_calls_is_not_noticed(server: PostgresServer) -> None:
    with closing(opened(server.database())) as catalog:
        register(catalog, "a")
        server.stop()
        server.start()
        server.wait_ready()
        assert catalog.find("a") is not None
        server.kill()
        server.start()
        server.wait_ready()
        register(catalog, "b")
        assert [record.device.id for record in catalog.records()] == ["a", "b"]


def test_a_server_that_crashes_in_a_transaction_has_changed_nothing(server: PostgresServer) -> None:
    with closing(opened(url := server.database())) as catalog:

        def crash_half_way() -> None:
            with catalog.transaction():
                register(catalog, "a")
                server.kill()
                register(catalog, "b")

        with pytest.raises(CatalogAway, match="nothing was changed"):
            crash_half_way()
        with pytest.raises(CatalogAway):
            catalog.find("a")
        server.start()
        server.wait_ready()
        wait_until(lambda: _answers(catalog))
        assert names_in(server, url) == set()
        register(catalog, "c")
        assert names_in(server, url) == {"c"}


def _answers(catalog: SqlCatalog) -> bool:
    try:
        catalog.find("a")
    except CatalogAway:
        return False
    return True


def test_while_the_server_is_away_calls_are_refused_without_a_wait_each(server: PostgresServer) -> None:
    with closing(opened(server.database())) as catalog:
        server.pause()
        try:
            start_s = time.monotonic()
            with pytest.raises(CatalogAway):
                catalog.find("a")
            first_s = time.monotonic() - start_s
            for _ in range(20):
                with pytest.raises(CatalogAway, match="a moment ago"):
                    catalog.find("a")
        finally:
            server.resume()
        assert first_s < 4 * TIMEOUT_S + 5
        assert time.monotonic() - start_s < first_s + 1
        wait_until(lambda: _answers(catalog))


def test_a_commit_whose_answer_is_lost_took_effect_and_is_acknowledged(server: PostgresServer, link: TcpProxy) -> None:
    url = server.database(port=link.port)
    with closing(opened(url)) as catalog:
        before = catalog.transactions()

        def cut_after_it_took_effect() -> None:
            wait_until(lambda: "a" in names_in(server, url))
            link.reset()
            link.mend()

        in_the_midst_of_a_commit(catalog, lambda: link.hold("back"), cut_after_it_took_effect)
        assert catalog.transactions() == before + 1 == catalog.version()
        register(catalog, "b")
        assert names_in(server, url) == {"a", "b"}


def test_a_commit_that_never_came_to_the_server_is_refused_and_changed_nothing(
    server: PostgresServer, link: TcpProxy
) -> None:
    url = server.database(port=link.port)
    with closing(opened(url)) as catalog:
        before = catalog.transactions()

        def cut_before_it_takes_effect() -> None:
            time.sleep(0.1)  # that it does not arrive cannot be waited for
            link.reset()
            link.mend()

        with pytest.raises(CatalogAway, match="nothing was changed"):
            in_the_midst_of_a_commit(catalog, lambda: link.hold("there"), cut_before_it_takes_effect)
        assert catalog.transactions() == before == catalog.version()
        assert names_in(server, url) == set()


@pytest.mark.parametrize("arrives", [True, False])
def test_where_nobody_can_be_asked_the_outcome_is_said_to_be_unknown(
    server: PostgresServer, link: TcpProxy, *, arrives: bool
) -> None:
    url = server.database(port=link.port)
    with closing(opened(url)) as catalog:
        before = catalog.transactions()

        def cut_for_long() -> None:
            if arrives:
                wait_until(lambda: "a" in names_in(server, url))
            link.cut()

        with pytest.raises(CommitUnknown, match="in the midst of a commit"):
            in_the_midst_of_a_commit(catalog, lambda: link.hold("back" if arrives else "there"), cut_for_long)
        link.mend()
        wait_until(lambda: _answers(catalog))
        assert (catalog.find("a") is not None) == arrives
        assert catalog.version() == before + arrives  # by which whoever keeps the catalog in memory reads it again


class Hasty(PostgresDatabase):
    """A control: it takes a COMMIT without an answer for one that failed."""

    def _settle(self, number: int, error: psycopg.Error) -> None:
        raise CatalogAway(f"transaction {number}: {error}: nothing was changed")


def test_the_control_that_does_not_look_refuses_what_took_effect(server: PostgresServer, link: TcpProxy) -> None:
    url = server.database(port=link.port)
    database = Hasty(read_address(url, ""), timeout_s=TIMEOUT_S, wait_s=TIMEOUT_S, start_wait_s=0, clock=SystemClock())
    with closing(SqlCatalog(database, SystemClock())) as catalog:

        def cut_after_it_took_effect() -> None:
            wait_until(lambda: "a" in names_in(server, url))
            link.reset()
            link.mend()

        with pytest.raises(CatalogAway, match="nothing was changed"):
            in_the_midst_of_a_commit(catalog, lambda: link.hold("back"), cut_after_it_took_effect)
        assert names_in(server, url) == {"a"}  # although it was refused


def test_a_node_that_is_cut_off_in_a_transaction_keeps_the_others_waiting_for_a_bounded_time(
    server: PostgresServer, link: TcpProxy
) -> None:
    url = server.database()
    behind = url.replace(str(server.port), str(link.port))
    with closing(opened(behind)) as cut_off, closing(PostgresCatalog(url, timeout_s=5, wait_s=20)) as other:

        def stand_still() -> None:
            with cut_off.transaction():
                register(cut_off, "a")
                link.hold("there", "back")
                start_s = time.monotonic()
                register(other, "b")
                assert time.monotonic() - start_s < 3 * TIMEOUT_S + 5
                link.reset()
                link.mend()
                register(cut_off, "c")

        with pytest.raises(CatalogAway):
            stand_still()
        assert names_in(server, url) == {"b"}
        register(cut_off, "d")
        assert names_in(server, url) == {"b", "d"}


def test_crashes_at_any_moment_lose_nothing_acknowledged_and_keep_nothing_refused(server: PostgresServer) -> None:
    url, ledger = server.database(), _Ledger()
    with closing(opened(url)) as first, closing(opened(url)) as second:
        works = [threading.Thread(target=ledger.fill, args=args) for args in ((first, "a"), (second, "b"))]
        for work in works:
            work.start()
        chance = random.Random(17)
        for _ in range(5):
            time.sleep(chance.uniform(0.2, 1.2))
            server.kill()
            server.start()
            server.wait_ready()
        ledger.ends.set()
        for work in works:
            work.join()
        found = names_in(server, url)
        assert len(ledger.acknowledged) > 20
        assert ledger.acknowledged <= found
        assert not ledger.refused & found
        numbers = server.execute("SELECT number FROM device ORDER BY number", database=url.rpartition("/")[2])
        assert [number for (number,) in numbers] == list(range(len(found)))


class _Ledger:
    """What became of each registration, as it was told."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.ends = threading.Event()

    def fill(self, catalog: SqlCatalog, name: str) -> None:
        """Register device after device until `ends` is set."""
        number = 0
        while not self.ends.is_set():
            number += 1
            device_id = f"{name}{number}"
            try:
                register(catalog, device_id)
            except DatabaseBusy:
                self.refused.add(device_id)
                time.sleep(0.02)
            except CommitUnknown:
                pass
            else:
                self.acknowledged.add(device_id)
