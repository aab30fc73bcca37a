"""Tokens of issuers: keys are read when they are needed, kept while the issuer is away, and followed when they turn."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from fleetpulse.access_errors import Forbidden, Unauthenticated
from fleetpulse.errors import Answerable, Busy
from fleetpulse.model.device import Device
from fleetpulse.pipeline import issuer_source
from fleetpulse.pipeline.issuer_reading import IssuerAddress, IssuerAway
from fleetpulse.pipeline.issuer_source import IssuerSource
from fleetpulse.pipeline.issuers import Issuers
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World

ISSUER = "https://id.example"
SETTINGS = {
    "oidc_issuer": ISSUER,
    "oidc_audience": "fleetpulse",
    "oidc_roles": "admins=admin; paris=read site:paris",
    "device_issuer": ISSUER,
    "device_audience": "presses",
}
OLD, NEW = RSAKey.generate_key(2_048), RSAKey.generate_key(2_048)


class Provider:
    """An issuer as `IssuerAddress.read` would find it."""

    def __init__(self) -> None:
        self.keys: dict[str, RSAKey] = {"old": OLD}
        self.is_away = False
        self.readings = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def read(self, address: IssuerAddress) -> bytes:
        self.readings += 1
        self.may_answer.wait(10)
        if self.is_away:
            raise IssuerAway("no answer within 5 s (issuer_timeout_s)")
        return json.dumps(
            {"keys": [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]}
        ).encode()

    def source(self, service: Service) -> IssuerSource:
        source = service.issuers._sources[ISSUER]
        source._read = self.read
        return source


Test = Callable[[World, Service, Provider], Awaitable[None]]


def with_issuer(test: Test) -> Callable[[Path], None]:
    """A test with a service that knows an issuer, and one device."""

    async def run(folder: Path) -> None:
        world, provider = World(folder), Provider()
        service = await world.started(**SETTINGS)
        await service.registry.register_many([Device("press-1")])
        provider.source(service)
        try:
            await test(world, service, provider)
        finally:
            provider.may_answer.set()
            await service.node.stop()

    def in_folder(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    in_folder.__name__ = test.__name__  # type: ignore[attr-defined]  # a function
    return in_folder


def token(world: World, key: RSAKey = OLD, kid: str | None = "old", **claims: Any) -> str:
    now_s = world.clock.ns // SECOND
    body = {"iss": ISSUER, "aud": "fleetpulse", "sub": "alice", "groups": ["paris"], "exp": now_s + 300_000, **claims}
    header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
    return jwt.encode(header, body, key)


async def refused(issuers: Issuers, shown: str, kind: type[Answerable], reason: str) -> None:
    with pytest.raises(kind) as error:
        await issuers.verify_token(shown)
    assert error.value.reason == reason


@with_issuer
async def test_people_and_devices_are_known_by_their_tokens_and_keys_are_read_once(
    world: World, service: Service, provider: Provider
) -> None:
    shown = [token(world), token(world, sub="bob", groups="admins"), token(world, aud="presses", sub="press-1")]
    people = await asyncio.gather(*(service.issuers.verify_token(one) for one in shown * 20))
    assert {(one.name, one.role, one.scope) for one in people} == {
        ("id.example: alice", "read", (("site", "paris"),)),
        ("id.example: bob", "admin", ()),
        ("device press-1", "device", ()),
    }
    assert people[2].device == service.registry.numbers["press-1"]
    assert provider.readings == 1
    await refused(service.issuers, token(world, aud="presses", sub="nobody"), Forbidden, "unknown_subject")
    await refused(service.issuers, token(world, groups=[]), Forbidden, "no_role")
    await refused(service.issuers, token(world, iss="https://other.example"), Unauthenticated, "wrong_token")
    await refused(service.issuers, token(world, aud="other"), Unauthenticated, "wrong_audience")
    assert provider.readings == 1
    assert service.counters.issuer_readings == {"read": 1}


@with_issuer
async def test_a_person_never_is_the_device_of_the_same_name(
    world: World, service: Service, provider: Provider
) -> None:
    principal = await service.issuers.verify_token(token(world, sub="press-1"))
    assert (principal.role, principal.device) == ("read", None)
    both = token(world, sub="press-1", aud=["fleetpulse", "presses"])
    await refused(service.issuers, both, Unauthenticated, "wrong_audience")


@with_issuer
async def test_a_new_key_is_followed_at_once_and_the_old_one_is_out_when_it_is_gone(
    world: World, service: Service, provider: Provider
) -> None:
    old, new = token(world), token(world, NEW, "new")
    await service.issuers.verify_token(old)
    provider.keys = {"old": OLD, "new": NEW}
    await refused(service.issuers, new, Unauthenticated, "wrong_token")  # it has just been asked
    assert provider.readings == 1
    world.clock.ns += 10 * SECOND
    assert (await service.issuers.verify_token(new)).name == "id.example: alice"
    assert (await service.issuers.verify_token(old)).name == "id.example: alice"
    provider.keys = {"new": NEW}
    world.clock.ns += 301 * SECOND
    await service.issuers.verify_token(old)  # known keys are used while they are read again
    await asyncio.sleep(0)
    source = provider.source(service)
    assert source._reading is not None
    await source._reading
    await refused(service.issuers, old, Unauthenticated, "wrong_token")
    assert (await service.issuers.verify_token(new)).name == "id.example: alice"
    provider.keys = {"new": OLD}  # another key of the same name
    world.clock.ns += 301 * SECOND
    await service.issuers.verify_token(new)
    assert source._reading is not None
    await source._reading
    await refused(service.issuers, new, Unauthenticated, "wrong_token")


@with_issuer
async def test_tokens_without_a_key_name_are_those_of_the_single_key_also_after_it_turned(
    world: World, service: Service, provider: Provider
) -> None:
    old, new = token(world, kid=None), token(world, NEW, kid=None)
    await service.issuers.verify_token(old)
    provider.keys = {"new": NEW}
    await refused(service.issuers, new, Unauthenticated, "wrong_token")
    world.clock.ns += 10 * SECOND
    assert (await service.issuers.verify_token(new)).role == "read"
    await refused(service.issuers, old, Unauthenticated, "wrong_token")
    provider.keys = {"old": OLD, "new": NEW}
    world.clock.ns += 10 * SECOND
    await refused(service.issuers, old, Unauthenticated, "wrong_token")  # of two keys nobody knows which


@with_issuer
async def test_while_the_issuer_is_away_known_keys_are_good_for_a_day_and_over_restarts(
    world: World, service: Service, provider: Provider
) -> None:
    shown = token(world)
    await service.issuers.verify_token(shown)
    provider.is_away = True
    for _ in range(9):
        world.clock.ns += 9_000 * SECOND
        assert (await service.issuers.verify_token(shown)).role == "read"
    after = world.service(**SETTINGS)
    after.issuers.load()
    after.registry.load()
    provider.source(after)
    assert (await after.issuers.verify_token(shown)).role == "read"
    await refused(after.issuers, token(world, NEW, "new"), Busy, "issuer_away")
    world.clock.ns += 6_000 * SECOND
    await refused(after.issuers, shown, Busy, "issuer_away")
    provider.is_away = False
    world.clock.ns += 10 * SECOND
    assert (await after.issuers.verify_token(shown)).role == "read"


@with_issuer
async def test_an_issuer_that_hangs_delays_only_those_who_need_it_and_is_asked_by_one_question(
    world: World, service: Service, provider: Provider
) -> None:
    service.issuers._sources[ISSUER]._limits = type(service.issuers._sources[ISSUER]._limits)(issuer_timeout_s=0.1)
    provider.may_answer.clear()
    outcomes = await asyncio.gather(
        *(service.issuers.verify_token(token(world, kid=f"k{number}")) for number in range(200)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Busy}
    assert provider.readings == 1
    provider.may_answer.set()
    source = provider.source(service)
    assert source._reading is not None
    await source._reading
    assert (await service.issuers.verify_token(token(world))).role == "read"


@with_issuer
async def test_a_flood_of_unknown_key_names_asks_the_issuer_once_each_ten_seconds(
    world: World, service: Service, provider: Provider
) -> None:
    for seconds in range(35):
        for number in range(5):
            await refused(service.issuers, token(world, kid=f"k{seconds}-{number}"), Unauthenticated, "wrong_token")
        world.clock.ns += SECOND
    assert provider.readings == 4


@with_issuer
async def test_no_more_requests_wait_for_an_issuer_than_may(world: World, service: Service, provider: Provider) -> None:
    provider.may_answer.clear()
    shown = [token(world, kid=f"k{number}") for number in range(3)]
    before, issuer_source.WAITING_MAX = issuer_source.WAITING_MAX, 2
    try:
        waiting = [asyncio.ensure_future(service.issuers.verify_token(one)) for one in shown[:2]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await refused(service.issuers, shown[2], Busy, "issuer_away")
        provider.may_answer.set()
        assert {type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)} == {Unauthenticated}
    finally:
        issuer_source.WAITING_MAX = before


@with_issuer
async def test_an_expired_token_is_refused_though_it_was_known_and_a_deleted_device_too(
    world: World, service: Service, provider: Provider
) -> None:
    now_s = world.clock.ns // SECOND
    person, device = token(world, exp=now_s + 5), token(world, aud="presses", sub="press-1")
    await service.issuers.verify_token(person)
    assert (await service.issuers.verify_token(device)).device_id == "press-1"
    world.clock.ns += 66 * SECOND
    await refused(service.issuers, person, Unauthenticated, "expired_token")
    await service.registry.delete([service.registry.numbers["press-1"]])
    await refused(service.issuers, device, Forbidden, "unknown_subject")


def test_without_an_issuer_nobody_is_asked(tmp_path: Path) -> None:
    async def run() -> None:
        world = World(tmp_path)
        service = await world.started()
        for wrong in (token(world), "abc", "a.b.c", "x" * 40_000):
            await refused(service.issuers, wrong, Unauthenticated, "wrong_token")
        await service.node.stop()

    asyncio.run(run())
