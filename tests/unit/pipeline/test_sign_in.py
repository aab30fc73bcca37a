"""People sign in and out, and what they show is good for as long as it should be."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.catalog.person_records import PersonRecord
from fleetpulse.errors import Answerable, Busy, Conflict, NotFound, OutOfRange
from fleetpulse.model.person import Person
from fleetpulse.pipeline.service import Service
from fleetpulse.pipeline.token_key_file import TOKEN_KEY
from memory_service import SECOND, World

PASSWORD, OTHER = "seven lathes hum", "eight mills turn"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes like those that an older version would have made, so that tests need not wait."""


def living(test: Callable[[World, Service], Awaitable[None]]) -> Callable[[Path], None]:
    """A test with a service in which alice may sign in."""

    async def run(folder: Path) -> None:
        world = World(folder)
        service = await world.started(login_burst=3, login_refusal_s=0)
        person = Person(name="alice", role="read", scope=(("site", "paris"),), created_at_ns=1)
        service.catalog.people.put(PersonRecord(person, QUICK.hash(PASSWORD)))
        service.people.load()
        try:
            await test(world, service)
        finally:
            await service.node.stop()

    def in_folder(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    in_folder.__name__ = test.__name__
    return in_folder


async def refused(work: Coroutine[Any, Any, object], kind: type[Answerable], reason: str) -> None:
    with pytest.raises(kind) as error:
        await work
    assert error.value.reason == reason


@living
async def test_a_session_lasts_until_it_expires_and_its_access_tokens_for_minutes(
    world: World, service: Service
) -> None:
    sign_in = service.sign_in
    tokens = sign_in.tokens(await sign_in.login("Alice", PASSWORD, address="10.0.0.1"))
    principal = await sign_in.verify_token(tokens.access_token)
    assert (principal.name, principal.role, principal.scope) == ("alice", "read", (("site", "paris"),))
    assert tokens.expires_at_ns - world.clock.ns == 600 * SECOND
    world.clock.ns += 601 * SECOND
    await refused(sign_in.verify_token(tokens.access_token), Unauthenticated, "expired_token")
    again = sign_in.tokens(await sign_in.refresh(tokens.refresh_token))
    assert (await sign_in.verify_token(again.access_token)).name == "alice"
    assert again.refresh_token != tokens.refresh_token
    assert again.refresh_expires_at_ns == tokens.refresh_expires_at_ns
    world.clock.ns = tokens.refresh_expires_at_ns
    await refused(sign_in.refresh(again.refresh_token), Unauthenticated, "session_ended")
    assert service.counters.logins == {"signed_in": 1}


@living
async def test_a_refresh_token_that_is_shown_again_ends_the_family(world: World, service: Service) -> None:
    sign_in = service.sign_in
    first = sign_in.tokens(await sign_in.login("alice", PASSWORD, address=""))
    elsewhere = sign_in.tokens(await sign_in.login("alice", PASSWORD, address=""))
    second = sign_in.tokens(await sign_in.refresh(first.refresh_token))
    await refused(sign_in.refresh(first.refresh_token), Unauthenticated, "token_reused")
    await refused(sign_in.refresh(second.refresh_token), Unauthenticated, "session_ended")
    await refused(sign_in.verify_token(second.access_token), Unauthenticated, "session_ended")
    assert (await sign_in.verify_token(elsewhere.access_token)).name == "alice"


@living
async def test_of_a_hundred_who_show_a_refresh_token_at_once_one_gets_the_next_and_the_family_ends(
    world: World, service: Service
) -> None:
    sign_in = service.sign_in
    tokens = sign_in.tokens(await sign_in.login("alice", PASSWORD, address=""))
    tries = [sign_in.refresh(tokens.refresh_token) for _ in range(100)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    sessions = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(sessions) == 1
    assert service.catalog.people.sessions() == []
    await refused(sign_in.refresh(sign_in.tokens(sessions[0]).refresh_token), Unauthenticated, "session_ended")


@living
async def test_signing_out_ends_one_session_and_a_new_password_all(world: World, service: Service) -> None:
    sign_in, people = service.sign_in, service.people
    one, two, three = [sign_in.tokens(await sign_in.login("alice", PASSWORD, address="a")) for _ in range(3)]
    browser = sign_in.cookie(await sign_in.login("alice", PASSWORD, address="a", kind="browser"))
    await sign_in.end(refresh_token=one.refresh_token)
    await sign_in.end(refresh_token=one.refresh_token)
    await sign_in.end(access_token=two.access_token)
    for ended in (one, two):
        await refused(sign_in.verify_token(ended.access_token), Unauthenticated, "session_ended")
        await refused(sign_in.refresh(ended.refresh_token), Unauthenticated, "session_ended")
    assert (await sign_in.verify_token(three.access_token)).name == "alice"
    await refused(sign_in.change_password("alice", OTHER, OTHER, address="a"), Unauthenticated, "wrong_password")
    await refused(sign_in.change_password("alice", PASSWORD, "short", address="a"), OutOfRange, "password")
    assert (await sign_in.verify_session(browser)).name == "alice"
    await sign_in.change_password("alice", PASSWORD, OTHER, address="a")
    await refused(sign_in.verify_token(three.access_token), Unauthenticated, "session_ended")
    await refused(sign_in.verify_session(browser), Unauthenticated, "session_ended")
    await refused(sign_in.login("alice", PASSWORD, address="a"), Unauthenticated, "wrong_password")
    await sign_in.login("alice", OTHER, address="a")
    assert people.get("alice").version == 1


@living
async def test_role_and_scope_are_those_of_now_and_the_disabled_and_removed_are_out_at_once(
    world: World, service: Service
) -> None:
    sign_in, people = service.sign_in, service.people
    tokens = sign_in.tokens(await sign_in.login("alice", PASSWORD, address=""))
    await people.change("alice", role="operate", scope=())
    principal = await sign_in.verify_token(tokens.access_token)
    assert (principal.role, principal.scope) == ("operate", ())
    await people.change("alice", is_disabled=True)
    await refused(sign_in.verify_token(tokens.access_token), Unauthenticated, "session_ended")
    await refused(sign_in.login("alice", PASSWORD, address="b"), Unauthenticated, "wrong_password")
    await people.change("alice", is_disabled=False)
    await refused(sign_in.refresh(tokens.refresh_token), Unauthenticated, "session_ended")
    tokens = sign_in.tokens(await sign_in.login("alice", PASSWORD, address=""))
    await people.remove("alice")
    await refused(sign_in.verify_token(tokens.access_token), Unauthenticated, "session_ended")
    await refused(people.change("alice", role="admin"), NotFound, "unknown_person")
    added = await people.add("alice", role="read", scope=(), password=PASSWORD)
    assert added.version == 0
    await refused(sign_in.refresh(tokens.refresh_token), Unauthenticated, "session_ended")


@living
async def test_a_restart_keeps_sessions_and_a_lost_key_ends_them(world: World, service: Service) -> None:
    sign_in = service.sign_in
    tokens = sign_in.tokens(await sign_in.login("alice", PASSWORD, address="10.0.0.1"))
    cookie = sign_in.cookie(await sign_in.login("alice", PASSWORD, address="10.0.0.1", kind="browser"))
    refreshed = await sign_in.refresh(tokens.refresh_token)
    after = world.service().sign_in  # as after a crash: nothing was closed
    after.load()
    assert (await after.verify_token(tokens.access_token)).name == "alice"
    assert (await after.verify_session(cookie)).name == "alice"
    await refused(after.refresh(tokens.refresh_token), Unauthenticated, "token_reused")
    assert refreshed.generation == 1
    (world.folder / TOKEN_KEY).unlink()
    after = world.service().sign_in
    after.load()
    await refused(after.verify_token(tokens.access_token), Unauthenticated, "wrong_token")
    await refused(after.verify_session(cookie), Unauthenticated, "session_ended")
    await after.login("alice", PASSWORD, address="10.0.0.1")


@living
async def test_a_browser_that_rests_is_signed_out_and_the_oldest_of_too_many_sessions_ends(
    world: World, service: Service
) -> None:
    sign_in = service.sign_in
    cookies = []
    for _ in range(17):
        cookies.append(sign_in.cookie(await sign_in.login("alice", PASSWORD, address="", kind="browser")))
        world.clock.ns += SECOND
    await refused(sign_in.verify_session(cookies[0]), Unauthenticated, "session_ended")
    for _ in range(3):
        world.clock.ns += 3_000 * SECOND
        assert (await sign_in.verify_session(cookies[1])).name == "alice"
    await refused(sign_in.verify_session(cookies[2]), Unauthenticated, "session_ended")
    assert len(service.sessions.of("alice")) == 16
    await sign_in.login("alice", PASSWORD, address="", kind="browser")
    assert len(service.sessions.of("alice")) == len(service.catalog.people.sessions()) == 2
    await sign_in.end(cookie=cookies[1])
    await refused(sign_in.verify_session(cookies[1]), Unauthenticated, "session_ended")


@living
async def test_wrong_passwords_and_names_are_refused_alike_and_after_a_few_wait(world: World, service: Service) -> None:
    sign_in = service.sign_in
    known = sign_in.tokens(await sign_in.login("alice", PASSWORD, address="192.0.2.1"))
    for name in ("alice", "nobody", "alice"):
        await refused(sign_in.login(name, "wrong", address="10.0.0.1"), Unauthenticated, "wrong_password")
    await refused(sign_in.login("alice", PASSWORD, address="10.0.0.1"), TooManyRequests, "login_rate")
    await refused(sign_in.login("alice", "wrong", address="10.0.0.2"), Unauthenticated, "wrong_password")
    await refused(sign_in.login("alice", PASSWORD, address="10.0.0.3"), TooManyRequests, "login_rate")
    await sign_in.login("alice", PASSWORD, address="192.0.2.1")  # where she is known, nobody can keep her out
    assert (await sign_in.verify_token(known.access_token)).name == "alice"
    world.clock.ns += 10 * SECOND
    await sign_in.login("alice", PASSWORD, address="10.0.0.3")
    assert service.counters.logins == {"signed_in": 3, "wrong_password": 4, "login_rate": 2}
    long = PASSWORD + "x" * 2_000
    await refused(sign_in.login("alice", long, address="10.0.0.4"), Unauthenticated, "wrong_password")


@living
async def test_more_passwords_than_may_wait_are_refused_and_do_not_count_as_tries(
    world: World, service: Service
) -> None:
    tries = [service.sign_in.login("nobody", "wrong", address=f"10.0.{n}.1") for n in range(3)]
    names = [service.sign_in.login(f"n{n}", "wrong", address=f"10.1.{n}.1") for n in range(40)]
    outcomes = await asyncio.gather(*tries, *names, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unauthenticated, Busy}
    busy = [outcome for outcome in outcomes if isinstance(outcome, Busy)]
    assert (len(busy), busy[0].reason) == (11, "logins_waiting")
    assert service.counters.logins == {"wrong_password": 32, "logins_waiting": 11}


@living
async def test_old_hashes_are_replaced_when_their_person_signs_in(world: World, service: Service) -> None:
    await service.sign_in.login("alice", PASSWORD, address="")
    record = service.catalog.people.people()[0]
    assert record.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert service.people.record("alice") == record
    await service.sign_in.login("alice", PASSWORD, address="")


@living
async def test_people_are_checked_and_bounded(world: World, service: Service) -> None:
    people = service.people
    add = {"role": "read", "scope": (), "password": PASSWORD}
    await refused(people.add("alice", **add), Conflict, "person_exists")
    await refused(people.add("Bob", **add), OutOfRange, "person")
    await refused(people.add("bob", role="read", scope=(("no name", "x"),), password=PASSWORD), OutOfRange, "person")
    await refused(people.add("bob", **{**add, "password": "short"}), OutOfRange, "password")
    outcomes = await asyncio.gather(*(people.add("bob", **add) for _ in range(2)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Person, Conflict}
    service = world.service(people_max=2)
    service.people.load()
    assert [person.name for person in service.people.all()] == ["alice", "bob"]
    await refused(service.people.add("carol", **add), OutOfRange, "people_max")


def test_who_is_above_a_limit_waits_for_the_answer_and_nobody_else_does(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started(login_burst=1, login_refusal_s=30)
        sign_in = service.sign_in
        await refused(sign_in.login("alice", "wrong", address="10.0.0.1"), Unauthenticated, "wrong_password")
        held_back = asyncio.ensure_future(sign_in.login("alice", "wrong", address="10.0.0.1"))
        await refused(sign_in.login("bob", "wrong", address="10.0.0.2"), Unauthenticated, "wrong_password")
        assert not held_back.done()
        assert service.counters.logins == {"wrong_password": 2, "login_rate": 1}
        held_back.cancel()
        await service.node.stop()

    asyncio.run(run())
