"""People over HTTP: an administrator lets them in, they sign in, and see what their role and scope allow."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.model.access import Principal
from fleetpulse.model.device import Device
from fleetpulse.settings import Settings
from memory_service import World

PASSWORD, OTHER = "seven lathes hum", "eight mills turn"
ALICE = {"name": "alice", "role": "read", "scope": ["site:paris"], "password": PASSWORD}
Test = Callable[["Caller"], Awaitable[None]]


class Caller:
    """Asks a service that is protected; who asks is the argument `by`."""

    def __init__(self, client: httpx.AsyncClient, admin: str) -> None:
        self.client = client
        self.admin = admin

    async def __call__(self, method: str, path: str, body: Any = None, *, by: str | None = None) -> httpx.Response:
        token = self.admin if by is None else by
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self.client.request(method, path, json=body, headers=headers)

    async def sign_in(self, name: str, password: str) -> dict[str, Any]:
        answer = await self("POST", "/api/v1/login", {"name": name, "password": password}, by="")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def protected(test: Test) -> Callable[[Path], None]:
    """A test of a service with a press in Paris and one in Rome, which needs keys."""

    async def run(folder: Path) -> None:
        service = await World(folder).started(auth="required", login_refusal_s=0)
        await service.registry.register_many([Device("p", {"site": "paris"}), Device("r", {"site": "rome"})])
        key = make_key("admin", 1)
        holder = Principal(kind="key", name="key 1", role="admin", key=1)
        service.gate.keys.put(1, hash_key(key.encode()), principal=holder)
        service.gate.were_keys_made = True
        api = build_api(build_parts(Settings(), service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            await test(Caller(client, key))
        await service.node.stop()

    def in_folder(tmp_path: Path) -> None:
        asyncio.run(run(tmp_path))

    in_folder.__name__ = test.__name__  # type: ignore[attr-defined]  # a function
    return in_folder


@protected
async def test_an_administrator_lets_people_in_changes_and_removes_them(call: Caller) -> None:
    added = await call("POST", "/api/v1/users", ALICE)
    assert (added.status_code, added.json()["scope"], added.json()["sessions"]) == (201, ["site:paris"], 0)
    assert PASSWORD not in added.text and "argon2" not in added.text
    assert (await call("POST", "/api/v1/users", ALICE)).status_code == 409
    await call.sign_in("alice", PASSWORD)
    people = (await call("GET", "/api/v1/users")).json()["people"]
    assert [(one["name"], one["role"], one["sessions"]) for one in people] == [("alice", "read", 1)]
    changed = await call("PATCH", "/api/v1/users/alice", {"role": "operate", "scope": []})
    assert (changed.json()["role"], changed.json()["scope"], changed.json()["sessions"]) == ("operate", [], 1)
    disabled = await call("PATCH", "/api/v1/users/alice", {"is_disabled": True})
    assert (disabled.json()["is_disabled"], disabled.json()["sessions"]) == (True, 0)
    assert (await call("DELETE", "/api/v1/users/alice")).json()["msg"] == "alice is removed, and 0 sessions ended"
    for method, body in (("PATCH", {"role": "read"}), ("DELETE", None)):
        assert (await call(method, "/api/v1/users/alice", body)).status_code == 404
    for wrong in ({"role": "device"}, {"name": "A b"}, {"scope": ["site"]}, {"scope": ["a:b", "a:c"]}, {"extra": 1}):
        assert (await call("POST", "/api/v1/users", {**ALICE, **wrong})).status_code in {400, 422}, wrong


@protected
async def test_a_person_asks_with_an_access_token_and_manages_nobody(call: Caller) -> None:
    await call("POST", "/api/v1/users", ALICE)
    tokens = await call.sign_in("ALICE", PASSWORD)
    assert (tokens["token_type"], tokens["name"], tokens["role"]) == ("Bearer", "alice", "read")
    token = tokens["access_token"]
    assert (await call("GET", "/api/v1/devices/p", by=token)).status_code == 200
    assert (await call("GET", "/api/v1/devices/r", by=token)).status_code == 404
    assert (await call("GET", "/api/v1/users", by=token)).status_code == 403
    assert (await call("POST", "/api/v1/users", {**ALICE, "name": "b"}, by=token)).status_code == 403
    beat = await call("POST", "/api/v1/devices/p/heartbeat", {"sent_at": "2024-10-04T12:00:00Z"}, by=token)
    assert (beat.status_code, beat.json()["type"].rpartition(":")[2]) == (403, "role")
    await call("PATCH", "/api/v1/users/alice", {"role": "admin"})
    assert (await call("GET", "/api/v1/users", by=token)).status_code == 403  # an administrator of a site only
    for wrong in (f"{token}x", token[:-2], "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30."):
        answer = await call("GET", "/api/v1/devices/p", by=wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="fleetpulse"')


@protected
async def test_tokens_are_refreshed_and_signing_out_ends_them(call: Caller) -> None:
    await call("POST", "/api/v1/users", ALICE)
    first = await call.sign_in("alice", PASSWORD)
    answer = await call("POST", "/api/v1/refresh", {"refresh_token": first["refresh_token"]}, by="")
    second = answer.json()
    assert (await call("GET", "/api/v1/devices/p", by=second["access_token"])).status_code == 200
    assert (await call("POST", "/api/v1/logout", by=second["access_token"])).status_code == 200
    assert (await call("GET", "/api/v1/devices/p", by=second["access_token"])).status_code == 401
    third = await call.sign_in("alice", PASSWORD)
    body = {"refresh_token": third["refresh_token"]}
    assert (await call("POST", "/api/v1/logout", body, by="")).status_code == 200
    assert (await call("POST", "/api/v1/refresh", body, by="")).status_code == 401
    assert (await call("POST", "/api/v1/logout", by="")).status_code == 401
    fourth = await call.sign_in("alice", PASSWORD)
    await call("POST", "/api/v1/refresh", {"refresh_token": fourth["refresh_token"]}, by="")
    reused = await call("POST", "/api/v1/refresh", {"refresh_token": fourth["refresh_token"]}, by="")
    assert reused.json()["type"] == "urn:fleetpulse:problem:token_reused"


@protected
async def test_people_change_their_own_password_and_keys_have_none(call: Caller) -> None:
    await call("POST", "/api/v1/users", ALICE)
    token = (await call.sign_in("alice", PASSWORD))["access_token"]
    change = {"password": PASSWORD, "new_password": OTHER}
    assert (await call("POST", "/api/v1/password", {**change, "password": OTHER}, by=token)).status_code == 401
    assert (await call("POST", "/api/v1/password", change)).status_code == 422
    assert (await call("POST", "/api/v1/password", change, by=token)).status_code == 200
    assert (await call("GET", "/api/v1/devices/p", by=token)).status_code == 401
    await call.sign_in("alice", OTHER)


@protected
async def test_a_flood_of_wrong_passwords_is_told_to_wait(call: Caller) -> None:
    await call("POST", "/api/v1/users", ALICE)
    answers = [await call("POST", "/api/v1/login", {"name": "alice", "password": "wrong"}, by="") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[0].json()["msg"] == "the name or the password is wrong"
    assert answers[-1].headers["retry-after"] == "10"
    metrics = (await call("GET", "/metrics")).text
    assert 'fleetpulse_logins_total{outcome="wrong_password"} 10.0' in metrics
    assert 'fleetpulse_logins_total{outcome="login_rate"} 2.0' in metrics


@protected
async def test_who_let_whom_in_and_who_signed_in_is_in_the_audit_log(call: Caller) -> None:
    await call("POST", "/api/v1/users", ALICE)
    tokens = await call.sign_in("alice", PASSWORD)
    await call("POST", "/api/v1/refresh", {"refresh_token": tokens["refresh_token"]}, by="")
    await call("POST", "/api/v1/refresh", {"refresh_token": tokens["refresh_token"]}, by="")
    await call("PATCH", "/api/v1/users/alice", {"role": "operate", "scope": []})
    await call("PATCH", "/api/v1/users/alice", {"password": OTHER})
    await call("DELETE", "/api/v1/users/alice")
    answer = await call("GET", "/api/v1/audit?kind=act")
    entries = [
        (one["action"], one["who"], one["subject"], one["before"], one["after"]) for one in answer.json()["entries"]
    ]
    alice, session = "person alice", "session of alice"
    first = {"role": "read", "scope": ["site:paris"], "is_disabled": False}
    assert entries[::-1][1:] == [  # the first one is of the admin key that the service made
        ("addPerson", "key 1", alice, None, first),
        ("login", "", session, None, {"kind": "program"}),
        ("refresh", "", session, {"kind": "program"}, None),
        (
            "changePerson", "key 1", alice, {"role": "read", "scope": ["site:paris"]}, {"role": "operate", "scope": []},
        ),
        ("changePerson", "key 1", alice, {"password": None}, {"password": "changed"}),
        ("removePerson", "key 1", alice, {"role": "operate", "scope": [], "is_disabled": False}, None),
    ]  # fmt: skip
    assert not any(secret in answer.text for secret in (PASSWORD, OTHER, "argon2", tokens["refresh_token"][5:30]))


def test_a_flood_of_tries_from_one_address_is_answered_slowly(tmp_path: Path) -> None:
    async def run() -> None:
        service = await World(tmp_path).started(auth="required", address_burst=1, login_refusal_s=30)
        service.gate.were_keys_made = True
        api = build_api(build_parts(Settings(), service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            refresh = {"json": {"refresh_token": "fpr_"}}
            assert (await client.post("/api/v1/refresh", **refresh)).status_code == 401
            waiting = asyncio.ensure_future(client.post("/api/v1/refresh", **refresh))
            assert (await client.get("/api/v1/devices")).status_code == 429  # what is no try is told at once
            assert not waiting.done()
            waiting.cancel()
        await service.node.stop()

    asyncio.run(run())
