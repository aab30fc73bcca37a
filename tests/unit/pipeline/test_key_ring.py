"""Keys of a service in memory: made, revoked, loaded again, and in effect at once."""

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from fleetpulse.access.gate import Shown
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.errors import Answerable, Conflict, DatabaseBusy, NotAccepting, NotFound, OutOfRange, UnknownDevice
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.key import KeyRecord
from fleetpulse.pipeline.service import Service
from keys_world import add, is_let_in, live
from memory_service import World

ADMIN, READER = KeyWish(role="admin"), KeyWish(role="read", scope=(("site", "paris"),), description="dashboard")


def admin_key(folder: Path) -> str:
    return (folder / "admin.key").read_text().strip()


def test_a_node_on_a_network_address_makes_one_admin_key_and_no_second_one(tmp_path: Path) -> None:
    texts: list[str] = []

    async def life(service: Service) -> None:
        assert service.gate.is_protected
        texts.append(admin_key(tmp_path))
        principal = await service.gate.identify(Shown(texts[-1]))
        assert principal is not None
        assert (principal.role, principal.scope, principal.name) == ("admin", (), "key 1 (made by the service)")

    live(tmp_path, life, life, host="0.0.0.0")
    assert texts[0] == texts[1]


def test_a_file_whose_key_is_not_known_after_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("fp_admin_1_of_a_crash\n")

    async def life(service: Service) -> None:
        assert await service.gate.identify(Shown(admin_key(tmp_path))) is not None

    live(tmp_path, life, auth="required")


def test_an_open_node_wants_the_first_key_confirmed_and_is_protected_from_then_on(tmp_path: Path) -> None:
    async def before(service: Service) -> None:
        changes: list[bool] = []
        service.gate.on_change.append(lambda: changes.append(service.gate.is_protected))
        with pytest.raises(Conflict, match="--yes"):
            await service.key_ring.make_all([ADMIN], principal=None)
        assert not service.gate.is_protected
        (text,) = await add(service, ADMIN)
        assert (service.gate.is_protected, changes[-1]) == (True, True)
        assert not (tmp_path / "admin.key").exists()
        assert await service.gate.identify(Shown(text)) is not None
        await add(service, READER)  # no first one any more

    async def after(service: Service) -> None:
        assert service.gate.is_protected

    live(tmp_path, before, after)


@pytest.mark.parametrize(
    "first", [READER, KeyWish(role="device", device_id="a"), KeyWish(role="admin", scope=(("x", "y"),))]
)
def test_a_first_key_that_may_not_do_everything_comes_with_an_admin_key(tmp_path: Path, first: KeyWish) -> None:
    async def life(service: Service) -> None:
        await add(service, first)
        assert await service.gate.identify(Shown(admin_key(tmp_path))) is not None

    live(tmp_path, life)


