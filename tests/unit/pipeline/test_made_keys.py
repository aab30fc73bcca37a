"""Many keys, which are made in pieces: all or none, and others have their turn in between."""

import asyncio
from pathlib import Path

import pytest

from fleetpulse.errors import OutOfRange, UnknownDevice
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.pipeline import key_ring
from fleetpulse.pipeline.service import Service
from keys_world import add, is_let_in, live

ADMIN, READER = KeyWish(role="admin"), KeyWish(role="read")


def test_others_change_keys_while_many_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "PIECE_KEYS", 2)

    async def life(service: Service) -> None:
        await add(service, ADMIN, READER)
        many = asyncio.create_task(add(service, *[KeyWish(role="device", device_id="a")] * 9))
        await asyncio.sleep(0)
        await service.key_ring.revoke(2, principal=None)
        assert not many.done()
        assert all(is_let_in(service, text, 0) for text in await many)

    live(tmp_path, life)


def test_of_many_keys_none_stays_where_one_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "PIECE_KEYS", 2)

    async def life(service: Service) -> None:
        earlier = await add(service, ADMIN, KeyWish(role="device", device_id="a"))
        a, b = (KeyWish(role="device", device_id=name) for name in ("a", "b"))
        service.registry.numbers["c"] = 99  # as if it were deleted while keys are being made
        wishes = [a, b, a, b, KeyWish(role="device", device_id="c")]
        with pytest.raises(UnknownDevice):
            await service.key_ring.make_all(wishes, until_ns=service.clock.now_ns(), principal=None)
        assert is_let_in(service, earlier[1], 0)
        assert [key.number for key in service.catalog.keys.live([])] == [1]
        assert [list(keys.numbers) for keys in service.catalog.keys.live_of_devices([])] == [[2]]
        assert len(service.gate.keys) == 2
        with pytest.raises(OutOfRange, match="keys_max"):
            await add(service, *[a, b] * 3)
        await add(service, a, *[a, b] * 2)  # what was refused takes no room

    live(tmp_path, life, keys_max=7)


def test_the_overlap_holds_for_keys_of_all_pieces_and_for_none_of_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "PIECE_KEYS", 1)

    async def life(service: Service) -> None:
        wishes = [KeyWish(role="device", device_id=name) for name in ("a", "b")]
        old, now_ns = await add(service, *wishes), service.clock.now_ns()
        made = await service.key_ring.make_all(wishes, until_ns=now_ns, principal=None)
        assert not any(is_let_in(service, text, number) for number, text in enumerate(old))
        assert all(is_let_in(service, text, number) for number, (_, text) in enumerate(made))

    live(tmp_path, life)
