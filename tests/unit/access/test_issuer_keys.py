"""Of a JWKS only public keys for signatures are taken, each with one algorithm."""

import base64
import json
from typing import Any

import pytest
from joserfc import jwk

from fleetpulse.access.issuer_keys import read_jwks

RSA = jwk.RSAKey.generate_key(2_048)
EC = jwk.ECKey.generate_key("P-256")
ED = jwk.OKPKey.generate_key("Ed25519")

SHORT = base64.urlsafe_b64encode(b"\xc3" * 128).decode().rstrip("=")
"""A modulus of 1,024 bits."""


def entry(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": "k", **more}


def jwks(*entries: Any) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (entry(RSA), "RS256"),
        (entry(RSA, alg="PS512", use="sig", key_ops=["verify"]), "PS512"),
        (entry(EC), "ES256"),
        (entry(jwk.ECKey.generate_key("P-384")), "ES384"),
        (entry(jwk.ECKey.generate_key("P-521")), "ES512"),
        (entry(ED), "EdDSA"),
        (entry(ED, alg="Ed25519"), "Ed25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_has_the_algorithm_that_it_names_or_that_of_its_type(key: dict[str, Any], algorithm: str) -> None:
    found = read_jwks(jwks(key))["k"]
    assert found.algorithm == algorithm
    assert not found.key.is_private


@pytest.mark.parametrize(
    "wrong",
    [
        {"kty": "oct", "k": "AAAA", "kid": "k"},
        {"kty": "oct", "k": "AAAA", "kid": "k", "alg": "HS256"},
        entry(RSA, alg="HS256"),
        entry(RSA, alg="none"),
        entry(RSA, alg="ES256"),
        entry(RSA, alg="RSA-OAEP", use="enc"),
        entry(RSA, use="enc"),
        entry(RSA, key_ops=["encrypt"]),
        entry(RSA, kid=5),
        entry(RSA, kid="k" * 300),
        entry(RSA, n="AAAA"),
        entry(RSA, n=5),
        {**RSA.as_dict(private=True), "kid": "k"},
        entry(RSA, n=SHORT),
        entry(EC, crv="secp256k1"),
        entry(EC, x="AAAA"),
        {"kty": "EC", "kid": "k"},
        {"kid": "k"},
        "key",
        None,
        5,
    ],
    ids=range(21),
)
def test_what_is_no_key_for_us_is_left_out(wrong: Any) -> None:
    with pytest.raises(ValueError, match="none of its keys"):
        read_jwks(jwks(wrong))
    assert list(read_jwks(jwks(wrong, entry(ED, kid="good")))) == ["good"]


def test_two_keys_of_one_name_are_none() -> None:
    assert list(read_jwks(jwks(entry(RSA), entry(ED), entry(EC, kid="e")))) == ["e"]
    unnamed = {name: value for name, value in entry(ED).items() if name != "kid"}
    assert list(read_jwks(jwks(unnamed))) == [""]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 5_000, b'{"keys": [' + b"1," * 99 + b"1]}"]
)
def test_what_is_no_jwks_is_named(text: bytes) -> None:
    with pytest.raises(ValueError, match="keys"):
        read_jwks(text)