def test_keys_may_be_made_beforehand_where_nobody_needs_one(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        await service.key_ring.make_all([READER], principal=None)
        assert not service.gate.is_protected

    live(tmp_path, life, auth="off", host="0.0.0.0")
    assert not (tmp_path / "admin.key").exists()


def test_a_key_is_known_after_a_restart_with_all_that_was_said_of_it(tmp_path: Path) -> None:
    texts: list[str] = []

    async def before(service: Service) -> None:
        later_ns = service.clock.now_ns() + 10**9
        texts.extend(await add(service, ADMIN, READER, KeyWish(role="device", device_id="b", expires_at_ns=later_ns)))

    async def after(service: Service) -> None:
        reader = await service.gate.identify(Shown(texts[1]))
        assert reader is not None
        assert (reader.role, reader.scope, reader.name) == ("read", READER.scope, "key 2 (dashboard)")
        number = service.registry.numbers["b"]
        assert is_let_in(service, texts[2], number)
        assert not is_let_in(service, texts[2], service.registry.numbers["a"])
        service.gate.set_time(service.clock.now_ns() / 1e9 + 1)
        assert not is_let_in(service, texts[2], number)

    live(tmp_path, before, after)


def test_a_revoked_key_stays_revoked_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    texts: list[str] = []

    async def before(service: Service) -> None:
        texts.extend(await add(service, ADMIN, READER))
        key = await service.key_ring.revoke(2, principal=None)
        assert key.revoked_at_ns == service.clock.now_ns()
        with pytest.raises(Unauthenticated):
            await service.gate.identify(Shown(texts[1]))
        assert await service.key_ring.revoke(2, principal=None) == key

    async def after(service: Service) -> None:
        with pytest.raises(Unauthenticated):
            await service.gate.identify(Shown(texts[1]))
        ((key, _),) = await service.key_ring.make_all([READER], principal=None)
        assert key.number == 3
        with pytest.raises(NotFound, match="no key 9"):
            await service.key_ring.revoke(9, principal=None)

    live(tmp_path, before, after)


def test_the_last_key_that_may_do_everything_cannot_be_revoked(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        soon_ns = service.clock.now_ns() - 1  # it has expired as soon as it is made
        await add(service, ADMIN, KeyWish(role="admin", scope=(("x", "y"),)))
        (expiring,) = await service.key_ring.make_all([KeyWish(role="admin", expires_at_ns=soon_ns)], principal=None)
        later_ns = service.clock.now_ns() + 10**12
        await service.key_ring.make_all([KeyWish(role="admin", expires_at_ns=later_ns)], principal=None)
        with pytest.raises(Conflict, match="only one"):
            await service.key_ring.revoke(1, principal=None)
        await service.key_ring.revoke(expiring[0].number, principal=None)
        await add(service, ADMIN)
        await service.key_ring.revoke(1, principal=None)

    live(tmp_path, life)


def test_the_keys_of_a_deleted_device_are_revoked_and_none_is_made_for_it(tmp_path: Path) -> None:
    texts: list[str] = []

    async def before(service: Service) -> None:
        texts.extend(await add(service, ADMIN, *[KeyWish(role="device", device_id="a")] * 2))
        number = service.registry.numbers["a"]
        await service.inventory.delete("a")
        assert not any(is_let_in(service, text, number) for text in texts[1:])
        with pytest.raises(UnknownDevice):
            await add(service, KeyWish(role="device", device_id="a"))
        service.registry.numbers["a"] = number  # as if it were deleted while the key is being made
        with pytest.raises(UnknownDevice):
            await add(service, KeyWish(role="device", device_id="a"))

    async def after(service: Service) -> None:  # the device is declared again, under the same number
        number = service.registry.numbers["a"]
        assert not any(is_let_in(service, text, number) for text in texts[1:])
        keys = await service.key_ring.page(after=0, count=9, role=None, device_ids=["a"], is_revoked_included=True)
        assert {key.revoked_by for key in keys} == {"the deletion of its device"}

    live(tmp_path, before, after)


def test_there_are_at_most_keys_max(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        await add(service, ADMIN, READER)
        with pytest.raises(OutOfRange, match="keys_max"):
            await add(service, READER)
        await service.key_ring.revoke(2, principal=None)
        await add(service, READER)

    live(tmp_path, life, keys_max=2)


def test_pages_of_keys_follow_each_other(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        await add(service, ADMIN, READER, *[KeyWish(role="device", device_id="a")] * 3)
        await service.key_ring.revoke(4, principal=None)

        async def numbers(**choice: Any) -> list[int]:
            terms = {"after": 0, "count": 9, "role": None, "device_ids": [], "is_revoked_included": False} | choice
            return [key.number for key in await service.key_ring.page(**terms)]

        assert await numbers() == [1, 2, 3, 5]
        assert await numbers(count=2) == [1, 2]
        assert await numbers(after=2, is_revoked_included=True) == [3, 4, 5]
        assert (await numbers(role="read"), await numbers(device_ids=["a"])) == ([2], [3, 5])

    live(tmp_path, life)


def test_nobody_is_let_in_and_no_key_is_called_wrong_before_the_keys_are_loaded(tmp_path: Path) -> None:
    async def run() -> None:
        service = World(tmp_path).service()
        for text in ("", "fp_read_1_x"):
            assert isinstance(service.gate.refusal_of(text.encode(), None), NotAccepting)
            with pytest.raises(NotAccepting, match="starting"):
                await service.gate.identify(Shown(text))
        await service.node.stop()

    asyncio.run(run())


def test_a_damaged_key_is_refused_and_named(tmp_path: Path) -> None:
    texts: list[str] = []

    async def before(service: Service) -> None:
        texts.extend(await add(service, ADMIN, KeyWish(role="scrape")))
        with service.catalog._transaction() as run:  # type: ignore[attr-defined]  # SQLite has it
            run("UPDATE access_key SET role = 'operate' WHERE number = 2")

    async def after(service: Service) -> None:
        with pytest.raises(Unauthenticated):
            await service.gate.identify(Shown(texts[1]))
        assert "key 2 is not what was written" in service.readiness.degraded["catalog"]
        assert any("key 2" in text for text in service.catalog.damage())

    live(tmp_path, before, after)


def test_a_rotated_key_is_good_for_the_overlap_and_the_new_one_is_like_it(tmp_path: Path) -> None:
    texts: list[str] = []

    async def before(service: Service) -> None:
        now_ns = service.clock.now_ns()
        texts.extend(
            await add(service, ADMIN, KeyWish(role="device", device_id="a", expires_at_ns=now_ns + 100 * 10**9))
        )
        key, text = await service.key_ring.rotate(2, overlap_ns=10 * 10**9, principal=None)
        texts.append(text)
        assert (key.role, key.device, key.expires_at_ns) == ("device", 0, now_ns + 100 * 10**9)
        check(service)

    def check(service: Service) -> None:
        now_s = service.clock.now_ns() / 1e9
        for later_s, old, new in ((0, True, True), (9, True, True), (10, False, True), (100, False, False)):
            service.gate.set_time(now_s + later_s)
            assert (is_let_in(service, texts[1], 0), is_let_in(service, texts[2], 0)) == (old, new)
        service.gate.set_time(now_s)

    async def after(service: Service) -> None:
        check(service)
        await service.key_ring.revoke(2, principal=None)
        with pytest.raises(Conflict, match="revoked"):
            await service.key_ring.rotate(2, overlap_ns=0, principal=None)
        await service.key_ring.rotate(3, overlap_ns=0, principal=None)
        assert not is_let_in(service, texts[2], 0)

    live(tmp_path, before, after)


def test_keys_of_many_devices_replace_those_that_they_have(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        old = await add(service, *[KeyWish(role="device", device_id=name) for name in ("a", "b")])
        until_ns = service.clock.now_ns() + 10**9
        made = await service.key_ring.make_all(
            [KeyWish(role="device", device_id="a")], until_ns=until_ns, principal=None
        )
        assert all(is_let_in(service, text, number) for number, text in enumerate(old))
        service.gate.set_time(until_ns / 1e9)
        assert [is_let_in(service, text, number) for number, text in enumerate(old)] == [False, True]
        assert is_let_in(service, made[0][1], 0)

    live(tmp_path, life)


def test_a_key_is_refused_while_its_revocation_waits_and_good_again_if_that_fails(tmp_path: Path) -> None:
    gateway = KeyWish(role="ingest")

    async def life(service: Service) -> None:
        _, text = await add(service, ADMIN, gateway)
        async with service.key_ring._changing:  # as of somebody who makes many keys
            waiting = asyncio.create_task(service.key_ring.revoke(2, principal=None))
            assert is_let_in(service, text, 0)
            await asyncio.sleep(0)
            assert not is_let_in(service, text, 0)
        await waiting
        (text,) = await add(service, gateway)
        records = type(service.catalog.keys)
        for error, is_good in ((DatabaseBusy("locked"), True), (OSError("disk"), False)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(records, "revoke", Mock(side_effect=error))
                with pytest.raises(Answerable):
                    await service.key_ring.revoke(3, principal=None)
            assert is_let_in(service, text, 0) == is_good
        assert (await service.key_ring.revoke(3, principal=None)).revoked_at_ns is not None
        assert not is_let_in(service, text, 0)

    live(tmp_path, life)


def test_of_two_admin_keys_that_are_revoked_at_once_one_stays(tmp_path: Path) -> None:
    async def life(service: Service) -> None:
        await add(service, ADMIN, ADMIN)
        revoked = [service.key_ring.revoke(number, principal=None) for number in (1, 2)]
        first, second = await asyncio.gather(*revoked, return_exceptions=True)
        assert (isinstance(first, KeyRecord), isinstance(second, Conflict)) == (True, True)

    live(tmp_path, life)


def test_a_node_whose_admin_keys_expire_makes_one_that_does_not(tmp_path: Path) -> None:
    async def before(service: Service) -> None:
        await add(service, ADMIN)
        service.catalog.keys.expire([1], at_ns=service.clock.now_ns() + 10**12)  # as an earlier version allowed it

    async def after(service: Service) -> None:
        assert service.gate.keys.has_lasting_admin()
        assert admin_key(tmp_path).startswith("fp_admin_2_")

    live(tmp_path, before, after)
