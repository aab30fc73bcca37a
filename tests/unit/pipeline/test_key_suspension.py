"""A key that is being revoked is refused in memory; the last lasting key that may do everything is not."""

import pytest

from fleetpulse.access.key_table import NEVER_S, KeyTable
from fleetpulse.access.key_text import hash_key
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.errors import Conflict
from fleetpulse.model.access import Principal, Role, Scope
from fleetpulse.pipeline.key_suspension import suspend


def put(keys: KeyTable, number: int, role: Role, *, scope: Scope = (), expires_s: float = NEVER_S) -> bytes:
    text = b"fp_%s_%d_x" % (role.encode(), number)
    principal = Principal(kind="key", name=f"key {number}", role=role, scope=scope, key=number)
    keys.put(number, hash_key(text), principal=principal, expires_s=expires_s)
    return text


def test_a_suspended_key_is_wrong_until_it_is_resumed_and_keeps_an_expiry_of_meanwhile() -> None:
    keys = KeyTable()
    text = put(keys, 1, "read")
    for _ in range(2):
        suspend(keys, 1)
        with pytest.raises(Unauthenticated, match="wrong"):
            keys.find(text, 0)
    keys.expire(1, 5.0)
    keys.resume(1)
    assert keys.find(text, 4)
    with pytest.raises(Unauthenticated, match="expired"):
        keys.find(text, 5)


def test_a_key_that_was_removed_is_not_resumed_nor_is_the_next_one_in_its_row() -> None:
    keys = KeyTable()
    text = put(keys, 1, "read")
    suspend(keys, 1)
    keys.remove(1)
    other = put(keys, 2, "read")
    for number in (1, 2, 9):
        keys.resume(number)
    assert keys.find(other, 0)
    with pytest.raises(Unauthenticated):
        keys.find(text, 0)
    suspend(keys, 9)


@pytest.mark.parametrize(
    ("role", "scope", "expires_s"),
    [("read", (), NEVER_S), ("admin", (("site", "paris"),), NEVER_S), ("admin", (), 5.0)],
)
def test_no_other_key_takes_the_place_of_the_last_lasting_one(role: Role, scope: Scope, expires_s: float) -> None:
    keys = KeyTable()
    put(keys, 1, "admin")
    put(keys, 2, role, scope=scope, expires_s=expires_s)
    with pytest.raises(Conflict, match="only one"):
        suspend(keys, 1)
    suspend(keys, 2)
    put(keys, 3, "admin")
    suspend(keys, 3)
    with pytest.raises(Conflict):  # the other one is being revoked
        suspend(keys, 1)
    keys.resume(3)
    suspend(keys, 1)
