"""A family of tokens that somebody would like to be let in with: every one of them is refused, by its first fault."""

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from fleetpulse.access.issuer_keys import IssuerKey, read_jwks
from fleetpulse.access.issuer_tokens import (
    IssuerTerms,
    audiences_of,
    check_terms,
    issuer_of,
    key_name_of,
    read_issuer_token,
)
from fleetpulse.access_errors import Unauthenticated

NOW = 1_800_000_000
ISSUER = "https://id.example"
RSA, STOLEN, EC, ED = (
    RSAKey.generate_key(2_048),
    RSAKey.generate_key(2_048),
    ECKey.generate_key("P-256"),
    OKPKey.generate_key("Ed25519"),
)
KEYS = read_jwks(
    json.dumps(
        {"keys": [{**key.as_dict(private=False), "kid": kid} for kid, key in (("r", RSA), ("e", EC), ("d", ED))]}
    ).encode()
)
GOOD = {"iss": ISSUER, "aud": "fleetpulse", "sub": "alice", "iat": NOW, "nbf": NOW, "exp": NOW + 300}
PEM, DER = RSA.as_pem(private=False), RSA.as_der(private=False)


def sign(key: Any = RSA, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token; a claim of None is left out."""
    head = {"alg": "RS256", "kid": "r", **(header or {})}
    body = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
    signed = f"{part(head)}.{part(body)}"
    return f"{signed}.{part(jws.JWSRegistry.algorithms[head['alg']].sign(signed.encode(), key))}"


def part(value: Any) -> str:
    return (
        base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")
    )


def by_hmac(secret: bytes) -> str:
    """A token whose signature is an HMAC with what everybody knows: the public key."""
    signed = f"{part({'alg': 'HS256', 'kid': 'r'})}.{part(GOOD)}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def read(token: str, key: IssuerKey = KEYS["r"], now_s: float = NOW) -> dict[str, Any]:
    assert issuer_of(token)
    key_name_of(token)
    return read_issuer_token(token, key, issuer=ISSUER, now_s=now_s, leeway_s=60)


def test_tokens_of_each_kind_of_key_say_who(recwarn: pytest.WarningsRecorder) -> None:
    for kid, alg, key in (("r", "RS256", RSA), ("e", "ES256", EC), ("d", "EdDSA", ED)):
        token = sign(key, {"alg": alg, "kid": kid, "typ": "JWT"})
        assert (issuer_of(token), key_name_of(token)) == (ISSUER, kid)
        assert read(token, KEYS[kid])["sub"] == "alice"
    assert not recwarn.list


JWK = {**STOLEN.as_dict(private=False), "kid": "r"}
NONE = part({"alg": "none", "kid": "r"})
FORGED = [
    f"{NONE}.{part(GOOD)}.",
    f"{NONE}.{part(GOOD)}.AAAA",
    f"{part({'alg': 'None', 'kid': 'r'})}.{part(GOOD)}.",
    f"{part({'kid': 'r'})}.{part(GOOD)}.AAAA",
    f"{part({'alg': ['RS256'], 'kid': 'r'})}.{part(GOOD)}.AAAA",
    sign(STOLEN),
    sign(STOLEN, {"jwk": JWK}),
    sign(STOLEN, {"jku": "http://127.0.0.1:9/keys"}),
    sign(STOLEN, {"x5u": "http://127.0.0.1:9/chain"}),
    sign(STOLEN, {"x5c": ["AAAA"]}),
    sign(STOLEN, {"kid": "../../../../dev/null"}),
    sign(STOLEN, {"kid": "r' OR 1=1 --"}),
    *(by_hmac(secret) for secret in (PEM, PEM.strip(), DER, json.dumps(RSA.as_dict(private=False)).encode(), b"")),
    sign(RSA, {"alg": "RS384"}),
    sign(RSA, {"alg": "PS256"}),
    sign(EC, {"alg": "ES256"}),
    sign()[:-3],
    sign().rpartition(".")[0] + ".",
    f"{sign().split('.')[0]}.{part({**GOOD, 'sub': 'root'})}.{sign().split('.')[2]}",
    sign(RSA, {"crit": ["exp"]}),
    f"{part({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.{part(GOOD)}.A",
    sign(RSA, {"zip": "DEF"}),
    sign(RSA, {"typ": "logout+jwt"}),
    sign(RSA, {"typ": "dpop+jwt"}),
    sign(RSA, {"typ": 5}),
    f"{part({'alg': 'RS256', 'kid': 5})}.{part(GOOD)}.A",
    sign(RSA, {"filler": "x" * 4_000}),
    f"{part({'alg': 'RSA-OAEP', 'enc': 'A128GCM'})}.a.b.c.d",
    "....",
    "e30..",
    f"{part({'alg': 'RS256', 'kid': 'r'})}.{part(b'[' * 3_000)}.A",
    f"{part({'alg': 'RS256', 'kid': 'r'})}.{part([1])}.A",
    f"{part({'alg': 'RS256', 'kid': 'r'})}.{part({**GOOD, 'iss': [ISSUER]})}.A",
    f"{part({'alg': 'RS256', 'kid': 'r'})}.!!.A",
    "x" * 30_000,
]


@pytest.mark.parametrize("token", FORGED, ids=range(len(FORGED)))
def test_what_the_key_did_not_sign_as_it_is_says_nothing(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(token)
    assert refused.value.reason == "wrong_token"


def test_what_a_header_says_of_keys_is_not_looked_at() -> None:
    header = {"jwk": JWK, "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/", "x5t": "AAAA", "nonce": "n"}
    assert read(sign(RSA, header))["sub"] == "alice"  # it is signed with the right key, whatever else it says


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "wrong_claims"),
        ({"exp": "never"}, "wrong_claims"),
        ({"exp": True}, "wrong_claims"),
        ({"exp": float("nan")}, "wrong_claims"),
        ({"exp": float("inf")}, "wrong_claims"),
        ({"sub": None}, "wrong_claims"),
        ({"sub": ""}, "wrong_claims"),
        ({"sub": ["alice"]}, "wrong_claims"),
        ({"sub": "a" * 300}, "wrong_claims"),
        ({"iss": "https://id.example/"}, "wrong_claims"),
        ({"nbf": "now"}, "wrong_claims"),
        ({"exp": NOW - 60}, "expired_token"),
        ({"exp": -1}, "expired_token"),
        ({"nbf": NOW + 61}, "token_not_yet"),
        ({"iat": NOW + 61}, "token_not_yet"),
        ({"iat": NOW + 1e300}, "token_not_yet"),
    ],
)
def test_claims_that_lack_or_are_not_of_now(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(sign(**claims))
    assert refused.value.reason == reason


def test_clocks_may_differ_a_little() -> None:
    assert read(sign(nbf=NOW + 60, iat=NOW + 60, exp=NOW - 59))["sub"] == "alice"
    assert read(sign(nbf=None, iat=None, exp=NOW + 0.5))["sub"] == "alice"
    with pytest.raises(Unauthenticated):
        read(sign(), now_s=NOW + 360)


PEOPLE = {"people": IssuerTerms(ISSUER, "fleetpulse", "oidc_audience")}
BOTH = {**PEOPLE, "devices": IssuerTerms(ISSUER, "presses", "device_audience")}


@pytest.mark.parametrize("aud", ["fleetpulse", ["fleetpulse"], ["fleetpulse", "other"]])
def test_a_token_is_for_whom_it_names(aud: Any) -> None:
    assert check_terms({"aud": aud}, BOTH) == "people"


@pytest.mark.parametrize(
    ("aud", "reason"),
    [
        ("other", "wrong_audience"),
        ("Fleetpulse", "wrong_audience"),
        ("fleetpulse ", "wrong_audience"),
        (["fleetpulse", "presses"], "wrong_audience"),
        (None, "wrong_claims"),
        ([], "wrong_claims"),
        ([["fleetpulse"]], "wrong_claims"),
        ({"fleetpulse": 1}, "wrong_claims"),
        ([5, "fleetpulse"], "wrong_claims"),
    ],
)
def test_a_token_for_others_or_for_two_is_refused(aud: Any, reason: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        check_terms({"aud": aud}, BOTH)
    assert refused.value.reason == reason
    assert audiences_of({"aud": "a"}) == {"a"}
