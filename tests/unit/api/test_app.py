"""What every request passes before its handler, over a service in memory."""

import asyncio
import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fleetpulse.api.app import ROUTES, Parts, build_api, describe_api
from fleetpulse.api.bind import bind
from fleetpulse.api.parameters import QueryNames
from fleetpulse.app import build_parts
from fleetpulse.settings import Settings
from memory_service import World

EXAMPLES_NS = int(datetime(2026, 11, 24, 8, 31, tzinfo=UTC).timestamp()) * 1_000_000_000
"""A minute after the time that examples give."""
NO_PARTS = dict.fromkeys([*(field.name for field in fields(Parts)), "openapi"])


def statuses(folder: Path, *requests: tuple[str, str, dict[str, str], bytes], auth: str = "auto") -> list[int]:
    """The statuses of the answers to (method, path, headers, body), of a service that knows `a` and `press-07`."""

    async def ask() -> list[int]:
        world = World(folder)
        world.clock.ns = EXAMPLES_NS
        service = await world.started("a", "press-07", auth=auth)
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [
                await client.request(method, path, headers=headers, content=body)
                for method, path, headers, body in requests
            ]
        await service.node.stop()
        return [answer.status_code for answer in answers]

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/devices", "/api/v1/devices/a?x=1", "/api/v1/events"])
def test_options_of_every_route_are_told(path: str, tmp_path: Path) -> None:
    assert statuses(tmp_path, ("OPTIONS", path, {}, b"")) == [204]


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/api/v1/devices/none/metrics", {}, b""),
        ("GET", "/api/v1/devices/none/uptime?window=x", {}, b""),
        ("GET", "/api/v1/devices/none/transitions?x=1", {}, b""),
        ("PATCH", "/api/v1/devices/none", {}, b"no json"),
        ("PATCH", "/api/v1/devices/none", FORM, b"{}"),
        ("POST", "/api/v1/devices/none/pause", {}, b"no json"),
        ("PATCH", "/api/v1/metrics/definitions/none", {}, b"no json"),
        ("PATCH", "/api/v1/metrics/definitions/none?x=1", FORM, b"{}"),
    ],
)
def test_that_there_is_no_such_thing_is_said_before_what_else_is_wrong(
    method: str, path: str, headers: dict[str, str], body: bytes, tmp_path: Path
) -> None:
    known = path.replace("/definitions/none", "/definitions/upload_time").replace("/none", "/a")
    first, second = statuses(tmp_path, (method, path, headers, body), (method, known, headers, body))
    assert (first, second in (400, 415)) == (404, True)


def test_where_there_is_no_body_nobody_looks_at_its_type(tmp_path: Path) -> None:
    pause = "/api/v1/devices/a/pause"
    requests = [("POST", pause, FORM, body) for body in (b"", b"  ", b"until=1")]
    zipped = ("POST", pause, {"content-encoding": "gzip"}, b"")
    assert statuses(tmp_path, *requests, zipped) == [200, 415, 415, 200]


def test_a_window_for_uptime_that_is_empty_is_refused(tmp_path: Path) -> None:
    paths = ["/api/v1/devices?uptime_window=", "/api/v1/devices.csv?uptime_window=", "/api/v1/devices?uptime_window=1h"]
    assert statuses(tmp_path, *(("GET", path, {}, b"") for path in paths)) == [400, 400, 200]


def test_the_service_takes_every_example_of_a_body(tmp_path: Path) -> None:
    names = {"key_number": "1", "device_id": "press-07", "name": "cpu", "person": "alice", "rule": "cpu-high"}
    names |= {"alert": "17", "silence": "3", "incident": "2"}
    names |= {"receiver": "hook", "route": "all"}
    # No example of a token is one that was given out, and on an open node nobody has a password.
    for_people = {"/sign-in": 303, "/api/v1/refresh": 401, "/api/v1/logout": 401, "/api/v1/password": 422}
    for_people["/api/v1/enroll"] = 403  # only with an enrolment key
    for_people |= {"/alerts/acknowledge": 403, "/api/v1/alerts/outbox/retry": 404}  # there is no such message
    for_people |= {f"/api/v1/alerts/17/{act}": 404 for act in ("acknowledge", "assign", "snooze", "comment")}
    bodies = [
        (method.upper(), path.format(**names), {"content-type": media_type}, content["example"])
        for path, operations in describe_api().document["paths"].items()
        for method, operation in operations.items()
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    bodies.sort(key=lambda body: not body[1].endswith("/definitions"))  # a report names metrics that must be defined
    requests = [
        (method, path + "?all=true" * (path == "/api/v1/devices" and method == "PATCH"), headers, encoded(example))
        for method, path, headers, example in bodies
    ]
    memory = ("POST", "/api/v1/metrics/definitions", {}, b'{"name": "memory"}')
    found = statuses(tmp_path, memory, *requests, auth="off")[1:]  # so that a first key protects nothing
    assert [
        (status, method, path)
        for status, (method, path, _, _) in zip(found, requests, strict=True)
        if status not in (200, 201, 204) and status != for_people.get(path)
    ] == []


def encoded(example: object) -> bytes:
    return example.encode() if isinstance(example, str) else json.dumps(example).encode()


def test_the_names_that_a_query_may_have_are_those_of_the_document() -> None:
    operations = [one for methods in describe_api().document["paths"].values() for one in methods.values()]
    functions = {route.operation: bind(route.function, parts=NO_PARTS, readers=route.readers) for route in ROUTES}
    for operation in operations:
        query = {one["name"]: one["schema"]["type"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        names = QueryNames.of(functions[operation["operationId"]])
        assert {*names.single, *names.repeated} == set(query)
        assert set(names.repeated) == {name for name, kind in query.items() if kind == "array"}


def test_questions_and_changes_that_are_refused_are_counted_by_reason(tmp_path: Path) -> None:
    async def ask() -> None:
        service = await World(tmp_path).started("a")
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in ("/devices/none/stats", "/devices?limit=x", "/fleet/uptime?window=30d&step=1m", "/devices/a"):
                await client.get(f"/api/v1{path}")
            await client.head("/api/v1/devices/none")
            await client.patch("/api/v1/devices/none", json={})
            await client.post("/api/v1/devices/none/heartbeat", json={"sent_at": "2024-10-04T11:00:00Z"})
            await client.get("/api/v1/none")
        assert service.counters.questions_refused == {"unknown_device": 2, "limit": 1, "cells": 1}
        assert service.counters.changes_refused == {"unknown_device": 1}
        assert b'fleetpulse_questions_refused_total{reason="cells"} 1' in service.self_metrics.page()
        await service.node.stop()

    asyncio.run(ask())


def test_without_keys_only_people_at_the_machine_are_let_in(tmp_path: Path) -> None:
    proxied = {"x-forwarded-for": "10.1.2.3"}
    assert statuses(
        tmp_path,
        ("GET", "/api/v1/devices", {}, b""),
        ("GET", "/api/v1/devices", proxied, b""),
        ("GET", "/api/v1/devices", {"host": "evil.example"}, b""),
        ("POST", "/api/v1/devices/a/heartbeat", {"forwarded": "for=10.1.2.3"}, b"{}"),
        ("GET", "/healthz", proxied, b""),
        ("GET", "/api/v1/devices?key=fp_read_1_x", {}, b""),
    ) == [200, 403, 403, 403, 200, 401]
