"""A person signs in with a browser, sees what they may see, and no other page acts for them."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import httpx
import pytest

from fleetpulse.access.passwords import hash_password
from fleetpulse.catalog.person_records import PersonRecord
from fleetpulse.model.device import Device
from fleetpulse.model.person import Person
from fleetpulse.pipeline.service import Service
from protected_service import PARIS, add_key, client_of, protected

BROWSER = {"accept": "text/html"}
PASSWORD = "seven lathes hum"  # noqa: S105 - of nobody
OURS = {"sec-fetch-site": "same-origin"}
Test = Callable[[Service, httpx.AsyncClient], Awaitable[None]]


def with_alice(test: Test) -> Callable[[Path], None]:
    """A test with a protected service where alice may operate the presses of Paris, and with a browser."""

    async def run(folder: Path) -> None:
        async with protected(folder, login_burst=3, login_refusal_s=0) as service:
            await service.registry.register_many([Device("p", {"site": "paris"}), Device("r", {"site": "rome"})])
            person = Person(name="alice", role="operate", scope=PARIS)
            service.catalog.people.put(PersonRecord(person, hash_password(PASSWORD)))
            service.people.load()
            async with client_of(service) as client:
                await test(service, client)

    def in_folder(tmp_path: Path) -> None:
        anyio.run(run, tmp_path)

    in_folder.__name__ = test.__name__  # type: ignore[attr-defined]  # a function
    return in_folder


async def sign_in(client: httpx.AsyncClient, password: str = PASSWORD, **headers: str) -> httpx.Response:
    form = {"name": "alice", "password": password}
    return await client.post("/sign-in", data=form, headers={**OURS, **headers})


@with_alice
async def test_a_person_signs_in_sees_their_part_of_the_fleet_and_signs_out(
    service: Service, client: httpx.AsyncClient
) -> None:
    before = (await client.get("/", headers=BROWSER)).text
    assert "2 devices" not in before and "1 device" not in before and 'href="/sign-in"' in before
    page = await client.get("/sign-in")
    assert "<script" not in page.text and "action=/sign-in" in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    answer = await sign_in(client)
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, "/", b"")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"fleetpulse_session=fps_[0-9a-f_]+; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict", cookie)
    after = (await client.get("/", headers=BROWSER)).text
    assert "1 device<" in after and "Signed in as <strong>alice</strong> (operate, site:paris)" in after
    assert (await client.get("/api/v1/devices/p")).status_code == 200
    assert (await client.get("/api/v1/devices/r")).status_code == 404
    again = await client.post("/sign-out", headers=OURS)
    assert (again.status_code, "Max-Age=0" in again.headers["set-cookie"]) == (303, True)
    stolen = {"cookie": cookie.partition(";")[0]}
    answer = await client.get("/api/v1/devices/p", headers=stolen)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (401, "session_ended")
    assert "2 devices" not in (await client.get("/", headers=BROWSER | stolen)).text


@with_alice
async def test_over_tls_the_cookie_is_of_this_host_and_for_tls_only(
    service: Service, client: httpx.AsyncClient
) -> None:
    client.base_url = httpx.URL("https://localhost")
    cookie = (await sign_in(client)).headers["set-cookie"]
    assert cookie.startswith("__Host-fleetpulse_session=") and cookie.endswith("; Secure")
    assert (await client.get("/api/v1/devices/p")).status_code == 200


@with_alice
async def test_a_wrong_password_shows_the_page_again_and_after_a_few_says_to_wait(
    service: Service, client: httpx.AsyncClient
) -> None:
    for status in (401, 401, 401, 429):
        page = await sign_in(client, "<b>wrong</b>")
        assert (page.status_code, "action=/sign-in" in page.text) == (status, True)
        assert "set-cookie" not in page.headers and "<b>" not in page.text and "role=alert" in page.text
    assert page.headers["retry-after"] == "10"
    for body in (b"name", b"\xff=1", b"a=1&" * 9, b"name=%ff&password=x", b"password=" + b"a" * 2_000):
        headers = {"content-type": "application/x-www-form-urlencoded", **OURS}
        assert (await client.post("/sign-in", content=body, headers=headers)).status_code in {400, 401, 429}, body
    assert (await client.post("/sign-in", json={"name": "alice", "password": PASSWORD})).status_code == 415


@with_alice
async def test_signing_in_again_ends_the_session_that_was(service: Service, client: httpx.AsyncClient) -> None:
    first = (await sign_in(client)).headers["set-cookie"].partition(";")[0]
    second = (await sign_in(client)).headers["set-cookie"].partition(";")[0]
    assert first != second
    client.cookies.clear()
    assert (await client.get("/api/v1/devices/p", headers={"cookie": first})).status_code == 401
    assert (await client.get("/api/v1/devices/p", headers={"cookie": f"a=b; {second}; c"})).status_code == 200
    assert len(service.sessions.of("alice")) == 1


WRITES = [
    ("POST", "/api/v1/devices/p/pause"),
    ("PATCH", "/api/v1/devices/p"),
    ("DELETE", "/api/v1/devices/p"),
    ("POST", "/api/v1/maintenance"),
    ("POST", "/api/v1/password"),
    ("POST", "/sign-out"),
    ("POST", "/api/v1/devices/p/ping"),
    ("GET", "/api/v1/devices/p/ping"),
    ("POST", "/api/v1/devices/p/heartbeat"),
    ("POST", "/api/v1/events"),
]
FOREIGN: list[dict[str, str]] = [
    {},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost"},
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://localhost:81"},
]


@with_alice
async def test_no_page_but_ours_changes_anything_with_the_cookie(service: Service, client: httpx.AsyncClient) -> None:
    await service.people.change("alice", role="admin", scope=())
    await sign_in(client)
    for method, path in WRITES:
        for headers in FOREIGN:
            answer = await client.request(method, path, json={}, headers=headers)
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "web_page"), (path, headers)
    assert (await client.get("/api/v1/devices/p")).json()["status"] == "new"
    for headers in (OURS, {"origin": "http://localhost"}):
        pause = await client.post("/api/v1/devices/p/pause", json={"duration": "1h"}, headers=headers)
        assert (pause.status_code, pause.json()["status"]) == (200, "paused")
    # A key or a token is no cookie: nothing sends it but whoever has it.
    key = {"authorization": f"Bearer {add_key(service, 'admin')}"}
    assert (await client.post("/api/v1/devices/p/pause", json={"duration": "1h"}, headers=key)).status_code == 200


@with_alice
async def test_a_page_of_another_site_cannot_sign_anybody_in(service: Service, client: httpx.AsyncClient) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "", "origin": "https://evil.example"}):
        answer = await client.post("/sign-in", data={"name": "alice", "password": PASSWORD}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "cookie", ["", "fleetpulse_session=", "fleetpulse_session=fps_x", "fleetpulse_session=fp_admin_1_x"]
)
def test_a_cookie_that_is_none_of_ours_is_nobody(tmp_path: Path, cookie: str) -> None:
    @with_alice
    async def run(service: Service, client: httpx.AsyncClient) -> None:
        headers = {"cookie": cookie}
        assert (await client.get("/api/v1/devices/p", headers=headers)).status_code == 401
        assert "1 device" not in (await client.get("/", headers=BROWSER | headers)).text
        assert (await client.post("/sign-out", headers=OURS | headers)).status_code == 303

    run(tmp_path)
