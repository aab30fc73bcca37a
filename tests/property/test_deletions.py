"""Deleting devices, whatever happens in between, leaves a fleet that answers as if it had never known them."""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import DAY, NOON, SECOND, World

API = "/api/v1"
DEVICES = 4
DAYS = 3
"""Reports are of the two days before the start and of it; time goes on by whole hours."""
Step = str | tuple[str, int, int]
"""What happens to the service, or what is sent of a device, and for a report how many minutes before NOON it is of."""

NUMBERS = st.integers(0, DEVICES - 1)
STEPS = st.lists(
    st.tuples(st.sampled_from(["heartbeat", "stats"]), NUMBERS, st.integers(0, (DAYS - 1) * 1440))
    | st.tuples(st.sampled_from(["delete", "declare", "pause"]), NUMBERS, st.just(0))
    | st.sampled_from(["checkpoint", "compact", "crash", "stop", "hour"]),
    max_size=20,
)
LABELS = ["north", "south"]


def time_text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // SECOND, UTC).isoformat()


class Life:
    """A service in memory, asked over its HTTP routes; it is started anew after each end."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.service: Service
        self.client: httpx.AsyncClient

    async def start(self) -> None:
        self.service = await self.world.started()
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), self.service)))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def end(self, *, is_crash: bool) -> None:
        await self.client.aclose()
        if not is_crash:
            await self.service.node.stop()
            return
        # What a crash leaves: threads end, nothing is written.
        assert self.service.node._ticker is not None
        self.service.node._ticker.cancel()
        self.service.writer._jobs.put(None)
        self.service.writer._thread.join()
        self.service.node._close()

    async def take(self, step: Step) -> None:
        """Do what a step says; what it sends must be accepted."""
        match step:
            case ("heartbeat" | "stats") as kind, int(number), int(minutes):
                body: dict[str, Any] = {"sent_at": time_text(NOON - minutes * 60 * SECOND)}
                body |= {"upload_time": minutes} if kind == "stats" else {}
                await self.ask("POST", f"/devices/d{number}/{kind}", body, status=204)
            case "declare", int(number), _:
                await self.ask(
                    "POST", "/devices", {"id": f"d{number}", "labels": {"site": LABELS[number % 2]}}, status=201
                )
            case "delete", int(number), _:
                await self.ask("DELETE", f"/devices/d{number}")
            case "pause", int(number), _:
                await self.ask("POST", f"/devices/d{number}/pause", {})
            case "checkpoint":
                assert await self.service.housekeeping.checkpoint()
            case "compact":
                while await self.service.housekeeping.compact(is_forced=True):
                    pass
            case "crash" | "stop":
                await self.end(is_crash=step == "crash")
                await self.start()
            case "hour":
                self.world.clock.ns += 3600 * SECOND
                # That the service was there for this hour is in the journal, whoever was heard, and whenever it ticks.
                self.service.watch.turn()
                await self.service.writer.drain()
                self.service.fleet.advance(self.world.clock.ns)

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        answer = await self.client.request(method, API + path, json=body)
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json() if answer.content else None

    async def history(self, number: int) -> tuple[int, Any]:
        """What stays of a deleted device: how many of its events were accepted, and its lifetime figures."""
        end = "?include_deleted=true"
        stats = await self.ask("GET", f"/devices/d{number}/stats{end}")
        return (await self.ask("GET", f"/devices/d{number}/audit{end}"))["accepted"], stats

    async def answers(self, devices: Sequence[int]) -> dict[str, Any]:
        """What the fleet and some of its devices are answered."""
        window = f"from={quoted(NOON - (DAYS - 1) * DAY)}&to={quoted(NOON)}"
        paths = ["/devices?limit=100", "/devices?sort=-uptime&label=site:north", f"/fleet/stats?{window}"]
        paths += [f"/fleet/uptime?{window}&group_by=site&step=1d", f"/fleet/uptime?{window}"]
        paths += [f"/fleet/metrics?types=upload_time&aggregation={name}&{window}" for name in ("sum", "p95", "count")]
        for number in devices:
            paths += [f"/devices/d{number}{end}" for end in ("", "/stats", "/account")]
            paths += [f"/devices/d{number}/{end}{window}" for end in ("uptime?explain=true&", "transitions?")]
            paths += [f"/devices/d{number}/metrics?types=upload_time&aggregation=avg&{window}"]
        return {path: plain(await self.ask("GET", path)) for path in paths}


def quoted(at_ns: int) -> str:
    return time_text(at_ns).replace("+", "%2B")


def plain(answer: Any) -> Any:
    """An answer without how often declarations changed, and from which files it was read."""
    if isinstance(answer, dict):
        return {name: plain(value) for name, value in answer.items() if name not in ("declarations", "tiers")}
    return [plain(value) for value in answer] if isinstance(answer, list) else answer


def possible(steps: Sequence[Step]) -> tuple[list[Step], set[int]]:
    """The steps that can be done: a device that is not known is only declared. And who is known in the end."""
    known: set[int] = set()
    done: list[Step] = []
    for step in [*(("declare", number, 0) for number in range(DEVICES)), *steps]:
        if isinstance(step, tuple):
            if (step[0] == "declare") == (step[1] in known):
                continue
            known ^= {step[1]} if step[0] in ("declare", "delete") else set()
        done.append(step)
    return done, known


async def live(folder: Path, steps: Sequence[Step], devices: Sequence[int]) -> dict[str, Any]:
    """The answers after the steps."""
    folder.mkdir()
    life = Life(folder)
    await life.start()
    histories: dict[int, Any] = {}
    for step in steps:
        await life.take(step)
        if isinstance(step, tuple) and step[0] == "delete":
            histories[step[1]] = await life.history(step[1])
        elif isinstance(step, tuple) and step[0] == "declare":
            histories.pop(step[1], None)
    for number, history in histories.items():
        assert await life.history(number) == history
        await life.ask("GET", f"/devices/d{number}", status=404)
    answers = await life.answers(devices)
    await life.end(is_crash=False)
    return answers


def compare(steps: Sequence[Step], never_known: set[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answers of a life, and of one in which some devices were never known."""
    done, known = possible(steps)
    others = [step for step in done if not (isinstance(step, tuple) and step[1] in never_known)]
    devices = sorted(known - never_known)
    with tempfile.TemporaryDirectory() as name:
        return (
            asyncio.run(live(Path(name) / "all", done, devices)),
            asyncio.run(live(Path(name) / "others", others, devices)),
        )


@settings(max_examples=examples(24), deadline=None)
@given(STEPS, st.sets(NUMBERS, min_size=1, max_size=DEVICES - 1))
def test_a_fleet_answers_as_if_it_had_never_known_the_devices_that_are_deleted(
    steps: list[Step], deleted: set[int]
) -> None:
    known = possible(steps)[1]
    steps = [*steps, *(("delete", number, 0) for number in sorted(deleted & known))]
    is_all, is_others = compare(steps, set(range(DEVICES)) - possible(steps)[1])
    assert is_all == is_others


@pytest.mark.parametrize("step", ["hour", "checkpoint", "crash"])
def test_control_a_device_that_is_not_deleted_is_told_from_one_that_was_never_known(step: str) -> None:
    steps: list[Step] = [("stats", 0, 5), ("heartbeat", 0, 60), ("heartbeat", 1, 60), step]
    is_all, is_others = compare(steps, {0})
    different = {path for path in is_all if is_all[path] != is_others[path]}
    assert any(path.startswith("/fleet/uptime") for path in different)
    assert any(path.startswith("/fleet/metrics") for path in different)
