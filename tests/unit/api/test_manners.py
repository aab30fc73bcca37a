"""What holds for the answers of all routes, over every route of the OpenAPI document."""

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from fleetpulse.access.key_text import hash_key, make_badge_token
from fleetpulse.api.app import build_api, describe_api
from fleetpulse.app import build_parts
from fleetpulse.ingest.asgi_protocol import CUT
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.badge import BadgeRecord
from fleetpulse.model.device import Device
from fleetpulse.pipeline.pace import PATIENCE_S
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World, beat

DOCUMENT = describe_api().document["paths"]
KNOWN = {
    "device_id": "press-07",
    "name": "upload_time",
    "window_id": "0123456789abcdef",
    "key_number": "1",
    "person": "x",
    "rule": "device-offline",
    "token": make_badge_token(1),
}
QUERY = {
    "/api/v1/devices/{device_id}/metrics": "?types=upload_time",
    "/api/v1/fleet/metrics": "?types=upload_time",
    "/api/v1/export": "?types=upload_time",
}
STREAMED = {"/api/v1/audit/export", "/api/v1/export", "/api/v1/backup", "/api/v1/devices/{device_id}/ping"}
GETS = [path for path, operations in DOCUMENT.items() if "get" in operations and path != "/api/v1/stream"]
"""The live feed has no end."""
TAGGED = ["/api/v1/devices", "/api/v1/devices/press-07", "/api/v1/devices.csv", "/api/v1/metrics/definitions"]
TAGGED += ["/api/v1/metrics/definitions/upload_time", "/api/v1/maintenance", "/openapi.json", "/docs"]
TAGGED += ["/api/v1/alerts/rules", "/api/v1/alerts/rules/device-offline"]
Ask = Callable[..., Awaitable[httpx.Response]]


def target(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: KNOWN.get(match[1], "1"), path) + QUERY.get(path, "")


def run(folder: Path, test: Callable[[Service, Ask], Awaitable[None]], **settings: Any) -> None:
    """Call `test` with a service that knows 1,000 devices, and with a function that asks it as a bare client does."""

    async def life() -> None:
        service = await World(folder).started("press-07", auth="off")
        await service.registry.register_many([Device(f"d{number:04}", {"site": "paris"}) for number in range(1_000)])
        await beat(service, "press-07")
        await service.key_ring.make_all([KeyWish(role="read")], principal=None)
        badge = BadgeRecord(1, hash_key(KNOWN["token"].encode()), None, (), "", 1, "key 1")
        await service.catalog_thread.run(lambda: service.catalog.badges.add(badge))
        api = build_api(build_parts(Settings(**settings), service))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api), base_url="http://localhost", headers={"x-request-id": "1"}
        ) as client:
            del client.headers["accept-encoding"]

            async def ask(method: str, path: str, *, body: bytes = b"", **headers: str) -> httpx.Response:
                given = {name.replace("_", "-"): value for name, value in headers.items()}
                request = client.build_request(method, path, headers=given, content=body)
                answer = await client.send(request, stream=True)
                answer.raw = b"".join([part async for part in answer.aiter_raw()])  # type: ignore[attr-defined]  # as sent
                return answer

            await test(service, ask)
        await service.node.stop()

    asyncio.run(life())


def raw(answer: httpx.Response) -> bytes:
    body: bytes = answer.raw  # type: ignore[attr-defined]  # put there by `run`
    return body


