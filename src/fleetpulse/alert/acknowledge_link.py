"""Tokens of links with which a receiver of a message acknowledges its alerts.

    base64url(JSON [version, receiver, expires_s, incident, numbers, key of the message]) . base64url(HMAC-SHA256)

A token names what it acknowledges and whom it was sent to, and can do nothing else: it is no key. That it works once is
kept in the catalog, by the digest of the token.
"""

import binascii
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import NamedTuple

VERSION = 1
LIFE_S = 7 * 86_400
NUMBERS_MAX = 50
TOKEN_CHARS_MAX = 4_096


class LinkTerms(NamedTuple):
    """What a token acknowledges: alerts by their numbers, and those of an incident; 0: of none."""

    receiver: str
    expires_s: int
    incident: int
    numbers: tuple[int, ...]
    message: str


class WrongLink(ValueError):
    """The token was not made by this service, or was changed."""


def make_token(key: bytes, terms: LinkTerms) -> str:
    """The token of these terms."""
    payload = json.dumps([VERSION, *terms._replace(numbers=terms.numbers[:NUMBERS_MAX])], separators=(",", ":"))
    text = urlsafe_b64encode(payload.encode()).rstrip(b"=")
    return f"{text.decode()}.{_code(key, text)}"


def read_token(key: bytes, token: str) -> LinkTerms:
    """The terms of a token, which may have expired. Raises: WrongLink."""
    text, _, code = token.partition(".")
    if len(token) > TOKEN_CHARS_MAX or not token.isascii() or not hmac.compare_digest(_code(key, text.encode()), code):
        raise WrongLink("this link was not made by this service, or a part of it is missing")
    try:
        version, receiver, expires_s, incident, numbers, message = json.loads(urlsafe_b64decode(f"{text}=="))
    except (ValueError, binascii.Error) as error:
        raise WrongLink("this link is of another version") from error
    if version != VERSION:
        raise WrongLink("this link is of another version")
    return LinkTerms(receiver, expires_s, incident, tuple(numbers), message)


def digest_of(token: str) -> bytes:
    """What a token that was used is known by: 32 bytes."""
    return sha256(token.encode()).digest()


def _code(key: bytes, text: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, b"acknowledge " + text, "sha256")).rstrip(b"=").decode()
