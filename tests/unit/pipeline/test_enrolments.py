"""Enrolment over a service in memory: who gets a key, once, and who is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.model.audit import AuditFilter
from fleetpulse.model.enrolment import EnrolmentTerms, check_secret
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import SECOND, World

BITS = "b5d1c7f6a2e84d039f1c6a7e5b3d2f10"
OTHER = BITS[::-1]
MINUTE = 60 * SECOND


class Node:
    """A service that needs keys, and who asks it: an admin, and devices with the enrolment key."""

    def __init__(self, world: World, service: Service, client: httpx.AsyncClient) -> None:
        self.world, self.service, self.client = world, service, client
        self.enrolment_key = ""

    async def ask(self, key: str, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.client.request(
            method, f"/api/v1{path}", json=body or None, headers={"authorization": f"Bearer {key}"}
        )

    async def admin(self, method: str, path: str, **body: Any) -> Any:
        key = (self.world.folder / "admin.key").read_text().strip()
        answer = await self.ask(key, method, path, **body)
        assert answer.is_success, answer.text
        return answer.json()

    async def make_key(self, **terms: Any) -> str:
        self.enrolment_key = (await self.admin("POST", "/enrolment-keys", **{"uses": 1, **terms}))["key"]
        return self.enrolment_key

    async def enrol(self, device_id: str, secret: str = BITS, **more: Any) -> httpx.Response:
        return await self.ask(self.enrolment_key, "POST", "/enroll", device_id=device_id, enroll_secret=secret, **more)

    async def beat(self, device_id: str, key: str) -> int:
        return (
            await self.ask(key, "POST", f"/devices/{device_id}/heartbeat", sent_at="2024-10-04T12:00:00Z")
        ).status_code

    async def restart(self) -> None:
        await self.service.node.stop()
        self.service = await self.world.started(auth="required")
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), self.service)))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def refusals(self) -> list[tuple[str, str]]:
        entries = self.service.catalog.audit.page(AuditFilter(kind="refusal"), before=None, limit=100)
        return [(entry.facts.action, entry.facts.subject) for entry in entries]


def run(folder: Path, test: Callable[[Node], Awaitable[None]], *device_ids: str, **settings: Any) -> None:
    """Call `test` with a node on which only an admin has a key."""

    async def life() -> None:
        world = World(folder)
        service = await world.started(*device_ids, auth="required", **settings)
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)), client=("192.0.2.7", 5))
        node = Node(world, service, httpx.AsyncClient(transport=transport, base_url="http://localhost"))
        await test(node)
        await node.client.aclose()
        await node.service.node.stop()

    asyncio.run(life())


def test_a_new_device_gets_its_key_and_the_labels_that_the_enrolment_key_names(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key(id_pattern="pump-*", labels={"site": "paris"}, takes=["firmware"])
        own = {"site": "rome", "firmware": "1.2", "owner": "me"}
        answer = await node.enrol("pump-7", labels=own)
        assert answer.status_code == 201, answer.text
        enrolled = answer.json()
        assert enrolled["labels"] == {"site": "paris", "firmware": "1.2"}
        assert await node.beat("pump-7", enrolled["key"]) == 204
        assert await node.beat("pump-7", node.enrolment_key) == 403
        assert (await node.admin("GET", "/devices/pump-7"))["labels"] == enrolled["labels"]
        (key,) = (await node.admin("GET", "/enrolment-keys"))["keys"]
        assert (key["uses"], key["uses_max"]) == (1, 1)
        (entry,) = (await node.admin("GET", "/audit?action=enrol"))["entries"]
        assert (entry["subject"], entry["who"]) == ("device pump-7", "key 2")
        assert BITS not in str(entry)

    run(tmp_path, test)


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("another id", {"device_id": "fan-1"}, 403, "enrolment_pattern"),
    ("a device that is declared", {"device_id": "pump-old"}, 409, "device_exists"),
    ("a short secret", {"enroll_secret": "0123456789abcdef"}, 422, "enroll_secret"),
    ("a secret without chance", {"enroll_secret": "ab" * 16}, 422, "enroll_secret"),
    ("no secret", {"enroll_secret": None}, 400, "malformed"),
    ("an id that is none", {"device_id": "pump-/x"}, 422, "device_id"),
    ("a label that is none", {"labels": {"firmware": ""}}, 422, "label"),
]


@pytest.mark.parametrize(("body", "status"), [case[1:3] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_may_not_enrol_is_refused_and_uses_nothing(body: dict[str, Any], status: int, tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key(id_pattern="pump-*", takes=["firmware"])
        wrong = {"device_id": "pump-1", "enroll_secret": BITS, **body}
        answer = await node.ask(node.enrolment_key, "POST", "/enroll", **wrong)
        assert (answer.status_code, "key" in answer.json()) == (status, False), answer.text
        assert (await node.enrol("pump-1")).status_code == 201

    run(tmp_path, test, "pump-old")


def test_other_keys_enrol_nobody_and_an_enrolment_key_does_nothing_else(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        key = await node.make_key()
        admin = (node.world.folder / "admin.key").read_text().strip()
        assert (await node.ask(admin, "POST", "/enroll", device_id="a", enroll_secret=BITS)).status_code == 403
        assert (await node.ask(key, "GET", "/devices")).status_code == 403
        assert (await node.ask(key, "POST", "/enrolment-keys")).status_code == 403
        await node.admin("DELETE", "/keys/2")
        assert (await node.enrol("a")).status_code == 401
        assert (await node.admin("GET", "/enrolment-keys"))["keys"] == []

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("after_s", "secret", "is_used", "status"),
    [
        (0, BITS, False, 201),
        (599, BITS, False, 201),
        (600, BITS, False, 409),
        (1, OTHER, False, 409),
        (1, BITS, True, 409),
    ],
)
def test_only_a_lost_answer_may_be_repeated_soon_and_before_the_key_was_used(
    after_s: int, secret: str, is_used: bool, status: int, tmp_path: Path
) -> None:
    async def test(node: Node) -> None:
        await node.make_key()
        first = (await node.enrol("a")).json()
        if is_used:
            node.service.gate.set_time(node.world.clock.ns / SECOND)
            assert await node.beat("a", first["key"]) == 204
        node.world.clock.ns += after_s * SECOND
        again = await node.enrol("a", secret)
        assert again.status_code == status, again.text
        if status == 201:
            assert again.json()["is_repeated"]
            assert [await node.beat("a", one["key"]) for one in (first, again.json())] == [401, 204]
        else:
            node.service.audit_log.tick(may_expire=False)
            await node.service.audit_log.end()
            assert node.refusals() == [("enrolled", "enrol, key 2, which was shown")]

    run(tmp_path, test)


def test_a_repeat_does_not_lengthen_the_time_to_repeat(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key()
        statuses = []
        for _ in range(4):
            statuses.append((await node.enrol("a")).status_code)
            node.world.clock.ns += 4 * MINUTE
        assert statuses == [201, 201, 201, 409]

    run(tmp_path, test)


def test_a_hundred_at_once_get_as_many_keys_as_there_may_be(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key(uses=7)
        answers = await asyncio.gather(*(node.enrol(f"d{number}", f"{number:03}{BITS}") for number in range(100)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(201), statuses.count(403)) == (7, 93)
        assert len((await node.admin("GET", "/devices"))["devices"]) == 7

    run(tmp_path, test, rates="")


def test_after_a_crash_the_lost_answer_can_be_repeated(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        key = await node.make_key()
        lost = (await node.enrol("a")).json()["key"]
        await node.restart()
        node.enrolment_key = key
        again = await node.enrol("a")
        assert (again.status_code, again.json()["is_repeated"]) == (201, True)
        assert [await node.beat("a", one) for one in (lost, again.json()["key"])] == [401, 204]
        await node.restart()
        assert [await node.beat("a", one) for one in (lost, again.json()["key"])] == [401, 204]

    run(tmp_path, test)


def test_a_reset_device_enrols_again_only_once_somebody_let_it(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key(uses=5, labels={"site": "paris"})
        first = (await node.enrol("a")).json()["key"]
        node.world.clock.ns += 60 * MINUTE
        assert (await node.enrol("a", OTHER)).status_code == 409
        assert "1 key revoked" in (await node.admin("POST", "/devices/a/allow-enrolment"))["msg"]
        assert await node.beat("a", first) == 401
        second = await node.enrol("a", OTHER)
        assert second.status_code == 201
        assert (await node.enrol("a", BITS)).status_code == 409
        await node.admin("DELETE", "/devices/a")
        assert (await node.enrol("a", OTHER)).status_code == 409
        assert await node.beat("a", second.json()["key"]) in (401, 404)

    run(tmp_path, test)


def test_enrolments_a_day_are_limited(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        await node.make_key(uses=5)
        answers = [await node.enrol(device_id) for device_id in ("a", "a", "b", "c")]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        node.world.clock.ns += 24 * 60 * MINUTE
        assert (await node.enrol("c")).status_code == 201

    run(tmp_path, test, enrolments_per_day=2)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["a", "pump-7"], []),
        ("pump-*", ["pump-7", "pump-"], ["xpump-7", "pump"]),
        ("a.b", ["a.b"], ["axb"]),
        ("*-eu-*", ["p-eu-1"], ["p-us-1", "eu"]),
    ],
)
def test_a_star_in_a_pattern_stands_for_any_characters_and_nothing_else_does(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    terms = EnrolmentTerms(1, 1, 0, pattern, (), ())
    assert [device_id for device_id in matching + others if terms.matches(device_id)] == matching


@pytest.mark.parametrize("secret", [BITS, "kP3v9Qx0T7mZ2sLw8YbN1c", "8f14e45f-ceea-467f-9a2f-4f1b8e6d0c37"])
def test_secrets_of_usual_makers_are_taken(secret: str) -> None:
    check_secret(secret)
