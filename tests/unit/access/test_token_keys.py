"""The keys of tokens are renewed, kept as long as they are needed, and survive their file."""

import pytest

from fleetpulse.access.token_keys import make_token_key, read_token_keys, renewed, write_token_keys

DAY = 86_400


def test_a_key_is_made_renewed_and_dropped_when_nothing_it_signed_is_valid() -> None:
    terms = {"renew_s": 30 * DAY, "keep_s": 7 * DAY}
    first = renewed((), now_s=0, **terms)
    assert renewed(first, now_s=30 * DAY - 1, **terms) == first
    second = renewed(first, now_s=30 * DAY, **terms)
    assert (len(second), second[1:]) == (2, first)
    assert renewed(second, now_s=37 * DAY - 1, **terms) == second
    assert renewed(second, now_s=37 * DAY, **terms) == second[:1]
    assert renewed(first, now_s=-5, **terms) == first  # it was made while the clock was ahead


def test_the_file_holds_what_was_written_and_nothing_shows_a_secret() -> None:
    keys = (make_token_key(now_s=5), make_token_key(now_s=1))
    assert read_token_keys(write_token_keys(keys)) == keys
    assert read_token_keys("") == ()
    assert keys[0].secret.hex() not in repr(keys) and "secret" not in repr(keys)
    assert keys[0].id != keys[1].id


@pytest.mark.parametrize("cut", [3, 30, 60, 77])
def test_a_file_that_was_cut_is_none_and_is_not_shown(cut: int) -> None:
    text = write_token_keys((make_token_key(now_s=5),))
    with pytest.raises(ValueError, match=r"^line 1 is no key$"):
        read_token_keys(text[:cut])
