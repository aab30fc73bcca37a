"""The keys with which the service signs what it gives to people who signed in, as the file `token.key` holds them.

A line a key, the newest first:  ID MADE_AT KEY     (MADE_AT: seconds since 1970; KEY: 32 bytes as hexadecimal digits)

New tokens are signed with the newest key. Older keys stay for as long as a token that they signed may be valid.
Without the file everybody has to sign in again, and nothing else is lost.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

_LINE = re.compile(r"(fp-[0-9a-f]{8}) ([0-9]{1,12}) ([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key of 256 bits, and when it was made."""

    id: str
    made_at_s: int
    secret: bytes = field(repr=False)


def make_token_key(*, now_s: int) -> TokenKey:
    """A new key."""
    return TokenKey(f"fp-{secrets.token_hex(4)}", now_s, secrets.token_bytes(32))


def renewed(keys: Sequence[TokenKey], *, now_s: int, renew_s: float, keep_s: float) -> tuple[TokenKey, ...]:
    """The keys from now on: with a new one where the newest is older than `renew_s`, without those nobody needs.

    `keep_s`: how long a token is valid at most.
    """
    # A key of the future was made while the clock was ahead; it stays the newest.
    current = () if keys and now_s - keys[0].made_at_s < renew_s else (make_token_key(now_s=now_s),)
    kept = [
        key
        for place, key in enumerate(keys)
        if place == 0 or now_s - keys[place - 1].made_at_s < keep_s  # when the key after it was made, its use ended
    ]
    return (*current, *kept)


def write_token_keys(keys: Sequence[TokenKey]) -> str:
    """The text of the file."""
    return "".join(f"{key.id} {key.made_at_s} {key.secret.hex()}\n" for key in keys)


def read_token_keys(text: str) -> tuple[TokenKey, ...]:
    """The keys of the file. Raises: ValueError: it is another file, or was cut; the error shows nothing of it."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no key")
        found.append(TokenKey(match[1], int(match[2]), bytes.fromhex(match[3])))
    return tuple(found)
