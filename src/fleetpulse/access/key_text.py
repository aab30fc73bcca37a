"""Keys as text: `fp_<role>_<number>_<secret><check>`.

    fp_device_4fzyo8_0123456789abcdefghijklmnopq5Gk2Lx
       role   number secret, 27 of base 62       check, 6 of base 62

The number, in base 36, finds the row of the key; it is no secret. The secret has 160 random bits. The check is the
CRC-32 of all before it, so that a key that was cut or mistyped is told from a wrong one, also by tools that look for
keys in places where these do not belong. What is stored is the SHA-256 of the whole text: the secret cannot be guessed,
so the hash need not be slow.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Callable

from fleetpulse.access.roles import ROLES
from fleetpulse.model.access import Role

BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
SECRET_CHARS, CHECK_CHARS = 27, 6
SECRET_BITS = 160
HASH_BYTES = 32
KEY_CHARS_MAX = 64
KEY_PATTERN = rf"fp_({'|'.join(ROLES)})_([1-9a-z][0-9a-z]{{0,10}})_[0-9A-Za-z]{{{SECRET_CHARS + CHECK_CHARS}}}"
BADGE = "badge"
BADGE_TOKEN_PATTERN = rf"fp_{BADGE}_([1-9a-z][0-9a-z]{{0,10}})_[0-9A-Za-z]{{{SECRET_CHARS + CHECK_CHARS}}}"
_KEY = re.compile(KEY_PATTERN)
_BADGE_TOKEN = re.compile(BADGE_TOKEN_PATTERN)
_CLAIMED_NUMBER = re.compile(rb"fp_(?:" + "|".join(ROLES).encode() + rb")_([1-9a-z][0-9a-z]{0,10})_")


def make_key(role: Role, number: int, *, random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """A new key. `random_bits` gives so many random bits; tests give their own."""
    return _made(role, number, random_bits)


def make_badge_token(number: int, *, random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """A new token of a badge: text as a key has it, and no key, since no role is called `badge`."""
    return _made(BADGE, number, random_bits)


def is_badge_token(text: str) -> bool:
    """Whether a text may be the token of a badge: it is not cut or mistyped."""
    return _BADGE_TOKEN.fullmatch(text) is not None and _check(text[:-CHECK_CHARS]) == text[-CHECK_CHARS:]


def _made(kind: str, number: int, random_bits: Callable[[int], int]) -> str:
    head = f"fp_{kind}_{_digits(number, _BASE_36)}_{_digits(random_bits(SECRET_BITS), BASE_62, SECRET_CHARS)}"
    return head + _check(head)


def read_key(text: str) -> tuple[Role, int]:
    """The role and the number that a text claims. Raises: ValueError: it is cut, mistyped, or something else."""
    match = _KEY.fullmatch(text) if len(text) <= KEY_CHARS_MAX else None
    if match is None or _check(text[:-CHECK_CHARS]) != text[-CHECK_CHARS:]:
        raise ValueError("this is no key of fleetpulse: it is cut, mistyped, or of something else")
    return match[1], int(match[2], 36)  # type: ignore[return-value]  # the pattern has only roles


def claimed_number(text: bytes) -> int | None:
    """The number that a text claims to be the key of, whether the rest is right or not; None: it claims none."""
    match = _CLAIMED_NUMBER.match(text[:KEY_CHARS_MAX])
    return None if match is None else int(match[1], 36)


def hash_key(text: bytes) -> bytes:
    """What is stored of a key: 32 bytes."""
    return hashlib.sha256(text).digest()


def hint_of(role: Role, number: int) -> str:
    """How a key is named for people: all of it that is no secret."""
    return f"fp_{role}_{_digits(number, _BASE_36)}_…"


def _check(head: str) -> str:
    return _digits(zlib.crc32(head.encode()), BASE_62, CHECK_CHARS)


def _digits(number: int, alphabet: str, width: int = 1) -> str:
    digits: list[str] = []
    while number or len(digits) < width:
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))
