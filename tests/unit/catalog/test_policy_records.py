import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory

USUAL, LONG, SHORT = HeartbeatPolicy(60, 240), HeartbeatPolicy(600, 0), HeartbeatPolicy(5, 0)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def noted(catalog: SqliteCatalog, policy: HeartbeatPolicy, at_ns: int) -> list[tuple[int, HeartbeatPolicy]]:
    """What a start with this policy finds; at most two are kept."""
    found = catalog.policies.note_default(policy, at_ns=at_ns, changes_max=2)
    assert found == catalog.policies.defaults()
    return [(change.at_ns, change.policy) for change in found]


def test_the_first_default_holds_since_ever_and_another_from_the_start_that_brought_it(catalog: SqliteCatalog) -> None:
    assert catalog.policies.defaults() == ()
    assert noted(catalog, USUAL, 5) == [(SINCE_EVER_NS, USUAL)]
    version = catalog.declared().version
    assert noted(catalog, USUAL, 6) == [(SINCE_EVER_NS, USUAL)]
    assert catalog.declared().version == version
    assert noted(catalog, LONG, 7) == [(SINCE_EVER_NS, USUAL), (7, LONG)]
    assert catalog.declared().version > version, "names in blocks are written anew"


def test_beyond_the_limit_the_longer_of_the_oldest_holds_for_both(catalog: SqliteCatalog) -> None:
    for at_ns, policy in enumerate([USUAL, LONG]):
        noted(catalog, policy, at_ns)
    assert noted(catalog, SHORT, 7) == [(SINCE_EVER_NS, LONG), (7, SHORT)]


def test_a_start_after_a_clock_that_was_ahead_replaces_what_has_not_come_yet(catalog: SqliteCatalog) -> None:
    noted(catalog, USUAL, 1)
    noted(catalog, LONG, 1_000)
    assert noted(catalog, USUAL, 20) == [(SINCE_EVER_NS, USUAL)]
    noted(catalog, LONG, 1_000)
    assert noted(catalog, SHORT, 50) == [(SINCE_EVER_NS, USUAL), (50, SHORT)]


def test_a_row_that_cannot_be_read_is_not_in_effect(catalog: SqliteCatalog) -> None:
    noted(catalog, USUAL, 1)
    noted(catalog, LONG, 5)
    catalog._database.statements.execute("UPDATE default_policy SET grace_s = 'x' WHERE at_ns = 5")
    assert catalog.policies.defaults() == (PolicyChange(SINCE_EVER_NS, USUAL),)


def test_of_two_nodes_that_start_together_none_removes_what_the_other_recorded(
    catalog: SqliteCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(catalog, USUAL, 1)
    policies = catalog.policies
    read = policies.defaults

    def read_just_before_the_other() -> PolicyHistory:
        found = read()
        monkeypatch.undo()
        with contextlib.closing(SqliteCatalog(tmp_path / "catalog.sqlite")) as other:
            other.policies.note_default(LONG, at_ns=5, changes_max=9)
        return found

    monkeypatch.setattr(policies, "defaults", read_just_before_the_other)
    expected = (PolicyChange(SINCE_EVER_NS, USUAL), PolicyChange(5, LONG), PolicyChange(7, SHORT))
    assert policies.note_default(SHORT, at_ns=7, changes_max=9) == expected == policies.defaults()