def test_head_has_the_header_of_get_and_no_body_on_every_route(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for path in GETS:
            for coding in ("identity", "gzip"):
                get = await ask("GET", target(path), accept_encoding=coding)
                head = await ask("HEAD", target(path), accept_encoding=coding)
                assert (head.status_code, raw(head)) == (get.status_code, b""), path
                if path not in ("/metrics", "/api/v1/devices/{device_id}/ping"):  # they count these very requests
                    assert head.headers.multi_items() == get.headers.multi_items(), path
                if "content-length" in get.headers:
                    assert int(get.headers["content-length"]) == len(raw(get)), path
                else:
                    assert path in STREAMED, "is sent as it is made"

    run(tmp_path, test)


def test_allow_is_complete_and_the_same_in_405_and_options_on_every_route(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for path, operations in DOCUMENT.items():
            methods = (
                {method.upper() for method in operations} | {"OPTIONS"} | ({"HEAD"} if "get" in operations else set())
            )
            allow = ", ".join(sorted(methods))
            options = await ask("OPTIONS", target(path))
            assert (options.status_code, options.headers["allow"], raw(options)) == (204, allow, b""), path
            for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - methods:
                refused = await ask(method, target(path))
                assert (refused.status_code, refused.headers["allow"]) == (405, allow), (method, path)

    run(tmp_path, test)


def test_options_of_the_server_name_all_methods(tmp_path: Path) -> None:
    async def answered() -> list[dict[str, Any]]:
        service = World(tmp_path).service()
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "OPTIONS", "path": "*", "headers": []}
        await build_api(build_parts(Settings(), service))(scope, send, send)  # type: ignore[arg-type]  # never received
        await service.node.stop()
        return sent

    start, _ = asyncio.run(answered())
    assert start["status"] == 204
    assert dict(start["headers"])[b"allow"] == b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def test_an_unknown_parameter_is_refused_on_every_get_naming_the_nearest(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for path in GETS:
            names = [one["name"] for one in DOCUMENT[path]["get"].get("parameters", ()) if one["in"] == "query"]
            misspelt = f"{names[0]}x" if names else "x"
            address = target(path) + ("&" if "?" in target(path) else "?") + f"{misspelt}=1"
            for method in ("GET", "HEAD"):
                answer = await ask(method, address)
                assert answer.status_code == 400, path
            is_known = set(re.findall(r"\{(\w+)\}", path)) <= KNOWN.keys() and path != "/alerts/acknowledge"
            if is_known:  # else it names what there is not
                assert (await ask("GET", target(path))).status_code < 300, path
            text = (await ask("GET", address)).raw.decode()  # type: ignore[attr-defined]  # put there by `run`
            assert f"did you mean {names[0]}?" in text if names else "there are none here" in text, path

    run(tmp_path, test)


@pytest.mark.parametrize(
    "path", ["/api/v1/devices?limit=1000", "/openapi.json", "/docs", "/metrics", "/api/v1/devices.csv"]
)
def test_a_long_answer_is_compressed_as_the_client_likes_it(path: str, tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask) -> None:
        plain = raw(await ask("GET", path))
        packed = await ask("GET", path, accept_encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"
        if path != "/metrics":
            assert gzip.decompress(raw(packed)) == plain
            best = await ask("GET", path, accept_encoding="gzip, zstd")
            assert zstandard.ZstdDecompressor().decompressobj().decompress(raw(best)) == plain
            assert "content-encoding" not in (await ask("GET", path, accept_encoding="identity")).headers
        for header in ("", "gzip", "gzip;q=0", "br"):
            assert "Accept-Encoding" in (await ask("GET", path, accept_encoding=header)).headers["vary"]
        assert len(raw(packed)) < len(plain) / (8 if "limit" in path else 3)
        assert service.counters.answers_compressed["gzip"] >= 2

    run(tmp_path, test)


def test_short_answers_refusals_and_parquet_stay_as_they_are_unless_this_is_refused(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for path in ("/healthz", "/", "/api/v1/nothing", "/api/v1/export?what=presence&format=parquet"):
            answer = await ask("GET", path, accept_encoding="gzip")
            assert "content-encoding" not in answer.headers, path
            assert "Accept-Encoding" not in answer.headers.get("vary", ""), path
            packed = await ask("GET", path, accept_encoding="gzip, identity;q=0")
            assert packed.headers["content-encoding"] == "gzip", path
            refused = await ask("GET", path, accept_encoding="br, identity;q=0")
            assert (refused.status_code, "not_acceptable" in raw(refused).decode()) == (406, True), path
        table = await ask("GET", "/api/v1/export?what=presence", accept_encoding="gzip")
        assert gzip.decompress(raw(table)).startswith(b"device_id,minute")

    run(tmp_path, test)


def test_the_size_from_which_on_answers_are_compressed_is_a_setting(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        assert (await ask("GET", "/healthz", accept_encoding="gzip")).headers["content-encoding"] == "gzip"

    run(tmp_path, test, compress_bytes_lowest=1)


NOTED = {
    "label": ("label=site:pari", "no device has the label site:pari; did you mean paris?"),
    "group_by": ("group_by=sites", "no device has a label `sites` to group by; did you mean site?"),
    "to": ("from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z", "`to` is in the future: the window ends now, at "),
    "seen_after": ("seen_after=2999-01-01T00:00:00Z", "`seen_after` is in the future: it matches no device"),
}
"""By parameter: a query that is perhaps meant otherwise, and the note on it."""
ALERTS = "/api/v1/alerts"
"""Its answer has no notes: it may be asked for labels that no device has any more."""


def test_what_was_perhaps_meant_otherwise_is_noted_by_every_route_that_takes_it(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        noted = set()
        for path, operations in DOCUMENT.items():
            for method in operations.keys() & {"get", "patch"}:
                names = {one["name"] for one in operations[method].get("parameters", ())}
                for name in names & NOTED.keys() if path != ALERTS else ():
                    query, note = NOTED[name]
                    address = target(path) + ("&" if "?" in target(path) else "?") + query
                    answer = await ask(method, address, body=b'{"labels": {"a": "b"}}' if method == "patch" else b"")
                    assert answer.status_code == 200, (address, raw(answer))
                    in_header = answer.headers.get("fleetpulse-notes")
                    notes = json.loads(raw(answer))["notes"] if in_header is None else json.loads(in_header)
                    assert [text for text in notes if text.startswith(note)] == notes[:1], (address, notes)
                    noted.add((path, name))
        assert len(noted) >= 14

    run(tmp_path, test)


def test_a_length_without_a_unit_is_refused_by_every_route_that_takes_one(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for path in GETS:
            for name in {one["name"] for one in DOCUMENT[path]["get"].get("parameters", ())} & LENGTHS:
                answer = await ask("GET", target(path) + ("&" if "?" in target(path) else "?") + f"{name}=30")
                assert answer.status_code == 422, path
                assert "30 needs a unit: 30s, 30m, 30h or 30d" in raw(answer).decode().replace("`", "")

    run(tmp_path, test)


LENGTHS = {"window", "step", "uptime_window"}


@pytest.mark.parametrize("path", TAGGED)
def test_who_has_an_answer_already_gets_304(path: str, tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask) -> None:
        first = await ask("GET", path)
        tag = first.headers["etag"]
        assert tag.startswith('W/"')
        for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            for method in ("GET", "HEAD"):
                again = await ask(method, path, if_none_match=known, accept_encoding="gzip")
                assert (again.status_code, raw(again), again.headers["etag"]) == (304, b"", tag)
                assert not {"content-type", "content-length", "content-encoding"} & set(again.headers)
                assert again.headers["cache-control"] == first.headers["cache-control"] == "private, no-cache"
                assert again.headers.get("vary") == first.headers.get("vary")
        assert service.counters.answers_not_modified == 8
        for other in ('"x"', "x", tag.strip('"')):
            assert (await ask("GET", path, if_none_match=other)).status_code == 200

    run(tmp_path, test)


def test_a_tag_changes_with_the_answer_and_probes_have_none(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask) -> None:
        before = (await ask("GET", "/api/v1/devices")).headers["etag"]
        await service.registry.register_many([Device("another")])
        assert (await ask("GET", "/api/v1/devices", if_none_match=before)).status_code == 200
        for path in ("/", "/healthz", "/readyz", "/metrics", "/api/v1/devices/press-07/ping", "/api/v1/nothing"):
            answer = await ask("GET", path, if_none_match="*")
            assert (answer.status_code == 304, "etag" in answer.headers) == (False, False), path

    run(tmp_path, test)


def test_a_problem_has_its_own_type_where_the_client_names_it_and_the_same_body(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        for method, path in (("GET", "/nothing"), ("PUT", "/"), ("GET", "/?x=1"), ("GET", "/api/v1/devices/none")):
            plain, named = await ask(method, path), await ask(method, path, accept="application/problem+json")
            assert plain.headers["content-type"] == "application/json"
            assert named.headers["content-type"] == "application/problem+json"
            assert (raw(plain), plain.status_code) == (raw(named), named.status_code)
            assert "Accept" in plain.headers["vary"]
        fine = await ask("GET", "/healthz", accept="application/problem+json")
        assert fine.headers["content-type"] == "application/json"

    run(tmp_path, test)


def test_the_detail_of_an_unknown_device_says_what_to_do_on_every_route(tmp_path: Path) -> None:
    async def test(_: Service, ask: Ask) -> None:
        routes = [(method.upper(), path) for path, operations in DOCUMENT.items() for method in operations]
        for method, path in routes:
            if "{device_id}" not in path:
                continue
            for device_id, advice in (("nobody", "fleetpulse devices add nobody"), ("a%20b", "`a b` is no device id")):
                answer = await ask(method, target(path).replace("press-07", device_id), content_type="application/json")
                if answer.status_code == 400:
                    assert method == "POST", path  # a report is decoded before its device is looked up
                    continue
                problem = answer.raw.decode()  # type: ignore[attr-defined]  # put there by `run`
                assert (answer.status_code, '"msg":"Device not found"' in problem) == (404, True), (method, path)
                assert advice in problem, (method, path)

    run(tmp_path, test)


LONG = "/api/v1/devices?limit=1000"
"""Its answer is long: it is made in a thread, and does not pass through the framework."""


def test_a_long_answer_has_the_manners_of_a_short_one(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask) -> None:
        plain = await ask("GET", LONG)
        assert plain.status_code == 200
        assert len(raw(plain)) == int(plain.headers["content-length"]) > 100_000
        assert len(json.loads(raw(plain))["devices"]) == 1_000
        head = await ask("HEAD", LONG)
        assert (raw(head), head.headers) == (b"", plain.headers)
        packed = await ask("GET", LONG, accept_encoding="gzip")
        assert len(raw(packed)) == int(packed.headers["content-length"]) < len(raw(plain)) / 4
        assert packed.headers["etag"] == plain.headers["etag"]
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(raw(packed)) == raw(plain)
        known = await ask("GET", LONG, if_none_match=plain.headers["etag"])
        assert (known.status_code, raw(known), known.headers["etag"]) == (304, b"", plain.headers["etag"])
        assert service.counters.answer_bytes_held == 0

    run(tmp_path, test)


def test_a_long_answer_for_which_there_is_no_room_is_refused_before_its_status_is_sent(tmp_path: Path) -> None:
    async def test(service: Service, ask: Ask) -> None:
        service.counters.answer_bytes_held = 1  # of somebody else
        refusal = await ask("GET", LONG)
        assert refusal.status_code == 503
        assert json.loads(raw(refusal))["type"] == "urn:fleetpulse:problem:answer_bytes"
        assert refusal.headers["retry-after"] == "5"
        assert (await ask("HEAD", LONG)).status_code == 503
        assert service.counters.answer_bytes_held == 1

    run(tmp_path, test, answer_bytes_held_max=1)


def test_a_client_that_reads_a_long_answer_too_slowly_is_cut(tmp_path: Path) -> None:
    async def test(service: Service, _: Ask) -> None:
        now_s = 0.0
        parts = build_parts(Settings(), service)
        api = build_api(parts, monotonic_s=lambda: now_s)
        sent: list[dict[str, Any]] = []
        is_cut: list[bool] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal now_s
            now_s += PATIENCE_S * 0.6
            sent.append(message)

        path, _, query = LONG.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
        scope |= {"query_string": query.encode(), "root_path": "", "http_version": "1.1", "scheme": "http"}
        scope |= {"server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "asgi": {"version": "3.0"}}
        await api({**scope, "extensions": {CUT: lambda: is_cut.append(True)}}, receive, send)
        assert (is_cut, sent[-1]["more_body"]) == ([True], True)
        assert service.counters.requests_refused == {"slow_reader": 1}
        assert service.counters.answer_bytes_held == 0

    run(tmp_path, test)
