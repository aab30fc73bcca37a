"""Every kind of block, damaged in every way, and every question: no answer fails, and none is wrong in silence.

A service in memory holds each kind of block. A damaged one may make an answer lack something, which then is named; it
may not change a figure of an answer that names nothing, and whoever reads it first sets it aside.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.blocks.memory_cache import MemoryCache
from fleetpulse.model.manifest import TIERS, BlockFile, Manifest
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import DAY, SECOND, World

MINUTE = 60 * SECOND
KINDS = {
    "presence": "presence-",
    "open day": "open-",
    "late presence by day": "late-days-",
    "late presence by device": "late-devices-",
    "reception gaps": "silences-",
    "gaps between beats": "gaps-",
    "late beats in gaps": "backfill-",
    "fresh samples": "samples-float-",
    "fresh upload times": "samples-integer-",
    "samples of a day": "raw",
    "hours": "hour",
    "days": "day",
    "snapshot": "snapshot-",
    "devices": "devices-",
    "metrics": "metrics-",
}
"""Kinds of blocks, and how the names of their files begin."""
DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": lambda body: body[: len(body) // 3] + bytes([body[len(body) // 3] ^ 1]) + body[len(body) // 3 + 1 :],
    "flipped in the footer": lambda body: body[:-40] + bytes([body[-40] ^ 4]) + body[-39:],
    "cut": lambda body: body[: len(body) // 2],
    "empty": lambda _: b"",
    "missing": lambda _: None,
}


async def report(client: httpx.AsyncClient, world: World, *events: tuple[str, float, dict[str, Any]]) -> None:
    """Send events: the device, how many minutes ago, and what beside the heartbeat."""
    lines = [
        json.dumps({"device_id": device, "sent_at": format_rfc3339(world.clock.ns - int(ago * MINUTE)), **more})
        for device, ago, more in events
    ]
    headers = {"content-type": "application/x-ndjson"}
    answer = await client.post("/api/v1/events", content="\n".join(lines), headers=headers)
    assert answer.json()["accepted"] == len(lines), answer.text


def of_days(*days: int, device: str = "d0", minute: int = 0) -> list[tuple[str, float, dict[str, Any]]]:
    """Some heartbeats and samples on each of the days, counted back from today."""
    return [
        (device, day * 1440 - minute - part, more)
        for day in days
        for part, more in enumerate(
            ({}, {"upload_time": 5 + day}, {"metrics": {"cpu": 7.5 + day}}, {"metrics": {"temperature": 20.25 + day}})
        )
    ]


@asynccontextmanager
async def service_of(folder: Path) -> AsyncIterator[tuple[World, Service, httpx.AsyncClient]]:
    """A service that holds every kind of block but `counted`, and late data in memory."""
    world = World(folder)
    service = await world.started("d0", "d1", "d2", earliest="2000-01-01T00:00:00Z", block_grace_h=1000.0)
    transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for name, raw_days in (("cpu", 30), ("temperature", 1)):
            body = {"name": name, "raw_days": raw_days}
            assert (await client.post("/api/v1/metrics/definitions", json=body)).status_code == 201
        await report(client, world, *of_days(9, 5, 1), *of_days(9, 1, device="d1"), *of_days(0, minute=-20))
        assert await service.housekeeping.checkpoint()
        world.clock.ns += 60 * MINUTE  # what comes next ends reception gaps
        await report(client, world, *of_days(0, minute=-10), *of_days(0, device="d1", minute=-10))
        assert await service.housekeeping.checkpoint()
        while await service.housekeeping.compact(is_forced=True):
            pass
        await report(client, world, *of_days(9, 8, 5, 1, minute=30), *of_days(0, minute=-5))
        assert await service.housekeeping.checkpoint()
        # And in memory: presence and samples of closed days, some of which repeat those of blocks.
        await report(client, world, *of_days(9, 5, minute=40), ("d0", 9 * 1440 - 60 - 1, {"upload_time": 14}))
        yield world, service, client
        await service.node.stop()


def files_of(manifest: Manifest, begin: str) -> list[BlockFile]:
    """The files of a kind."""
    if begin in TIERS:
        return [block.files[begin] for block in manifest.samples if block.day is not None and begin in block.files]
    tiers = {file.name for block in manifest.samples if block.day is not None for file in block.files.values()}
    return [file for file in manifest.files() if file.name.startswith(begin) and file.name not in tiers]


def questions(world: World) -> list[str]:
    """All that can be asked of history, each in the ways that read it differently."""
    # It begins in the midst of the first day, so that hours are read, too.
    start, end = format_rfc3339(world.clock.ns - 9 * DAY - 180 * MINUTE), format_rfc3339(world.clock.ns)
    span = f"from={start}&to={end}"
    types = "types=cpu,temperature,upload_time"
    of_device = [
        *("", "stats", "audit", f"transitions?{span}", f"uptime?{span}", f"uptime?{span}&step=1d&explain=true"),
        *(f"metrics?{types}&{span}{more}" for more in ("", "&aggregation=p50", "&aggregation=max&step=6h")),
    ]
    return [
        *(f"/api/v1/devices/{device}/{rest}".rstrip("/") for device in ("d0", "d2") for rest in of_device),
        *(f"/api/v1/fleet/uptime?{span}{more}" for more in ("", "&step=1d", "&group_by=site")),
        f"/api/v1/fleet/stats?{span}",
        *(f"/api/v1/fleet/metrics?{types}&{span}{more}" for more in ("", "&aggregation=p50", "&step=1d")),
        "/api/v1/devices",
        "/api/v1/devices?sort=uptime&uptime_window=12d",
        "/api/v1/devices?uptime_below=100&uptime_window=12d",
        "/api/v1/devices.csv",
        "/api/v1/devices.csv?uptime_below=100&uptime_window=12d",
        f"/api/v1/export?what=samples&{span}&format=csv&types=cpu,upload_time",
        f"/api/v1/export?what=presence&{span}&format=csv",
        f"/api/v1/export?what=reception_gaps&{span}&format=parquet",
        *("/", "/metrics", "/readyz", "/healthz", "/api/v1/blocks", "/api/v1/files", "/api/v1/clock"),
        *("/api/v1/maintenance", "/api/v1/metrics/definitions", "/api/v1/metrics/definitions/cpu"),
    ]


async def answers(client: httpx.AsyncClient, world: World) -> dict[str, tuple[int, Any]]:
    """Status and body of the answer to each question; 0 where it was cut."""
    found: dict[str, tuple[int, Any]] = {}
    for path in questions(world):
        try:
            answer = await client.get(path)
        except AssertionError:  # of the transport: the answer was cut
            found[path] = (0, "cut")
            continue
        is_json = answer.headers["content-type"].startswith("application/json")
        found[path] = answer.status_code, answer.json() if is_json else answer.content
    return found


FEW_ROUNDS = 10
"""With more of --fault-rounds, as `make test-faults` has it, everything is tried."""
CHANGING = ("/metrics", "/readyz", "/healthz", "/api/v1/blocks")
"""What tells of the service itself, and so of damage."""
WHOLE = ("/api/v1/export", "/api/v1/devices.csv")
"""What would be wrong if a part were left out: it is refused, or its file is cut."""
UNREAD = ("open day", "snapshot", "devices", "metrics")
"""Kinds that no question reads: memory holds the same while the service runs."""


def judge(path: str, sound: tuple[int, Any], found: tuple[int, Any]) -> str:
    """What is wrong with an answer after damage; empty where nothing is."""
    status, answer = found
    if path.startswith(CHANGING):
        return "" if status == 200 else f"{path}: {status}"
    if found == sound:
        return ""
    if path.startswith(WHOLE):
        is_named = status == 0 or (status == 503 and "block " in answer["msg"])
        return "" if is_named else f"{path}: {status} {answer}"
    if status != 200:
        return f"{path}: {status} {answer}"
    return "" if answer.get("missing") else f"{path}: {answer} instead of {sound[1]}"


class Blocks:
    """The files of one kind, which are damaged and mended."""

    def __init__(self, world: World, service: Service, begin: str) -> None:
        self._world, self._history = world, service.history
        self.bodies: dict[str, bytes] = {}
        for file in files_of(service.history.manifest, begin):
            with world.store.open(file.name) as reader:
                self.bodies[file.name] = reader.read()

    def damage(self, damage: Callable[[bytes], bytes | None]) -> None:
        """Change them; None: they are gone."""
        for name, body in self.bodies.items():
            self._put(name, damage(body))

    def mend(self) -> None:
        """Put back what was written."""
        for name, body in self.bodies.items():
            self._put(name, body)

    def _put(self, name: str, body: bytes | None) -> None:
        self._world.store.remove(name)
        if body is not None:
            self._world.store.put(name, lambda out: out.write(body) and None)

    def forget(self) -> None:
        """The service has read nothing yet."""
        self._history._checked.clear()
        self._history.memory_cache = MemoryCache(0)


def test_no_damaged_block_makes_an_answer_fail_or_be_wrong_in_silence(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    async def life() -> None:
        async with service_of(tmp_path) as (world, service, client):
            sound = await answers(client, world)
            assert {path: status for path, (status, _) in sound.items() if status != 200} == {}
            lacking = [
                path for path, (_, answer) in sound.items() if isinstance(answer, dict) and answer.get("missing")
            ]
            assert lacking == []
            for kind, way, is_new in rounds(is_whole=pytestconfig.getoption("--fault-rounds") > FEW_ROUNDS):
                blocks = Blocks(world, service, KINDS[kind])
                assert blocks.bodies, f"there is no block of the kind {kind}"
                if is_new:
                    blocks.forget()
                blocks.damage(DAMAGE[way])
                found = await answers(client, world)
                wrong = [text for path in found if (text := judge(path, sound[path], found[path]))]
                assert wrong == [], (kind, way, is_new)
                set_aside = {block["name"] for block in found["/api/v1/blocks"][1]["set_aside"]}
                assert set_aside <= blocks.bodies.keys()
                assert set_aside or not is_new, (kind, way)
                blocks.mend()
                await service.housekeeping.check_set_aside()
                assert not list(service.history.set_aside)

    asyncio.run(life())


def rounds(*, is_whole: bool) -> list[tuple[str, str, bool]]:
    """Kinds, how they are damaged, and whether that is before the service has read any; all, or one of each kind."""
    read = [kind for kind in KINDS if kind not in UNREAD]
    if is_whole:
        return [(kind, way, is_new) for kind in read for way in DAMAGE for is_new in (True, False)]
    ways = list(DAMAGE)
    return [(kind, ways[place % len(ways)], place % 2 == 0) for place, kind in enumerate(read)]


@pytest.mark.parametrize("begin", ["snapshot-", "open-", "counted-"])
@pytest.mark.parametrize("way", ["flipped", "missing"])
def test_a_start_whose_blocks_are_damaged_takes_events_until_they_are_back(
    tmp_path: Path, begin: str, way: str
) -> None:
    async def life() -> None:
        async with service_of(tmp_path) as (world, service, client):
            while begin == "counted-" and service.history.manifest.counted is None:
                assert await service.housekeeping.compact(is_forced=True)
            sound = (await client.get("/api/v1/devices/d0/stats")).json()
            service.housekeeping.leave()  # as after a crash: no last checkpoint
        blocks = Blocks(world, service, begin)
        assert blocks.bodies
        blocks.damage(DAMAGE[way])
        service = world.service(earliest="2000-01-01T00:00:00Z", block_grace_h=1000.0)
        await service.node.start()
        if begin != "counted-":
            (trouble,) = service.readiness.degraded.values()
            assert all(name in trouble for name in blocks.bodies)
            assert "put back" in trouble
            assert service.readiness.refusal is None
            assert not service.readiness.answers
            assert {block.file.name for block in service.history.set_aside} == blocks.bodies.keys()
            blocks.mend()
            await service.node.store_return.try_again()
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/api/v1/devices/d0/stats")).json() == sound
        assert service.readiness.degraded == {}
        await service.node.stop()

    asyncio.run(life())


@pytest.mark.parametrize("way", DAMAGE)
def test_damaged_names_are_noticed_and_written_anew(tmp_path: Path, way: str) -> None:
    async def life() -> None:
        async with service_of(tmp_path) as (world, service, _):
            for begin in ("devices-", "metrics-"):
                blocks = Blocks(world, service, begin)
                blocks.damage(DAMAGE[way])
                assert await service.housekeeping.checkpoint()
                assert files_of(service.history.manifest, begin)[0].name not in blocks.bodies
                assert service.readiness.troubles == []

    asyncio.run(life())
