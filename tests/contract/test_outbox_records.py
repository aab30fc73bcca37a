"""The promises of the outbox, of receivers and of routes in the catalog, on every implementation."""

from collections.abc import Callable

import pytest

from alert_messages import SITE_DOWN, alert, message
from fleetpulse.catalog.acting import Act, acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.audit import AuditFilter
from fleetpulse.model.message import Message
from fleetpulse.model.outbox import OutboxAdded, OutboxCounts
from fleetpulse.model.receiver import Receiver, Route

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]


def some_messages(count: int, start: int = 0, kind: str = "firing", receiver: str = "hook") -> list[Message]:
    return [
        message(alert(number), key=f"k{number}", kind=kind, receiver=receiver) for number in range(start, start + count)
    ]


def keys(catalog: Catalog, receiver: str = "hook") -> list[str]:
    found = [catalog.outbox.get(one.number) for one in catalog.outbox.waiting(receiver, after=0, limit=100)]
    return [one.message.key for one in found if one is not None]


def test_messages_wait_in_order_until_they_are_delivered(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.outbox.add([*some_messages(3), SITE_DOWN], at_ns=5, waiting_max=10) == OutboxAdded()
    catalog = reopen()
    first, second, _, site = catalog.outbox.waiting("hook", after=0, limit=10)
    assert (first.about, first.stored_at_ns, first.tries) == ({"a0"}, 5, 0)
    assert site.about == {"a1", "a2", "i3", "gsite=paris"}
    assert catalog.outbox.waiting("hook", after=first.number, limit=1) == [second]
    entry = catalog.outbox.get(site.number)
    assert entry is not None and entry.message == SITE_DOWN and entry.state == "waiting"
    catalog.outbox.tried(first.number, outcome="500", tries=1, next_try_ns=9)
    catalog.outbox.delivered(second.number, outcome="200", tries=1, at_ns=8)
    catalog.outbox.give_up(site.number, outcome="404", tries=5, at_ns=9)
    catalog = reopen()
    assert keys(catalog) == ["k0", "k2"] and catalog.outbox.receivers() == ["hook"]
    waiting = catalog.outbox.waiting("hook", after=0, limit=1)[0]
    assert (waiting.tries, waiting.next_try_ns) == (1, 9)
    assert catalog.outbox.counts() == {"hook": OutboxCounts(waiting=2, delivered=1, dead=1, oldest_ns=5)}
    assert [one.state for one in catalog.outbox.page(state=None, receiver=None, before=None, limit=3)] == [
        *("dead", "waiting", "delivered")
    ]
    (dead,) = catalog.outbox.page(state="dead", receiver="hook", before=None, limit=3)
    assert (dead.outcome, dead.tries, dead.ended_at_ns) == ("404", 5, 9)
    assert catalog.outbox.page(state=None, receiver="other", before=None, limit=3) == []


def test_a_message_whose_key_is_known_is_not_stored_again(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.outbox.add(some_messages(1), at_ns=5, waiting_max=10)
    catalog.outbox.add(some_messages(2), at_ns=6, waiting_max=10)
    assert keys(catalog) == ["k0", "k1"]


def test_what_a_transaction_that_fails_stores_is_not_there(reopen: Reopen) -> None:
    catalog = reopen()
    with catalog.transaction(is_dry=True):
        catalog.outbox.add(some_messages(1), at_ns=5, waiting_max=10)
    assert reopen().outbox.receivers() == []


def test_beyond_the_limit_reminders_go_first_and_then_the_oldest(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.outbox.add([*some_messages(2), *some_messages(1, 2, "reminder")], at_ns=5, waiting_max=4)
    added = catalog.outbox.add([*some_messages(2, 3), *some_messages(2, 5, "reminder")], at_ns=6, waiting_max=4)
    assert added == OutboxAdded(left_out=2, given_up=1)
    assert keys(catalog) == ["k0", "k1", "k3", "k4"]
    assert catalog.outbox.add(some_messages(2, 7), at_ns=7, waiting_max=4) == OutboxAdded(given_up=2)
    assert keys(catalog) == ["k3", "k4", "k7", "k8"]
    assert {one.outcome for one in catalog.outbox.page(state="dead", receiver=None, before=None, limit=9)} == {
        "the outbox was full (outbox_max)"
    }


def test_what_was_given_up_can_wait_again_and_who_did_that_is_known(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.outbox.add(some_messages(2), at_ns=5, waiting_max=4)
    first, second = catalog.outbox.waiting("hook", after=0, limit=10)
    catalog.outbox.give_up(first.number, outcome="404", tries=5, at_ns=9)
    with acting(Act(who="alice", role="operate", action="retryMessage")):
        assert catalog.outbox.retry([first.number, second.number, 99]) == 1
    assert keys(catalog) == ["k0", "k1"]
    (entry,) = catalog.audit.page(AuditFilter(), before=None, limit=9)
    assert entry.facts.subject == f"message {first.number}"


def test_only_the_latest_of_what_ended_are_kept_and_no_number_comes_back(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.outbox.add(some_messages(6), at_ns=5, waiting_max=10)
    waiting = catalog.outbox.waiting("hook", after=0, limit=10)
    for one in waiting[:3]:
        catalog.outbox.delivered(one.number, outcome="", tries=1, at_ns=6)
    for one in waiting[3:]:
        catalog.outbox.give_up(one.number, outcome="", tries=1, at_ns=6)
    assert catalog.outbox.prune(kept_max=0) == 6
    catalog = reopen()
    catalog.outbox.add(some_messages(3, 10), at_ns=5, waiting_max=10)
    again = catalog.outbox.waiting("hook", after=0, limit=10)
    assert again[0].number > waiting[-1].number
    assert catalog.outbox.prune(kept_max=1) == 0


def test_what_is_forwarded_is_known_until_it_ends(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.outbox.add(some_messages(1), at_ns=5, waiting_max=10)
    (waiting,) = catalog.outbox.waiting("hook", after=0, limit=1)
    catalog.outbox.delivered(waiting.number, outcome="", tries=1, at_ns=6, forwarded={1: b"{}", 2: b"[]", 3: None})
    catalog = reopen()
    assert catalog.outbox.forwarded("hook") == {1: b"{}", 2: b"[]"} and catalog.outbox.forwarded("other") == {}
    catalog.outbox.end_forwarding("hook", [1])
    assert catalog.outbox.forwarded("hook") == {2: b"[]"}


@pytest.mark.parametrize(
    ("damage", "is_damaged"),
    [
        ("UPDATE message SET body = x'00' WHERE key = 'k0'", True),
        ("UPDATE message SET body = '{}' WHERE key = 'k0'", True),
        ("UPDATE message SET about = '[' WHERE key = 'k0'", False),
    ],
)
def test_a_message_whose_row_is_damaged_keeps_no_other_from_being_read(
    reopen: Reopen, spoil: Spoil, damage: str, is_damaged: bool
) -> None:
    catalog = reopen()
    catalog.outbox.add(some_messages(2), at_ns=5, waiting_max=10)
    spoil(damage)
    first, second = catalog.outbox.waiting("hook", after=0, limit=9)
    assert second.about == {"a1"}
    newer, older = catalog.outbox.page(state=None, receiver=None, before=None, limit=9)
    assert (older.number, older.message.key, older.message.receiver, older.message.kind) == (
        *(first.number, "k0", "hook", "firing"),
    )
    assert (newer.message, newer.is_damaged) == (some_messages(2)[1], False)
    assert older.is_damaged == is_damaged and catalog.outbox.get(first.number) == older


def test_a_link_is_used_once(reopen: Reopen) -> None:
    catalog = reopen()
    assert not catalog.outbox.is_link_used(b"a")
    assert catalog.outbox.use_link(b"a", at_ns=5, expires_ns=10)
    catalog = reopen()
    assert catalog.outbox.is_link_used(b"a") and not catalog.outbox.use_link(b"a", at_ns=6, expires_ns=10)
    assert catalog.outbox.use_link(b"b", at_ns=20, expires_ns=30) and not catalog.outbox.is_link_used(b"a")


HOOK = Receiver(name="hook", kind="webhook", url="https://example.com/planted-secret")
ROUTE = Route(name="all", receivers=("hook",))


def test_receivers_and_routes_are_kept_and_their_secrets_not_in_the_audit_log(reopen: Reopen) -> None:
    catalog = reopen()
    with acting(Act(who="alice", role="admin", action="putReceiver")):
        catalog.receivers.put(HOOK, before=None, after={"kind": "webhook"})
        catalog.receivers.put(ROUTE, before=None, after={"receivers": ["hook"]})
    catalog = reopen()
    assert catalog.receivers.receivers() == [HOOK] and catalog.receivers.routes() == [ROUTE]
    catalog.receivers.remove(HOOK, before={"kind": "webhook"}, is_remembered=True)
    catalog.receivers.remove(ROUTE, before={}, is_remembered=False)
    catalog = reopen()
    assert catalog.receivers.receivers() == [] == catalog.receivers.routes()
    assert catalog.receivers.removed("receiver") == ["hook"] and catalog.receivers.removed("route") == []
    catalog.receivers.put(HOOK, before=None, after={"kind": "webhook"})
    assert catalog.receivers.removed("receiver") == [] and catalog.receivers.wrong_rows() == []
    assert "planted" not in str(catalog.audit.page(AuditFilter(), before=None, limit=9))
