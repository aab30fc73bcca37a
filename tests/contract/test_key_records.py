"""The catalog's promises about keys, on every implementation."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import UnknownDevice
from fleetpulse.model.device import Device
from fleetpulse.model.key import DeviceKeys, KeyRecord

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]


def test_keys_are_kept_with_what_was_said_of_them_and_revoked_for_good(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a"), Device("b")], devices_max=9, at_ns=1)
    first = KeyRecord(number=1, role="admin", digest=b"x" * 32, description="é", created_at_ns=5, created_by="me")
    scoped = KeyRecord(number=2, role="read", digest=b"y" * 32, scope=(("site", "a:b"),), expires_at_ns=9)
    device = KeyRecord(number=5, role="device", digest=b"\0" * 32, device=1)
    catalog.keys.add([first, scoped, device])
    catalog = reopen()
    wrong: list[str] = []
    assert (list(catalog.keys.live(wrong)), wrong) == ([first, scoped], [])
    assert list(catalog.keys.live_of_devices(wrong)) == [DeviceKeys([5], [b"\0" * 32], [1], [None])]
    assert (catalog.keys.next_number(), catalog.keys.find(2), catalog.keys.find(3)) == (6, scoped, None)
    assert catalog.keys.revoke([2, 5, 7], at_ns=8, by="me") == 2
    assert catalog.keys.revoke([2], at_ns=9, by="you") == 0
    catalog = reopen()
    assert (list(catalog.keys.live(wrong)), catalog.keys.next_number()) == ([first], 6)
    assert catalog.keys.find(2) == msgspec.structs.replace(scoped, revoked_at_ns=8, revoked_by="me")
    assert catalog.damage() == []
    with pytest.raises(UnknownDevice):
        catalog.keys.add(
            [msgspec.structs.replace(first, number=6), msgspec.structs.replace(device, number=7, device=9)]
        )
    assert catalog.keys.find(6) is None


def test_the_keys_of_a_deleted_device_are_revoked_with_it(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a"), Device("b")], devices_max=9, at_ns=1)
    keys = [KeyRecord(number=number, role="device", digest=b"x" * 32, device=number % 2) for number in (1, 2, 3)]
    catalog.keys.add(keys)
    catalog.delete([1], at_ns=7)
    assert catalog.keys.of_devices([1]) == []
    catalog = reopen()
    assert [keys.numbers for keys in catalog.keys.live_of_devices([])] == [[2]]
    assert (list(catalog.keys.live([])), catalog.keys.of_devices([0, 1], is_revoked_included=True)) == ([], [2, 1, 3])
    found = catalog.keys.find(1)
    assert found is not None
    assert (found.revoked_at_ns, found.revoked_by) == (7, "the deletion of its device")


def test_keys_expire_at_the_earlier_of_two_times(reopen: Reopen) -> None:
    catalog = reopen()
    keys = [
        KeyRecord(number=number, role="read", digest=b"x" * 32, expires_at_ns=end)
        for number, end in ((1, None), (2, 5))
    ]
    catalog.keys.add(keys)
    catalog.keys.expire([1, 2], at_ns=7)
    assert [key.expires_at_ns for key in reopen().keys.live([])] == [7, 5]


def test_when_keys_were_used_is_kept_by_number(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.keys.used_minutes().tolist() == []
    catalog.keys.note_use(np.array([3_000, 1]), np.array([9, 4_000_000_000], np.uint32))
    catalog.keys.note_use(np.array([2]), np.array([5], np.uint32))
    used = reopen().keys.used_minutes()
    assert {int(number): int(used[number]) for number in np.flatnonzero(used)} == {1: 4_000_000_000, 2: 5, 3_000: 9}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE access_key SET digest = x'00' WHERE number = 2",
        "UPDATE access_key SET device = 9 WHERE number = 2",
        "UPDATE access_key SET device = -1 WHERE number = 2",
        "UPDATE access_key SET device = NULL WHERE number = 2",
        "UPDATE access_key SET expires_at_ns = 'soon' WHERE number = 2",
    ],
)
def test_a_damaged_key_of_a_device_lets_nobody_in_and_costs_no_other(reopen: Reopen, spoil: Spoil, damage: str) -> None:
    catalog = reopen()
    catalog.register([Device("a")], devices_max=9, at_ns=1)
    catalog.keys.add(KeyRecord(number=number, role="device", digest=b"x" * 32, device=0) for number in (1, 2, 3))
    spoil(damage)
    wrong: list[str] = []
    assert [keys.numbers for keys in catalog.keys.live_of_devices(wrong)] == [[1], [3]]
    assert "key 2" in wrong[0]
    assert any("key 2" in text for text in catalog.damage())
