"""What people show: only what we signed, as it was signed, and not for longer than it says."""

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from fleetpulse.access.token_keys import TokenKey, make_token_key
from fleetpulse.access.tokens import (
    AccessClaims,
    make_access_token,
    make_cookie,
    make_refresh_token,
    read_access_token,
    read_cookie,
    read_refresh_token,
    token_header,
)
from fleetpulse.access_errors import Unauthenticated

NOW = 1_800_000_000
NEW, OLD, FOREIGN = (make_token_key(now_s=NOW) for _ in range(3))
KEYS = (NEW, OLD)
CLAIMS = AccessClaims("alice", "0" * 32, 3)
SESSION = "0123456789abcdef" * 2


def token(*keys: TokenKey) -> str:
    return make_access_token(CLAIMS, keys=keys or KEYS, now_s=NOW, expires_at_s=NOW + 600)


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def signed(header: dict[str, Any], claims: dict[str, Any], key: TokenKey = NEW) -> str:
    return jwt.encode({"alg": "HS256", "kid": key.id, **header}, claims, OctKey.import_key(key.secret), ["HS256"])


def test_an_access_token_says_who_until_it_expires() -> None:
    assert read_access_token(token(), keys=KEYS, now_s=NOW) == CLAIMS
    assert read_access_token(token(OLD), keys=KEYS, now_s=NOW + 599.9) == CLAIMS
    with pytest.raises(Unauthenticated) as refused:
        read_access_token(token(), keys=KEYS, now_s=NOW + 600)
    assert refused.value.reason == "expired_token"
    assert token_header(token())["kid"] == NEW.id


GOOD = {"iss": "fleetpulse", "aud": "fleetpulse", "sub": "alice", "sid": SESSION, "ver": 0, "exp": NOW + 60}
TYP = {"typ": "at+jwt"}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "..",
        "a.b.c",
        "eyJhbGciOiJIUzI1NiJ9",
        token(FOREIGN),
        token()[:-1],
        token()[:-4] + "AAAA",
        token() + ".x",
        token().replace(".", "..", 1),
        "." * 5,
        f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': NEW.id})}.{part(GOOD)}.",
        f"{part({'alg': 'none'})}.{part(GOOD)}.",
        f"{part([])}.{part(GOOD)}.x",
        f"{part(b'[' * 2_000)}.{part(GOOD)}.x",
        f"{token().split('.')[0]}.{part({**GOOD, 'sub': 'root'})}.{token().split('.')[2]}",
        signed({**TYP, "typ": "JWT"}, GOOD),
        signed({**TYP, "jwk": {"kty": "oct", "k": "AAAA"}}, GOOD),
        signed({**TYP, "jku": "http://127.0.0.1/keys"}, GOOD),
        signed({**TYP, "x5u": "http://127.0.0.1/keys"}, GOOD),
        signed({**TYP, "kid": "../../etc/passwd"}, GOOD),
        f"{part({**TYP, 'alg': 'HS256', 'kid': 5})}.{part(GOOD)}.x",
        signed({**TYP, "cty": "JWT"}, GOOD),
        signed(TYP, {**GOOD, "aud": "other"}),
        signed(TYP, {**GOOD, "aud": ["fleetpulse", "other"]}),
        signed(TYP, {**GOOD, "iss": "https://other"}),
        signed(TYP, {name: value for name, value in GOOD.items() if name != "aud"}),
        signed(TYP, {name: value for name, value in GOOD.items() if name != "iss"}),
        "é.é.é",
        "x" * 20_000 + "..",
    ],
    ids=range(29),
)
def test_what_we_did_not_sign_as_it_is_says_nothing(wrong: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_access_token(wrong, keys=KEYS, now_s=NOW)
    assert refused.value.reason == "wrong_token"


@pytest.mark.parametrize("exp", [None, "never", NOW - 1, 1e400, True, [NOW + 60]])
def test_a_token_without_an_end_has_ended(exp: Any) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_access_token(signed(TYP, {**GOOD, "exp": exp}), keys=KEYS, now_s=NOW)
    assert refused.value.reason == "expired_token"


def test_refresh_tokens_and_cookies_are_known_by_their_signature() -> None:
    refresh = make_refresh_token(SESSION, 7, keys=KEYS)
    cookie = make_cookie(SESSION, keys=(OLD,))
    assert read_refresh_token(refresh, keys=KEYS) == (SESSION, 7)
    assert read_cookie(cookie, keys=KEYS) == SESSION
    assert len(cookie) < 256
    for wrong in (cookie, refresh[:-1], refresh.replace("_7_", "_8_"), refresh.upper(), f"{refresh} ", "", "fpr___"):
        with pytest.raises(Unauthenticated):
            read_refresh_token(wrong, keys=KEYS)
    for wrong in (refresh, cookie[:-1], cookie.replace("0", "1", 1), f"{cookie}\n", "", "fps__"):
        with pytest.raises(Unauthenticated):
            read_cookie(wrong, keys=KEYS)
    with pytest.raises(Unauthenticated):
        read_refresh_token(refresh, keys=(FOREIGN,))
    with pytest.raises(Unauthenticated):
        read_cookie(cookie, keys=())
