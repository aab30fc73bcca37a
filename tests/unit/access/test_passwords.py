"""Passwords become hashes that tell nothing, and are found right or wrong by them."""

from argon2 import PasswordHasher

from fleetpulse.access.passwords import hash_password, is_outdated, is_password


def test_a_password_is_right_or_wrong_however_its_characters_were_typed() -> None:
    one = hash_password("größe der Welle")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != hash_password("größe der Welle")
    assert is_password("größe der Welle", one)
    assert is_password("gro\u0308ße der Welle", one)
    assert not is_password("groesse der Welle", one)
    assert not is_password("", one)


def test_a_name_that_nobody_has_and_a_damaged_hash_have_no_right_password() -> None:
    assert not is_password("nobody has this password, since it is nobody's", None)
    assert not is_password("anything", "$argon2id$v=19$damaged")
    assert not is_password("\ud800", None)


def test_hashes_of_other_parameters_are_outdated_and_still_right() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=1).hash("seven lathes")
    assert is_outdated(old)
    assert is_password("seven lathes", old)
    assert not is_outdated(hash_password("seven lathes"))
