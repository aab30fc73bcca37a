"""Who shows a token that an identity provider signed: a person or program by its claims, or a device by its subject."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from fleetpulse.access.claim_roles import ClaimRoles
from fleetpulse.access.issuer_keys import IssuerKey
from fleetpulse.access.issuer_tokens import IssuerTerms, check_terms, issuer_of, key_name_of, read_issuer_token
from fleetpulse.access.tokens import ALGORITHM, TOKEN_CHARS_MAX, token_header, wrong_token
from fleetpulse.access_errors import Forbidden, Unauthenticated
from fleetpulse.clock import Clock
from fleetpulse.model.access import Principal
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.issuer_source import IssuerSource
from fleetpulse.pipeline.registry import Registry

TOKENS_KNOWN_MAX = 10_000
"""Tokens whose signatures are not looked at again while they and their keys are valid; the oldest are forgotten."""
PEOPLE, DEVICES = "people", "devices"


class _Known(NamedTuple):
    """A token that was found right: of which source, signed with which key, until when, and what it says."""

    source: IssuerSource
    kid: str
    key: IssuerKey
    expires_s: float
    kind: str
    claims: dict[str, Any]


class Issuers:
    """The issuers that are configured, and ourselves, who sign with an algorithm that no issuer may have."""

    def __init__(
        self,
        sources: Sequence[IssuerSource],
        terms: Mapping[str, Mapping[str, IssuerTerms]],
        *,
        own: Callable[[str], Awaitable[Principal]],
        roles: ClaimRoles,
        registry: Registry,
        clock: Clock,
        leeway_s: float,
    ) -> None:
        """`terms`: by issuer, which of its tokens are for PEOPLE and which for DEVICES. `own`: for tokens of ours."""
        self._sources = {source.address.issuer: source for source in sources}
        self._terms = terms
        self._own = own
        self._roles = roles
        self._registry = registry
        self._clock = clock
        self._leeway_s = leeway_s
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def load(self) -> None:
        """Take the keys as they were last read. Blocks; for the start."""
        for source in self._sources.values():
            source.load()

    async def reload(self) -> None:
        """Take the keys as another node has read them. Raises: NotAccepting."""
        for source in self._sources.values():
            await source.reload()

    async def verify_token(self, token: str) -> Principal:
        """Who shows a token.

        Raises: Unauthenticated; Forbidden: it is right, and stands for nobody here; Busy: its issuer does not answer.
        """
        if token_header(token).get("alg") == ALGORITHM:
            return await self._own(token)
        if not self._sources or len(token) > TOKEN_CHARS_MAX:
            raise wrong_token()
        digest, now_s = sha256(token.encode("utf-8", "replace")).digest(), self._clock.now_ns() / NS_PER_S
        known = self._known.get(digest)
        if known is None or known.expires_s <= now_s or await known.source.key(known.kid) is not known.key:
            known = await self._read(token, now_s)
            self._known[digest] = known
            if len(self._known) > TOKENS_KNOWN_MAX:
                self._known.popitem(last=False)
        return (
            self._device(known)
            if known.kind == DEVICES
            else self._roles.principal(known.claims, issuer=known.source.address.issuer)
        )

    async def _read(self, token: str, now_s: float) -> _Known:
        source = self._sources.get(issuer_of(token))
        if source is None:
            raise wrong_token()
        issuer, kid = source.address.issuer, key_name_of(token)
        key = await source.key(kid)
        read = partial(read_issuer_token, token, issuer=issuer, now_s=now_s, leeway_s=self._leeway_s)
        try:
            claims = read(key)
        except Unauthenticated as error:
            if kid or error.reason != "wrong_token":
                raise
            newer = await source.newer_key(kid)
            if newer is key:
                raise
            key, claims = newer, read(newer)
        kind = check_terms(claims, self._terms[issuer])
        return _Known(source, kid, key, float(claims["exp"]) + self._leeway_s, kind, claims)

    def _device(self, known: _Known) -> Principal:
        device_id = str(known.claims["sub"])
        number = self._registry.numbers.get(device_id)
        if number is None:
            raise Forbidden(
                f"the token is of `{device_id[:100]}`, and no device has this id: declare it first "
                f"(`fleetpulse devices add`)",
                reason="unknown_subject",
            )
        name = f"device {device_id}"
        return Principal(kind="issuer", name=name, role="device", device=number, device_id=device_id)
