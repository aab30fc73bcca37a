"""The promises of orders to forget, on every catalog."""

from collections.abc import Callable

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import holding
from fleetpulse.errors import Deposed

Reopen = Callable[[], Catalog]


def test_an_order_is_open_until_its_end_is_noted_and_is_found_afterwards(reopen: Reopen) -> None:
    records = reopen().forget_orders
    order = records.give(3, 60, is_dry=False)
    assert order == records.give(3, 60, is_dry=False), "the same, while it is open"
    other = records.give(3, 60, is_dry=True)
    assert other.id != order.id
    assert {one.id for one in records.open()} == {order.id, other.id}
    counted = order._replace(state="counted", minutes=4, samples=2)
    records.note(counted)
    assert records.give(3, 60, is_dry=False) == counted
    records = reopen().forget_orders
    records.note(counted._replace(state="done", is_written=True))
    records.note(other._replace(state="failed", reason="checkpoint_failed", text="the disk is full"))
    assert records.open() == []
    assert records.find(order.id) == counted._replace(state="done", is_written=True)
    failed = records.find(other.id)
    assert failed is not None and (failed.is_open, failed.reason, failed.text) == (
        False,
        "checkpoint_failed",
        "the disk is full",
    )
    assert records.find("x") is None


def test_whoever_gives_an_order_again_gets_its_figures_once(reopen: Reopen) -> None:
    records = reopen().forget_orders
    order, dry = records.give(3, 60, is_dry=False), records.give(3, 60, is_dry=True)
    done = order._replace(state="done", minutes=4, samples=2, is_written=True)
    records.note(done)
    records.note(dry._replace(state="done", minutes=4))
    assert records.give(3, 60, is_dry=False) == done, "nobody has heard of its end"
    assert records.give(3, 120, is_dry=False).id != order.id
    assert records.give(3, 60, is_dry=True).id != dry.id, "what is there now is to be counted"
    records.note_answered(done)
    assert records.find(order.id) == done._replace(state="answered")
    assert records.give(3, 60, is_dry=False).id != order.id, "what came since is to be forgotten, too"


def test_only_the_holder_of_the_lease_notes_what_has_become_of_an_order(reopen: Reopen) -> None:
    catalog = reopen()
    former = catalog.lease.take("a", for_ns=0)
    catalog.lease.take("b", for_ns=0)
    order = catalog.forget_orders.give(3, 60, is_dry=False)
    with holding(former), pytest.raises(Deposed):
        catalog.forget_orders.note(order._replace(state="done"))
    assert catalog.forget_orders.open() == [order]


def test_other_nodes_learn_of_an_order_and_of_its_end(connect: Callable[[], Catalog]) -> None:
    first, second = connect(), connect()
    first.share()
    second.share()
    before = second.version()
    order = first.forget_orders.give(3, 60, is_dry=False)
    changes = second.changes(before)
    assert changes.tables == {"forget_order"}
    second.forget_orders.note(order._replace(state="done"))
    assert first.changes(changes.version).concerns("forget_order")
