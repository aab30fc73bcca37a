"""Which names and passwords people may have."""

import pytest

from fleetpulse.model.person import PASSWORD_CHARS_MAX, Person, check_password, check_person_name


@pytest.mark.parametrize("name", ["alice", "a", "7", "alice@example.org", "anna-lena_k.2+x", "a" * 64])
def test_names_of_people(name: str) -> None:
    check_person_name(name)


@pytest.mark.parametrize("name", ["", "Alice", ".a", "-a", "a b", "a" * 65, "älice", "a\0", "a\n", "аlice", "a/b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a person is"):
        check_person_name(name)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("short", "at least 12 characters"),
        ("abcabcabcabc", "at least 5 different"),
        ("my name is Alice, hi", "must not contain the name"),
        ("x" * PASSWORD_CHARS_MAX + "yzabc", "at most 1024"),
    ],
)
def test_passwords_that_are_guessed_too_easily(password: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_password(password, "alice", chars_least=12)
    check_password("seven lathes hum", "alice", chars_least=12)
    check_password("anna: bob, eve", "bob", chars_least=12)  # so short a name is in many words


def test_a_person_asks_as_a_principal() -> None:
    principal = Person(name="alice", role="read", scope=(("site", "paris"),)).principal
    assert (principal.kind, principal.name, principal.role) == ("person", "alice", "read")
    assert (principal.scope, principal.key, principal.device) == ((("site", "paris"),), None, None)
