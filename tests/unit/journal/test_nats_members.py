"""Which NATS servers can be believed when they acknowledge."""

from typing import Any

import pytest

from fleetpulse.journal.nats_members import Member, is_new_enough, outdated_text, participants, unsynced_text

SECOND = 10**9


def member(name: str, *, is_synced: bool = True) -> Member:
    return Member(name, f"id of {name}", "2.15.1", is_synced)


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [
        ("2.12.14", False),
        ("2.12.15", True),
        ("2.13.9", False),
        ("2.14.4", False),
        ("2.14.5", True),
        ("2.15.0", True),
        ("3.0.0-beta", True),
        ("v2.14.10", True),
        ("2.9.10", False),
        ("", False),
    ],
)
def test_versions_with_the_fixes_are_new_enough(version: str, is_enough: bool) -> None:
    assert is_new_enough(version) is is_enough


def test_servers_that_are_too_old_are_named_with_what_to_do() -> None:
    assert outdated_text({"n1": "2.15.1"}) == ""
    text = outdated_text({"n1": "2.15.1", "n3": "2.9.1", "n2": "2.12.1"})
    assert "n2 (2.12.1), n3 (2.9.1)" in text
    assert "Upgrade" in text


def info_of(*replicas: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": {"leader": "n1", "replicas": list(replicas)}}


def test_a_server_that_the_leader_does_not_hear_takes_no_part() -> None:
    assert participants({}, "alone") == {"alone": True}
    found = participants(
        info_of(
            {"name": "n2", "current": True, "active": 1},
            {"name": "n3", "current": False, "active": 9 * SECOND},
            {"name": "n4", "current": False, "active": 2 * SECOND},
            {"name": "n6", "current": False, "active": 0, "lag": 3},
            {"name": "n5", "current": True, "active": 1, "offline": True},
        ),
        "n2",
    )
    assert found == {"n1": True, "n2": True, "n3": False, "n4": True, "n5": False, "n6": False}


def test_every_server_that_takes_part_must_say_that_it_syncs() -> None:
    parts = {"n1": True, "n2": True, "n3": False}
    assert unsynced_text(parts, {name: member(name) for name in ("n1", "n2")}, {}) == ""
    text = unsynced_text(parts, {"n1": member("n1"), "n2": member("n2", is_synced=False)}, {})
    assert "n2 acknowledge before they sync" in text
    text = unsynced_text(parts, {"n1": member("n1")}, {"http://n2": "http://n2: refused"})
    assert "n2 cannot be asked whether they sync (http://n2: refused)" in text
    assert "no URL of nats_monitors" in unsynced_text(parts, {}, {})


def test_a_server_that_is_away_and_was_seen_not_to_sync_is_named() -> None:
    assert "n3 acknowledge" in unsynced_text({"n3": False}, {"n3": member("n3", is_synced=False)}, {})
