"""The routes about keys, over a service in memory."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetpulse.api.app import build_api
from fleetpulse.api.keys import read_terms
from fleetpulse.app import build_parts
from fleetpulse.errors import OutOfRange
from fleetpulse.settings import Settings
from memory_service import FakeClock, World

Call = tuple[str, str, dict[str, Any] | None]


def answers(folder: Path, *calls: Call, key: str = "", **settings: Any) -> list[Any]:
    """(status, answer) of each call; a key that an answer has is sent from then on, if it is an admin's."""
    folder.mkdir(exist_ok=True)

    async def ask() -> list[Any]:
        service = await World(folder).started("press-07", **settings)
        transport = httpx.ASGITransport(build_api(build_parts(Settings(), service)))
        found = []
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for method, path, body in calls:
                answer = await client.request(method, f"/api/v1/{path}", json=body, headers=headers)
                found.append((answer.status_code, answer.json()))
                if found[-1][1].get("role") == "admin" and "key" in found[-1][1]:
                    headers = {"x-api-key": str(found[-1][1]["key"])}
        await service.node.stop()
        return found

    return asyncio.run(ask())


ADMIN: Call = ("POST", "keys?confirm=true", {"role": "admin", "description": "me"})


def test_a_key_is_made_listed_shown_and_revoked(tmp_path: Path) -> None:
    device = {"role": "device", "device_id": "press-07"}
    first, refused, made, listed, shown, revoked, after, everything, me = answers(
        tmp_path,
        ADMIN,
        ("POST", "keys", {"role": "device", "device_id": "nobody"}),
        ("POST", "keys", device),
        ("GET", "keys?limit=1", None),
        ("GET", "keys/2", None),
        ("DELETE", "keys/2", None),
        ("GET", "keys?device_id=press-07", None),
        ("GET", "keys?cursor=1&include_revoked=true", None),
        ("GET", "whoami", None),
    )
    assert (first[0], refused[0], made[0]) == (201, 404, 201)
    assert made[1] | device == made[1]
    assert made[1]["key"].startswith("fp_device_2_")
    assert made[1]["created_by"] == "key 1 (me)"
    assert ([key["number"] for key in listed[1]["keys"]], listed[1]["next_cursor"]) == ([1], "1")
    assert listed[1]["keys"][0]["last_used_at"] is not None
    assert "key" not in shown[1]
    assert shown[1]["begins"] == "fp_device_2_…"
    assert "revoked_at" not in shown[1]
    assert (revoked[1]["revoked_by"], after[1]["keys"]) == ("key 1 (me)", [])
    assert [key["number"] for key in everything[1]["keys"]] == [2]
    assert me == (200, {"kind": "key", "name": "key 1 (me)", "role": "admin", "scope": [], "key": 1})


@pytest.mark.parametrize(
    ("call", "status", "reason"),
    [
        (("POST", "keys", {"role": "admin"}), 409, "first_key"),
        (("GET", "keys/9", None), 404, "unknown_key"),
        (("DELETE", "keys/x", None), 404, "unknown_key"),
        (("GET", "keys/99999999999999999999999", None), 404, "unknown_key"),
        (("GET", "keys?role=root", None), 400, "malformed"),
        (("GET", "keys?cursor=x", None), 400, "malformed"),
        (("GET", "keys?limit=0", None), 422, "limit"),
        (("POST", "keys", {"role": "device"}), 422, "key"),
        (("POST", "keys", {"role": "enrol"}), 400, "malformed"),
        (("POST", "keys", {"role": "read", "expires_in": "100000d"}), 422, "key"),
        (("POST", "keys/1/rotate", {"overlap": "100000d"}), 422, "key"),
        (("POST", "keys/1/rotate", {"overlap": "99999999999999999999d"}), 400, "malformed"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, call: Call, status: int, reason: str) -> None:
    ((found, problem),) = answers(tmp_path, call)
    assert (found, problem["type"].rpartition(":")[2]) == (status, reason)


def test_every_role_may_ask_who_it_is_and_nobody_else(tmp_path: Path) -> None:
    ((status, _),) = answers(tmp_path / "protected", ("GET", "whoami", None), auth="required")
    assert status == 401
    assert answers(tmp_path, ("GET", "whoami", None))[0][1]["kind"] == "open"


def test_a_first_key_for_less_says_where_the_one_for_everything_is(tmp_path: Path) -> None:
    ((status, made),) = answers(tmp_path, ("POST", "keys?confirm=true", {"role": "scrape"}))
    assert status == 201
    assert str(tmp_path / "admin.key") in made["notes"][0]
    ((_, made),) = answers(tmp_path / "other", ADMIN)
    assert made["notes"] == []


def test_the_overlap_of_a_file_of_keys_ends_before_2200() -> None:
    clock = FakeClock()
    assert read_terms(clock, overlap="7d").until_ns == clock.now_ns() + 7 * 86_400 * 10**9
    assert read_terms(clock).until_ns is None
    with pytest.raises(OutOfRange, match="`overlap`"):
        read_terms(clock, overlap="100000d")
