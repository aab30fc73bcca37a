import math
import random
import sys

import pytest

from fleetpulse.access.key_table import KeyTable
from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.model.access import Principal


def put(table: KeyTable, number: int, **more: object) -> bytes:
    key = make_key("device", number).encode()
    table.put(number, hash_key(key), **more)
    return key


def test_a_key_is_found_until_it_is_removed_or_expires() -> None:
    table = KeyTable()
    key, other = put(table, 5, device=3), put(table, 900, expires_s=100.0)
    assert table.devices[table.find(key, 0)] == 3
    assert table.numbers[table.find(other, 99)] == 900
    with pytest.raises(Unauthenticated, match="expired"):
        table.find(other, 100)
    table.remove(5)
    with pytest.raises(Unauthenticated, match="wrong, or was revoked"):
        table.find(key, 0)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"fp_device",
        b"fp_device_5",
        b"fp_device_0_x",
        b"fp_device_-5_x",
        b"fp_device_zzzzzzzzzzzzz_x",
        b"fp_device_\xff_x",
        b"_" * 80,
        b"fp_device_" + b"1" * 5_000,
    ],
)
def test_what_is_no_key_is_wrong(token: bytes) -> None:
    table = KeyTable()
    put(table, 5)
    with pytest.raises(Unauthenticated) as caught:
        table.find(token, 0)
    assert caught.value.reason == "wrong_key"


def test_a_number_written_otherwise_is_wrong() -> None:
    table = KeyTable()
    key = put(table, 5)
    for other in (b"fp_device_05_", b"fp_device_+5_", b"fp_device_ 5_"):
        with pytest.raises(Unauthenticated):
            table.find(key.replace(b"fp_device_5_", other), 0)


def test_rows_are_used_again_and_never_show_the_holder_before() -> None:
    table, rng = KeyTable(), random.Random(7)
    keys: dict[int, bytes] = {}
    for number in range(1, 400):
        holder = Principal(kind="key", name=f"key {number}", role="read", key=number) if number % 3 else None
        keys[number] = put(table, number, device=number if holder is None else -1, principal=holder)
        if rng.random() < 0.5:
            gone = rng.choice(list(keys))
            table.remove(gone)
            with pytest.raises(Unauthenticated):
                table.find(keys.pop(gone), 0)
    assert len(table) == len(keys)
    assert len(table.numbers) < 300
    for number, key in keys.items():
        row = table.find(key, 0)
        holder = table.principals.get(row)
        assert (holder.key if holder else table.devices[row]) == number


def test_keys_of_devices_are_loaded_by_column_and_take_little_memory() -> None:
    table, count = KeyTable(), 20_000
    put(table, 1, principal=Principal(kind="key", name="key 1", role="admin", key=1))
    texts = [make_key("device", number).encode() for number in range(2, 4)]
    numbers = range(2, count + 2)
    digests = [hash_key(text) for text in texts] + [bytes(32)] * (count - 2)
    table.load_devices(list(numbers), digests, list(range(count)), [math.inf] * count)
    row = table.find(texts[1], 0)
    assert (table.numbers[row], table.devices[row], len(table)) == (3, 1, count + 1)
    assert table.is_latest(digests[0], 0) == table.row(2)
    columns = (
        table.numbers,
        table.devices,
        table.expires_s,
        table.used_minutes,
        table.latest,
        table._rows,
        table._hashes,
    )
    assert sum(map(sys.getsizeof, columns)) / count < 100
    table.remove(2)
    later = put(table, count + 5, device=0)
    assert table.is_latest(hash_key(later), 0)


def test_a_key_that_expired_long_ago_is_forgotten() -> None:
    table = KeyTable()
    for number, end_s in ((1, 5.0), (2, 10.0), (3, math.inf)):
        table.put(number, bytes(32), device=number, expires_s=end_s)
    table.remove_expired(before_s=10.0)
    assert [bool(table.row(number)) for number in (1, 2, 3)] == [False, True, True]
