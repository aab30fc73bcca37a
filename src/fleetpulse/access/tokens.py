"""What people show after they signed in: access tokens, refresh tokens, and the cookie of a browser.

access token     a JWT (HS256) of minutes: who, which session, which version of the person
refresh token    fpr_SESSION_GENERATION_MAC    each may be used once, for the next one and an access token
cookie           fps_SESSION_MAC

MAC is an HMAC-SHA256 over what stands before it, as hexadecimal digits. So it is known of a refresh token that it was
given out by us before it is looked up, and an old one that is shown again proves that two have the family: the person,
and a thief. Nothing of these is stored.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from fleetpulse.access.token_keys import TokenKey
from fleetpulse.access_errors import Unauthenticated

ALGORITHM = "HS256"
"""Only our own tokens have it: issuers have keys of two halves, of which we know the public one."""
ISSUER = AUDIENCE = "fleetpulse"
TOKEN_CHARS_MAX = 16_384
_HEADER_CHARS_MAX = 4_096
_REFRESH = re.compile(r"(fpr_([0-9a-f]{32})_([0-9]{1,9}))_([0-9a-f]{64})", re.ASCII)
_COOKIE = re.compile(r"(fps_([0-9a-f]{32}))_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token of ours says."""

    person: str
    session: str
    version: int


def token_header(token: str) -> dict[str, Any]:
    """The header of a JWT, which proves nothing. Raises: Unauthenticated: it has none that can be read."""
    first = token.partition(".")[0]
    if len(token) > TOKEN_CHARS_MAX or len(first) > _HEADER_CHARS_MAX or token.count(".") != 2:
        raise wrong_token()
    try:
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError, binascii.Error) as error:
        raise wrong_token() from error
    if not isinstance(header, dict):
        raise wrong_token()
    return header


def wrong_token() -> Unauthenticated:
    """Of all that can be wrong with a token, its sender learns no more; the reasons are in the documentation."""
    return Unauthenticated(
        "this is no key of this service, which begins with `fp_`, and no token of a signer that it knows",
        reason="wrong_token",
    )


def make_access_token(claims: AccessClaims, *, keys: Sequence[TokenKey], now_s: int, expires_at_s: int) -> str:
    """A JWT, signed with the newest key."""
    key = keys[0]
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.person,
        "sid": claims.session,
        "ver": claims.version,
        "iat": now_s,
        "jti": secrets.token_hex(8),  # or two tokens of a session and a second would be the same
        "exp": expires_at_s,
    }
    header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.id}
    return jwt.encode(header, payload, OctKey.import_key(key.secret), [ALGORITHM])


def read_access_token(token: str, *, keys: Sequence[TokenKey], now_s: float) -> AccessClaims:
    """What a token of ours says. Raises: Unauthenticated: it is none, or has expired."""
    header = token_header(token)
    key = next((key for key in keys if key.id == header.get("kid")), None)
    if key is None or header != {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.id}:
        raise wrong_token()
    try:
        claims = jwt.decode(token, OctKey.import_key(key.secret), [ALGORITHM]).claims
    except (JoseError, ValueError, RecursionError) as error:
        raise wrong_token() from error
    if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
        raise wrong_token()
    if not isinstance(claims.get("exp"), int) or claims["exp"] <= now_s:
        raise Unauthenticated(
            "the access token has expired: get another one with the refresh token (POST /api/v1/refresh)",
            reason="expired_token",
        )
    return AccessClaims(str(claims["sub"]), str(claims["sid"]), int(claims["ver"]))


def make_refresh_token(session: str, generation: int, *, keys: Sequence[TokenKey]) -> str:
    """The refresh token of a generation."""
    return _signed(f"fpr_{session}_{generation}", keys[0])


def read_refresh_token(token: str, *, keys: Sequence[TokenKey]) -> tuple[str, int]:
    """Session and generation. Raises: Unauthenticated: we did not give it out."""
    match = _REFRESH.fullmatch(token)
    if match is None or not _is_signed(match[1], match[4], keys):
        raise Unauthenticated("the refresh token is wrong: sign in again (POST /api/v1/login)", reason="wrong_token")
    return match[2], int(match[3])


def make_cookie(session: str, *, keys: Sequence[TokenKey]) -> str:
    """The value of the cookie of a session."""
    return _signed(f"fps_{session}", keys[0])


def read_cookie(cookie: str, *, keys: Sequence[TokenKey]) -> str:
    """The session. Raises: Unauthenticated: we did not give it out."""
    match = _COOKIE.fullmatch(cookie)
    if match is None or not _is_signed(match[1], match[3], keys):
        raise Unauthenticated("the session has ended: sign in again at /sign-in", reason="session_ended")
    return match[2]


def _mac(text: str, key: TokenKey) -> str:
    return digest(key.secret, text.encode(), sha256).hex()


def _signed(text: str, key: TokenKey) -> str:
    return f"{text}_{_mac(text, key)}"


def _is_signed(text: str, mac: str, keys: Sequence[TokenKey]) -> bool:
    return any(compare_digest(mac, _mac(text, key)) for key in keys)
