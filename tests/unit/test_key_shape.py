import pytest

from fleetpulse.access.key_text import hint_of, make_key
from fleetpulse.access.roles import ROLES
from fleetpulse.key_shape import without_secrets


@pytest.mark.parametrize("role", ROLES)
def test_of_a_key_only_what_is_no_secret_is_left(role: str) -> None:
    key = make_key(role, 4_711)
    text = f"unknown parameter `{key}`; see {key.replace('_', '%5F')} and {key[:-9]}"
    shown = without_secrets(text)
    assert hint_of(role, 4_711) in shown
    assert key.rpartition("_")[2][:6] not in shown


def test_other_texts_stay() -> None:
    for text in ("", "no device has the id fp_press", "fp_read_1", "a key begins with `fp_`", "fp_<role>_<number>_x"):
        assert without_secrets(text) == text
