"""The keys of an issuer, as its JWKS lists them. Each has one algorithm, whatever the header of a token says.

Only public keys of signatures are taken: a symmetric key in a public document is everybody's, and one with its private
half is, too.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

KEYS_MAX = 64
KID_CHARS_MAX = 256
RSA_BITS_LEAST = 2_048
_ALGORITHMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "EC P-256": ("ES256",),
        "EC P-384": ("ES384",),
        "EC P-521": ("ES512",),
        "OKP Ed25519": ("EdDSA", "Ed25519"),
    }
)
"""By type and curve of a key, the algorithms that it may name; the first one is that of keys that name none."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key, and the one algorithm that its signatures have."""

    algorithm: str
    key: jwk.RSAKey | jwk.ECKey | jwk.OKPKey


def read_jwks(text: bytes) -> dict[str, IssuerKey]:
    """The keys of a JWKS by their `kid`; a single key may have none, and is under "".

    Raises: ValueError: it is no JWKS, or has no key that can be used; says why.
    """
    try:
        document = json.loads(text)
        listed = document["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no JSON object with a list `keys`") from error
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"`keys` must be a list of at most {KEYS_MAX} keys")
    found: dict[str, IssuerKey] = {}
    ambiguous: set[str] = set()
    for entry in listed:
        kid = entry.get("kid", "") if isinstance(entry, dict) else None
        key = _key_of(entry) if isinstance(kid, str) and len(kid) <= KID_CHARS_MAX else None
        if kid is None or key is None:
            continue
        if kid in found:
            ambiguous.add(kid)
        found[kid] = key
    usable = {kid: key for kid, key in found.items() if kid not in ambiguous}
    if not usable:
        raise ValueError(
            "none of its keys is a public key for signatures (RSA of 2,048 bits, EC, Ed25519) with a `kid`"
        )
    return usable


def _key_of(entry: dict[str, Any]) -> IssuerKey | None:
    """The key of an entry; None: it is of no use here."""
    kind = entry.get("kty")
    family = _ALGORITHMS.get("RSA" if kind == "RSA" else f"{kind} {entry.get('crv')}", ())
    algorithm = entry.get("alg") or (family[0] if family else "")
    operations = entry.get("key_ops", ["verify"])
    is_for_signatures = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if algorithm not in family or not is_for_signatures or "d" in entry:
        return None
    names = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}[str(kind)]
    try:
        if kind == "RSA" and _bits(entry["n"]) < RSA_BITS_LEAST:
            return None
        key = jwk.import_key({name: entry[name] for name in names})
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return None if isinstance(key, jwk.OctKey) else IssuerKey(str(algorithm), key)


def _bits(number: str) -> int:
    """How many bits a number of a JWK has. Raises: ValueError; TypeError: it is none."""
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)), "big").bit_length()
