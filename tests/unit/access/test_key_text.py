import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.access.key_text import (
    KEY_CHARS_MAX,
    hash_key,
    hint_of,
    is_badge_token,
    make_badge_token,
    make_key,
    read_key,
)
from fleetpulse.access.roles import ROLES
from fleetpulse.key_shape import without_secrets

roles, numbers = st.sampled_from(ROLES), st.integers(1, 2**50)


@given(roles, numbers)
def test_a_key_is_read_as_it_was_made(role: str, number: int) -> None:
    key = make_key(role, number)
    assert read_key(key) == (role, number)
    assert len(key) <= KEY_CHARS_MAX
    assert key.startswith(hint_of(role, number)[:-1])


@given(roles, numbers, st.data())
def test_a_key_that_was_cut_or_mistyped_is_none(role: str, number: int, data: st.DataObject) -> None:
    key = make_key(role, number)
    with pytest.raises(ValueError, match="cut, mistyped"):
        read_key(key[: data.draw(st.integers(0, len(key) - 1))])
    place = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.sampled_from("abcxyz0189_").filter(lambda char: char != key[place]))
    with pytest.raises(ValueError, match="cut, mistyped"):
        read_key(key[:place] + other + key[place + 1 :])


def test_the_secret_has_160_random_bits() -> None:
    widths: list[int] = []
    make_key("read", 1, random_bits=lambda bits: widths.append(bits) or 0)
    assert widths == [160]
    lowest, highest = (
        make_key("read", 1, random_bits=lambda _: 0),
        make_key("read", 1, random_bits=lambda _: 2**160 - 1),
    )
    assert len(lowest) == len(highest)
    assert hash_key(lowest.encode()) != hash_key(highest.encode())


@given(numbers, st.data())
def test_the_token_of_a_badge_is_no_key_and_one_that_was_cut_or_mistyped_is_none(
    number: int, data: st.DataObject
) -> None:
    token = make_badge_token(number)
    assert is_badge_token(token)
    with pytest.raises(ValueError, match="cut, mistyped"):
        read_key(token)
    assert not is_badge_token(make_key("read", number))
    assert not is_badge_token(token[: data.draw(st.integers(0, len(token) - 1))])
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abcxyz0189_").filter(lambda char: char != token[place]))
    assert not is_badge_token(token[:place] + other + token[place + 1 :])
    assert "_…" in without_secrets(f"/badge/{token}") != token
