"""The promises of the lease, and of the check of its epoch in transactions, on every catalog."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import carried, current_term, holding
from fleetpulse.clock import SystemClock
from fleetpulse.errors import Deposed
from fleetpulse.model.device import Device
from fleetpulse.model.lease import Term
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.lease import LEASE_S, Lease

Reopen = Callable[[], Catalog]
HOUR_NS = 3_600_000_000_000


def test_a_lease_is_taken_once_and_again_when_its_time_is_over_or_it_is_given_back(reopen: Reopen) -> None:
    lease = reopen().lease
    assert lease.current() == (Term("", 0), True)
    first = lease.take("a", for_ns=HOUR_NS)
    assert first == Term("a", 1)
    assert lease.current() == (first, False)
    assert lease.take("b", for_ns=HOUR_NS) is None
    assert lease.take("a", for_ns=HOUR_NS) is None, "a second process of the same name is another holder"
    assert lease.renew(first, for_ns=0)
    assert lease.current() == (first, True)
    assert lease.renew(first, for_ns=HOUR_NS), "nobody has taken it meanwhile"
    lease = reopen().lease
    lease.release(first)
    second = lease.take("b", for_ns=HOUR_NS)
    assert second == Term("b", 2)
    assert not lease.renew(first, for_ns=HOUR_NS)
    lease.release(first)
    assert lease.current() == (second, False), "a former holder cannot give it back"


def test_the_only_node_takes_the_lease_whatever_the_row_says(reopen: Reopen) -> None:
    lease = reopen().lease
    assert lease.take("a", for_ns=HOUR_NS) == Term("a", 1), "by a clock that was an hour ahead"
    assert lease.take("a", for_ns=0) == Term("a", 2)
    assert reopen().lease.take("b", for_ns=HOUR_NS) == Term("b", 3), "it has no time of its own to wait for"


def test_taking_and_renewing_the_lease_is_no_change_of_the_catalog(reopen: Reopen) -> None:
    catalog = reopen()
    before = catalog.transactions()
    term = catalog.lease.take("a", for_ns=0)
    assert term is not None
    catalog.lease.renew(term, for_ns=0)
    catalog.lease.release(term)
    assert catalog.transactions() == before
    catalog.register([Device("d")], devices_max=1, at_ns=1)
    assert catalog.transactions() == before + 1 == reopen().transactions()


def test_a_former_holder_can_change_nothing_whatever_it_has_begun(reopen: Reopen) -> None:
    catalog = reopen()
    first = catalog.lease.take("a", for_ns=0)
    with holding(first):
        catalog.register([Device("d0")], devices_max=9, at_ns=1)
        second = catalog.lease.take("b", for_ns=0)  # as another node may do in between
        before = catalog.transactions()
        with pytest.raises(Deposed, match=r"a \(epoch 1\) does not have the lease any more, b \(epoch 2\) has it"):
            catalog.register([Device("d1")], devices_max=9, at_ns=1)
        with pytest.raises(Deposed), catalog.transaction():
            catalog.delete([0], at_ns=1)
        with holding(second):
            catalog.register([Device("d2")], devices_max=9, at_ns=1)
        assert current_term() == first
    assert [record.device.id for record in catalog.records()] == ["d0", "d2"]
    assert catalog.transactions() == before + 1
    catalog.register([Device("d3")], devices_max=9, at_ns=1)  # what people do needs no lease


def test_a_former_holder_without_the_check_does_change_something(reopen: Reopen) -> None:
    """The control of the test above: it is the check that keeps a former holder from it, and nothing else."""
    catalog = reopen()
    first = catalog.lease.take("a", for_ns=0)
    with holding(first):
        catalog.lease.take("b", for_ns=0)
        with holding(None):
            catalog.register([Device("d1")], devices_max=9, at_ns=1)
    assert catalog.device_count() == 1


def test_the_term_goes_along_with_work_that_another_thread_does(reopen: Reopen) -> None:
    term = reopen().lease.take("a", for_ns=0)
    with holding(term):
        work = carried(current_term)
    assert current_term() is None
    assert work() == term
    assert current_term() is None


def test_the_clock_is_that_of_the_database(reopen: Reopen) -> None:
    lease = reopen().lease
    assert 0 < lease.now_ns() <= lease.now_ns()


def test_a_lease_is_renewed_while_a_long_transaction_is_under_way(connect: Callable[[], Catalog]) -> None:
    catalog, other = connect(), connect()
    if not catalog.lease.is_renewed_aside:
        pytest.skip("this catalog belongs to one machine, where one writes after the other")
    term = catalog.lease.take("a", for_ns=0)
    assert term is not None
    with ThreadPoolExecutor(1) as thread, catalog.transaction():  # nobody else can write before it ends
        catalog.register([Device("d")], devices_max=1, at_ns=1)
        assert thread.submit(lambda: catalog.lease.renew(term, for_ns=HOUR_NS)).result(timeout=10)
        assert other.lease.current() == (term, False), "it is renewed for others, too"
    assert other.lease.take("b", for_ns=HOUR_NS) is None
    assert other.device_count() == 1


def test_a_node_keeps_the_lease_while_its_catalog_is_busy(connect: Callable[[], Catalog]) -> None:
    catalog = connect()
    if not catalog.lease.is_renewed_aside:
        pytest.skip("this catalog belongs to one machine, where one writes after the other")

    async def live() -> None:
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            lease = Lease(
                catalog=catalog,
                catalog_thread=CatalogThread(first),
                renewing=CatalogThread(second),
                clock=SystemClock(),
                name="a",
                is_alone=False,
            )
            await lease.look()
            assert lease.is_held
            until_ns, is_over, is_begun = lease._until_ns, threading.Event(), threading.Event()

            def register_many() -> None:
                with catalog.transaction():
                    is_begun.set()
                    is_over.wait()

            work = asyncio.get_running_loop().run_in_executor(first, register_many)
            await asyncio.to_thread(is_begun.wait)
            began_s = time.monotonic()
            await asyncio.wait_for(lease.look(), 10)
            print(f"\nrenewed in {(time.monotonic() - began_s) * 1e3:.1f} ms, with a transaction under way")
            assert lease.is_held
            assert lease._until_ns > until_ns
            assert 0 < lease.left_s <= LEASE_S
            is_over.set()
            await work

    asyncio.run(live())
