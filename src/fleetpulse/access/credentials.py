"""What a request shows of who asks, read from its header."""

import re
from collections.abc import Iterable

from fleetpulse.access.gate import Shown
from fleetpulse.access.roles import ROLES
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.errors import Malformed

SESSION_COOKIE = "fleetpulse_session"
HOST_COOKIE = f"__Host-{SESSION_COOKIE}"
"""Its name over TLS: a browser takes it from this host only, and over TLS only."""
KEY_IN_QUERY = "key_in_query"
"""The reason of a refusal for which it does not matter what the route is."""
_KEY_IN_TEXT = re.compile(
    rb"fp(?:_|%5[fF])(?:" + "|".join(ROLES).encode() + rb")(?:_|%5[fF])"  # a key
    rb"|fp[rs](?:_|%5[fF])[0-9a-f]{32}"  # a refresh token, or what a cookie holds
    rb"|eyJ[\w-]{8,}(?:\.|%2[eE])[\w-]{8,}(?:\.|%2[eE])"  # a JWT
)


def shown_in(headers: Iterable[tuple[bytes, bytes]]) -> Shown:
    """What the headers show, whose names are in lower case.

    Raises: Malformed: they show two things. Unauthenticated: Authorization has another scheme than Bearer.
    """
    tokens: list[str] = []
    session = ""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise Unauthenticated(
                    "Authorization must be `Bearer KEY`: the word Bearer, a space, and the key", reason="wrong_scheme"
                )
            tokens.append(token.strip())
        elif name == b"x-api-key":
            tokens.append(value.decode("latin-1").strip())
        elif name == b"cookie":
            session = _cookie(value.decode("latin-1")) or session
    if len(tokens) > 1:
        raise Malformed("the request shows two keys: send one, in Authorization or in X-API-Key", reason="two_keys")
    return Shown(tokens[0] if tokens else "", session)


def _cookie(text: str) -> str:
    found = {name: value for name, _, value in (pair.strip().partition("=") for pair in text.split(";"))}
    return found.get(HOST_COOKIE) or found.get(SESSION_COOKIE, "")


def check_query(query: bytes) -> None:
    """Raises: Unauthenticated: a key or token is in the query, from where it gets into logs and histories."""
    if query and _KEY_IN_TEXT.search(query):
        raise Unauthenticated(
            "a key or token must not be in the query, from where logs and histories take it: send it as "
            "`Authorization: Bearer KEY`, and make a new one, since this one was shown",
            reason=KEY_IN_QUERY,
        )
