"""What a token of an issuer says, once its signature, its issuer, its audience and its times are right.

A key is only ever taken from what the configured issuer lists. What the header of a token says of keys (`jwk`, `jku`,
`x5u`, `x5c`) is not looked at; `kid` is a name among the known ones, and `alg` must be the one of that key.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry

from fleetpulse.access.issuer_keys import IssuerKey
from fleetpulse.access.tokens import token_header, wrong_token
from fleetpulse.access_errors import Unauthenticated

SUBJECT_CHARS_MAX = 256
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
"""Types of tokens that say who asks; others, such as `logout+jwt`, are for something else."""
Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IssuerTerms:
    """Which tokens of an issuer are for us. `setting` names the audience's setting."""

    issuer: str
    audience: str
    setting: str


class _OneAlgorithm(JWSRegistry):
    """Knows the algorithm of the key and no other. EdDSA, which has a new name, is what most issuers still write."""

    max_header_length = 4_096

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError(f"`{name}` is not the algorithm of the key")
        return self.algorithms[name]


def issuer_of(token: str) -> str:
    """The issuer that a token names, which proves nothing yet. Raises: Unauthenticated: it cannot be read."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError) as error:
        raise wrong_token() from error
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    if not isinstance(issuer, str):
        raise wrong_token()
    return issuer


def key_name_of(token: str) -> str:
    """The `kid` of a token; "" where it has none. Raises: Unauthenticated: the header is none of ours."""
    header = token_header(token)
    kind, kid = header.get("typ", "JWT"), header.get("kid", "")
    is_plain = not {"crit", "b64", "zip", "enc"} & header.keys()
    if not is_plain or not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise wrong_token()
    return kid


def read_issuer_token(token: str, key: IssuerKey, *, issuer: str, now_s: float, leeway_s: float) -> Claims:
    """The claims of a token that this key signed, and that is valid now. Whom it is for is for `audiences_of`.

    Raises: Unauthenticated: it is wrong, has expired, or is not valid yet.
    """
    if token_header(token).get("alg") != key.algorithm:
        raise wrong_token()
    registry = _OneAlgorithm(algorithms=[key.algorithm], strict_check_header=False)
    try:
        claims = jwt.decode(token, key.key, registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise wrong_token() from error
    subject, expires_s = claims.get("sub"), _time(claims, "exp")
    if claims.get("iss") != issuer or not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise Unauthenticated("the token must have the claims `iss`, `sub`, `aud` and `exp`", reason="wrong_claims")
    if expires_s is None:
        raise Unauthenticated("the token must have an end, the claim `exp`", reason="wrong_claims")
    if now_s >= expires_s + leeway_s:
        raise Unauthenticated("the token has expired: get another one from its issuer", reason="expired_token")
    for name in ("nbf", "iat"):
        from_s = _time(claims, name)
        if from_s is not None and now_s < from_s - leeway_s:
            raise Unauthenticated(
                f"the token is not valid yet (`{name}`): compare the clocks of its issuer and of this machine, which "
                f"may differ by {leeway_s:g} s (issuer_leeway_s)",
                reason="token_not_yet",
            )
    return dict(claims)


def audiences_of(claims: Claims) -> frozenset[str]:
    """For whom a token is. Raises: Unauthenticated: it does not say."""
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise Unauthenticated("the token must say whom it is for, the claim `aud`", reason="wrong_claims")
    return frozenset(listed)


def check_terms(claims: Claims, terms: Mapping[str, IssuerTerms]) -> str:
    """Which of the terms of its issuer, by name, a token is for. Raises: Unauthenticated: none of them, or several."""
    audiences = audiences_of(claims)
    found = [name for name, one in terms.items() if one.audience in audiences]
    if len(found) != 1:
        settings = ", ".join(one.setting for one in terms.values())
        why = "for several audiences of ours" if found else "for another audience"
        raise Unauthenticated(f"the token is {why} (`aud`; {settings})", reason="wrong_audience")
    return found[0]


def _time(claims: Claims, name: str) -> float | None:
    """A time of a claim, None where there is none. Raises: Unauthenticated: it is no number of seconds."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated(f"the claim `{name}` must be a number of seconds since 1970", reason="wrong_claims")
    return float(value)
