"""A person who may sign in, and what signing in makes: a session. Plain values; passwords are hashed elsewhere."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from fleetpulse.model.access import Principal, Scope

PersonRole = Literal["read", "operate", "admin"]
"""Roles of people. The others are for devices, gateways and programs, which have keys."""
PERSON_ROLES: tuple[PersonRole, ...] = get_args(PersonRole)
PERSON_PATTERN = "[a-z0-9][a-z0-9_.@+-]{0,63}"
PERSON_RULE = "a small letter or a digit, then up to 63 of a-z 0-9 _ . @ + -"
PASSWORD_CHARS_MAX = 1_024
_PERSON = re.compile(PERSON_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who may sign in, and what they may do then.

    Attributes:
        version: grows with every change of the password and when the person is disabled, which ends all sessions.
    """

    name: str
    role: PersonRole
    scope: Scope = ()
    is_disabled: bool = False
    version: int = 0
    created_at_ns: int = 0

    @property
    def principal(self) -> Principal:
        """The person as one who asks."""
        return Principal(kind="person", name=self.name, role=self.role, scope=self.scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in of a person.

    Attributes:
        id: 128 random bits, as hexadecimal digits; no secret by itself.
        kind: `browser` has a cookie; `program` has access tokens, and a family of refresh tokens.
        generation: which refresh token of the family is the valid one; grows by one with each use.
        address: from where the person signed in.
    """

    id: str
    person: str
    kind: Literal["browser", "program"]
    generation: int
    started_at_ns: int
    expires_at_ns: int
    address: str = ""


def check_person_name(name: str) -> None:
    """Raises: ValueError: this cannot be the name of a person."""
    if _PERSON.fullmatch(name) is None:
        raise ValueError(f"the name of a person is {PERSON_RULE}, not `{name[:64]}`")


def check_password(password: str, name: str, *, chars_least: int) -> None:
    """Raises: ValueError: a password like this is guessed too easily, or too long to be hashed at once."""
    if len(password) > PASSWORD_CHARS_MAX:
        raise ValueError(f"a password has at most {PASSWORD_CHARS_MAX} characters")
    if len(password) < chars_least:
        raise ValueError(f"a password has at least {chars_least} characters (password_chars_least)")
    if len(set(password)) < 5:
        raise ValueError("a password has at least 5 different characters")
    if len(name) > 3 and name.lower() in password.lower():
        raise ValueError("a password must not contain the name of its person")
