"""The promises of the audit log in the catalog, on every implementation."""

from collections.abc import Callable

import pytest

from fleetpulse.catalog.acting import Act, acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import OutOfRange
from fleetpulse.model.audit import AuditFilter
from fleetpulse.model.device import Device

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]


def test_a_change_on_behalf_of_somebody_has_its_entry_and_a_failed_or_dry_one_none(reopen: Reopen) -> None:
    catalog = reopen()
    act = Act(who="alice", role="operate", action="addDevice", request_id="r")
    with acting(act):
        catalog.register([Device("a", {"site": "x"})], devices_max=1, at_ns=5)
        with pytest.raises(OutOfRange):
            catalog.register([Device("b")], devices_max=1, at_ns=6)
        with catalog.transaction(is_dry=True):
            catalog.delete([0], at_ns=7)
        catalog.update({0: Device("a", {"site": "y"}, note="n")}, at_ns=8)
        catalog.records_of([0])
    catalog.update({0: Device("a")}, at_ns=9)
    newest, oldest = reopen().audit.page(AuditFilter(), before=None, limit=10)
    assert (oldest.number, oldest.facts.before, oldest.facts.after) == (1, "", '{"labels": {"site": "x"}}')
    assert newest.facts.before == '{"labels": {"site": "x"}, "note": null}'
    assert newest.facts.after == '{"labels": {"site": "y"}, "note": "n"}'
    assert {entry.facts.subject for entry in (newest, oldest)} == {"device a"}


def test_an_act_with_many_changes_is_one_entry_that_lists_the_first_ones(reopen: Reopen) -> None:
    catalog = reopen()
    with acting(Act(who="alice", role="operate", action="importDevices")):
        catalog.register([Device(f"d{number}") for number in range(1_000)], devices_max=2_000, at_ns=5)
    (entry,) = catalog.audit.page(AuditFilter(), before=None, limit=10)
    assert (entry.facts.subject, entry.facts.times, entry.facts.after.count("device d")) == ("1000 changes", 1_000, 20)


DAMAGES = {
    "a word": "UPDATE audit SET who = 'bob' WHERE number = 4",
    "a time": "UPDATE audit SET at_ns = at_ns + 1 WHERE number = 6",
    "a type": "UPDATE audit SET subject = x'00' WHERE number = 4",
    "a hash": "UPDATE audit SET hash = x'00' WHERE number = 5",
    "one taken out": "DELETE FROM audit WHERE number = 5",
    "the beginning cut off": "DELETE FROM audit WHERE number = 4",
    "the end cut off": "DELETE FROM audit WHERE number = 7",
    "all cut off": "DELETE FROM audit",
    "one put in": "INSERT INTO audit SELECT 99, at_ns, kind, who, role, action, subject, before, after, address,"
    " request_id, times, hash FROM audit WHERE number = 6",
    "two swapped": "UPDATE audit SET number = CASE number WHEN 5 THEN -6 ELSE -5 END WHERE number IN (5, 6);"
    "UPDATE audit SET number = -number WHERE number < 0",
}


@pytest.mark.parametrize("statements", DAMAGES.values(), ids=DAMAGES)
def test_a_chain_that_was_changed_is_found_also_behind_an_anchor(statements: str, reopen: Reopen, spoil: Spoil) -> None:
    catalog = reopen()
    facts = Act(who="alice", role="admin", action="pause").entry("act", "device a")
    for at_ns in range(1, 7):
        catalog.audit.append([facts], at_ns=at_ns)
    assert catalog.audit.expire(before_ns=4, limit=99, note=facts, at_ns=9) == 3
    assert catalog.audit.expire(before_ns=4, limit=99, note=facts, at_ns=9) == 0
    assert (catalog.audit.damage(), catalog.audit.state().anchor_number) == ([], 3)
    assert reopen().audit.damage() == []
    spoil(statements)
    assert len(reopen().audit.damage()) == 1


def test_only_the_beginning_of_the_log_expires_and_so_many_at_once(reopen: Reopen) -> None:
    catalog = reopen()
    facts = Act(who="alice", role="admin", action="pause").entry("act", "device a")
    for at_ns in (1, 2, 50, 3, 60):  # the clock stepped back in between
        catalog.audit.append([facts], at_ns=at_ns)
    assert catalog.audit.expire(before_ns=40, limit=1, note=facts, at_ns=61) == 1
    assert catalog.audit.expire(before_ns=40, limit=9, note=facts, at_ns=62) == 1
    numbers = [entry.number for entry in catalog.audit.piece(AuditFilter(), after=0, limit=99)]
    assert (numbers, catalog.audit.damage()) == ([3, 4, 5, 6, 7], [])
