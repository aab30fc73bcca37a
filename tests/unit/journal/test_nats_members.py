"""Which NATS servers can be believed when they acknowledge."""

import re

import pytest

from fleetpulse.journal.nats_members import (
    Member,
    Sight,
    holders,
    is_new_enough,
    outdated_text,
    processes,
    unsynced_text,
)


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


def test_the_servers_that_hold_a_stream_are_those_of_its_membership() -> None:
    assert holders({}, "alone") == ("alone", frozenset({"alone"}))
    replicas = [{"name": "n2", "current": True}, {"name": "n3", "offline": True}]
    assert holders({"cluster": {"leader": "n1", "replicas": replicas}}, "n2") == ("n1", frozenset({"n1", "n2", "n3"}))
    assert holders({"cluster": {"replicas": replicas}}, "n2") == ("", frozenset({"n2", "n3"}))


def test_a_process_is_seen_by_itself_and_by_those_that_it_is_connected_to() -> None:
    sights = [Sight("n1", "a", (("n2", "b"), ("n3", "c"))), Sight("n2", "b", (("n3", "new c"),))]
    assert processes(sights, ("n4", "d")) == {"n1": {"a"}, "n2": {"b"}, "n3": {"c", "new c"}, "n4": {"d"}}


KNOWN = {name: member(name) for name in ("a", "b", "c")} | {"bad": member("bad", is_synced=False)}


def judged(seen: dict[str, str], *answered: str, leader: str = "", count: int = 3) -> str:
    names = [f"n{number + 1}" for number in range(count)]
    ids = {name: set(text.split()) for name, text in seen.items()}
    silent = {name: f"http://{name}: refused" for name in names if name not in answered}
    return unsynced_text(names, ids, KNOWN, answered=answered, leader=leader, silent=silent)


@pytest.mark.parametrize(
    ("seen", "answered"),
    [
        ({"n1": "a", "n2": "b", "n3": "c"}, ["n1", "n2", "n3"]),
        ({"n1": "a", "n2": "b", "n3": "c"}, ["n1", "n2"]),  # n3 stands still
        ({"n1": "a", "n2": "b", "n3": "c"}, []),  # no monitoring port is reached, but the processes are the same
        ({"n1": "a", "n2": "b"}, ["n1", "n2"]),  # n3 is gone
    ],
)
def test_processes_that_sync_may_confirm_and_one_that_nobody_sees_cannot(
    seen: dict[str, str], answered: list[str]
) -> None:
    assert judged(seen, *answered) == ""


@pytest.mark.parametrize(
    ("seen", "answered", "text"),
    [
        ({"n1": "a", "n2": "b", "n3": "bad"}, ["n1", "n2", "n3"], "n3 acknowledge before they sync"),
        ({"n1": "a", "n2": "b", "n3": "c bad"}, ["n1", "n2", "n3"], "n3 acknowledge before they sync"),
        ({"n1": "a", "n2": "b", "n3": "new"}, ["n1", "n2"], r"n3 cannot be asked .* \(http://n3: refused\)"),
        ({"n1": "a", "n2": "b", "n3": "c new"}, ["n1", "n2"], "n3 cannot be asked"),
        ({"n1": "a new", "n2": "b", "n3": "c"}, ["n1", "n2", "n3"], "leads to another server of the name n1"),
        ({"n1": "a", "n2": "b"}, ["n1"], "n3 cannot be asked"),  # n2 may lead it, and was not asked whom it sees
        ({"n1": "a"}, ["n1"], "n2, n3 cannot be asked"),  # they are a majority without n1
        ({}, [], "n1, n2, n3 cannot be asked"),
    ],
)
def test_a_server_that_may_confirm_and_was_not_found_to_sync_is_named(
    seen: dict[str, str], answered: list[str], text: str
) -> None:
    assert re.search(text, judged(seen, *answered))


def test_a_leader_that_does_not_see_a_server_hears_nothing_of_it() -> None:
    seen = {"n1": "a", "n2": "b"}
    assert judged(seen, "n1", leader="n1") == ""
    assert "n3 cannot be asked" in judged(seen, "n1", leader="n2")
    assert judged(seen, "n1", leader="n1", count=5) == ""


def test_one_server_alone_must_be_asked() -> None:
    assert judged({"n1": "a"}, "n1", count=1) == ""
    assert "n1 cannot be asked" in judged({"n1": "new"}, count=1)
    text = unsynced_text(["n1"], {"n1": {"new"}}, {}, answered=(), leader="n1", silent={})
    assert "no URL of nats_monitors leads to them" in text
