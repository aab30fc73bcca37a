"""Web pages of other origins: what they may not change, over a service in memory, and what CORS lets them read."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from fleetpulse.api.app import ROUTES, build_api
from fleetpulse.api.origins import SAFE, Origins
from fleetpulse.app import build_parts
from fleetpulse.errors import SettingsError, WebPage
from fleetpulse.settings import Settings
from memory_service import World

LISTED = "https://grafana.example:3000"
WRITING = [route for route in ROUTES if route.method not in SAFE]
FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:6733"},
    {"origin": "http://localhost.evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost"},
    {"sec-fetch-site": "", "origin": "http://localhost"},
]
OWN = [{}, {"origin": "http://localhost"}, {"origin": "HTTPS://LOCALHOST"}, {"sec-fetch-site": "same-origin"}]
Request = tuple[str, str, dict[str, str]]


def ask(folder: Path, *requests: Request, **settings: str) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        service = await World(folder).started("a")
        api = build_api(build_parts(Settings(**settings), service))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://localhost") as client:
            answers = [await client.request(method, path, headers=headers) for method, path, headers in requests]
        await service.node.stop()
        return answers

    return asyncio.run(run())


PROBLEMS = {f"urn:fleetpulse:problem:{reason}" for reason in ("web_page", "role")}
"""Enrolling needs an enrolment key, also where nobody else needs one."""


def test_no_route_lets_a_page_of_another_origin_change_anything(tmp_path: Path) -> None:
    requests = [
        (route.method, re.sub(r"\{.*?\}", "a", route.path), headers) for route in WRITING for headers in FOREIGN
    ]
    answers = ask(tmp_path, *requests)
    assert [
        (one[0], one[1], one[2], answer.status_code)
        for one, answer in zip(requests, answers, strict=True)
        if answer.status_code != 403 or answer.json()["type"] not in PROBLEMS
    ] == []


@pytest.mark.parametrize("headers", [*OWN, {"origin": LISTED}, {"origin": LISTED, "sec-fetch-site": "cross-site"}])
def test_our_own_page_a_program_and_a_listed_origin_may(headers: dict[str, str]) -> None:
    Origins(f"https://other.example, {LISTED}").check_write("POST", {"host": "localhost", **headers})


@pytest.mark.parametrize("headers", FOREIGN)
def test_reading_is_left_to_the_browser(headers: dict[str, str]) -> None:
    Origins().check_write("GET", {"host": "localhost", **headers})
    with pytest.raises(WebPage):
        Origins().check_write("DELETE", {"host": "localhost", **headers})


def test_without_a_host_no_origin_is_ours() -> None:
    with pytest.raises(WebPage):
        Origins().check_write("POST", {"origin": "http://"})


@pytest.mark.parametrize(
    "wrong", ["*", "grafana.example", "https://x/", "https://x/path", "ftp://x", "https://", "null"]
)
def test_what_is_no_origin_is_refused_by_its_setting(wrong: str) -> None:
    with pytest.raises(SettingsError, match="cors_origins"):
        Origins(f"https://a.example,{wrong}")


def test_a_listed_page_may_ask_first_and_read_the_answer(tmp_path: Path) -> None:
    first = {"origin": LISTED, "access-control-request-method": "PATCH", "access-control-request-headers": "x-api-key"}
    path = "/api/v1/devices/a"
    preflight, answer, other, none = ask(
        tmp_path,
        ("OPTIONS", path, first),
        ("GET", path, {"origin": LISTED}),
        ("GET", path, {"origin": "https://evil.example"}),
        ("GET", path, {}),
        cors_origins=LISTED,
    )
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, LISTED)
    assert {"PATCH", "DELETE"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
    assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert "ETag" in answer.headers["access-control-expose-headers"]
    for one in (other, none):
        assert not [name for name in one.headers if name.startswith("access-control")]
    assert all("Origin" in one.headers["vary"] for one in (preflight, answer, other, none))
    assert not [name for one in (preflight, answer) for name in one.headers if name.endswith("credentials")]


def test_where_no_page_is_listed_nothing_is_said_of_origins(tmp_path: Path) -> None:
    preflight, answer = ask(
        tmp_path,
        ("OPTIONS", "/api/v1/devices", {"origin": LISTED, "access-control-request-method": "GET"}),
        ("GET", "/api/v1/devices", {"origin": LISTED}),
    )
    for one in (preflight, answer):
        assert not [name for name in one.headers if name.startswith("access-control")]
    assert answer.headers["cache-control"] == "private, no-cache"


def test_every_answer_has_a_policy_and_is_kept_from_caches(tmp_path: Path) -> None:
    paths = ["/", "/docs", "/openapi.json", "/metrics", "/api/v1/devices", "/api/v1/fleet/stats", "/nowhere"]
    for path, answer in zip(paths, ask(tmp_path, *(("GET", path, {}) for path in paths)), strict=True):
        policy, caching = answer.headers["content-security-policy"], answer.headers["cache-control"]
        assert ("frame-ancestors 'none'" in policy, caching in ("no-store", "private, no-cache")) == (True, True), path
