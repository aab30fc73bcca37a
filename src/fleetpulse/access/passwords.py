"""Passwords as argon2id hashes. Each call takes some 30 ms of a processor and 19 MB: never on the event loop.

The parameters are those that OWASP recommends for argon2id with little memory. One lane, so that a hash never takes
more than the one thread that makes it.
"""

import unicodedata
from functools import cache

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


def hash_password(password: str) -> str:
    """The hash of a password, which holds its parameters and a salt of its own."""
    return _HASHER.hash(_bytes(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether a hash is that of a password. With None, for a name that nobody has, it takes as long, and is False."""
    try:
        return _HASHER.verify(password_hash or _decoy(), _bytes(password)) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _HASHER.check_needs_rehash(password_hash)


@cache
def _decoy() -> str:
    return _HASHER.hash(b"nobody has this password, since it is nobody's")


def _bytes(password: str) -> bytes:
    """What is hashed. The same characters may be typed as different code points; half of a pair is no character."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
