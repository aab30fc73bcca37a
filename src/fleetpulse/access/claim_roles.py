"""What people and programs whom an issuer knows may do here: role and scope by what their tokens claim.

    oidc_roles     fleet-admins=admin; paris-shift=operate site:paris; *=read

The first entry wins whose value is among those of the claim; `*` is any token. So put what allows more first. A claim
is a text, or a list of texts; only `scope` is a text of words, as OAuth writes it: the words of other texts may be
anything that somebody wrote about themselves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fleetpulse.access_errors import Forbidden
from fleetpulse.errors import SettingsError
from fleetpulse.model.access import Principal, Role, Scope
from fleetpulse.model.device import check_labels

NAME_CHARS_MAX = 100
EVERYBODY = "*"
_ROLES = ("read", "operate", "admin", "ingest", "scrape")
_ENTRY = re.compile(rf"(?P<value>.+)=\s*(?P<role>{'|'.join(_ROLES)})(?P<labels>(\s+\S+)*)\s*")


@dataclass(frozen=True, slots=True)
class RoleRule:
    """A role and a scope, for tokens whose claim has the value."""

    value: str
    role: Role
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRoles:
    """How claims become a principal."""

    rules: Sequence[RoleRule]
    role_claim: str
    scope_claim: str
    name_claim: str

    def principal(self, claims: dict[str, Any], *, issuer: str) -> Principal:
        """Who shows a token with these claims. Raises: Forbidden: no role is for them."""
        values = {EVERYBODY, *_texts(claim_of(claims, self.role_claim), are_words=self.role_claim == "scope")}
        rule = next((rule for rule in self.rules if rule.value in values), None)
        name = self._name(claims)
        if rule is None:
            raise Forbidden(
                f"no role is for {name}: none of the values of the claim `{self.role_claim}` is in oidc_roles",
                reason="no_role",
            )
        scope = rule.scope
        if self.scope_claim:
            scope = self._narrowed(scope, claims, name)
        host, sub = issuer.partition("://")[2].partition("/")[0], str(claims["sub"])
        return Principal(kind="issuer", name=f"{host}: {name}", role=rule.role, scope=scope, subject=f"{issuer} {sub}")

    def _narrowed(self, scope: Scope, claims: dict[str, Any], name: str) -> Scope:
        value = claim_of(claims, self.scope_claim)
        texts = value.split() if isinstance(value, str) else _texts(value)
        if texts == [EVERYBODY]:
            return scope
        labels = dict(scope)
        try:
            for label, value in _labels(texts):
                if labels.setdefault(label, value) != value:
                    raise ValueError(f"{label} has two values")
        except ValueError as error:
            text = f"the claim `{self.scope_claim}` of {name} is no scope: {error}"
            raise Forbidden(text, reason="no_role") from error
        if not texts:
            raise Forbidden(f"the token of {name} has no claim `{self.scope_claim}`", reason="no_role")
        return tuple(sorted(labels.items()))

    def _name(self, claims: dict[str, Any]) -> str:
        """A name in logs and in the audit log, with `sub`, since people may change the rest; it gives no rights."""
        name = claims.get(self.name_claim) if self.name_claim else None
        sub, text = _plain(str(claims["sub"])), _plain(name) if isinstance(name, str) else ""
        return f"{text} ({sub})" if text and text != sub else sub


def read_rules(text: str) -> list[RoleRule]:
    """The rules of `oidc_roles`. Raises: SettingsError."""
    rules = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise SettingsError(
                f"oidc_roles: `{entry[:100]}` must be VALUE=ROLE or VALUE=ROLE name:value, such as `paris=read "
                f"site:paris`, where ROLE is one of {', '.join(_ROLES)}"
            )
        try:
            labels = _labels(match["labels"].split())
            check_labels(dict(labels))
        except ValueError as error:
            raise SettingsError(f"oidc_roles: `{entry[:100]}`: {error}") from error
        rules.append(RoleRule(match["value"].strip(), cast("Role", match["role"]), tuple(sorted(labels))))
    return rules


def claim_of(claims: dict[str, Any], path: str) -> Any:
    """A claim by its name, or by the names that lead to it, with dots between; None where there is none."""
    if path in claims:  # names may have dots themselves, as those that are URLs do
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _plain(text: str) -> str:
    """A text for people to read that cannot end the brackets around it."""
    return "".join(char for char in text.strip() if char.isprintable() and char not in "()")[:NAME_CHARS_MAX].strip()


def _texts(value: Any, *, are_words: bool = False) -> list[str]:
    """The texts of a claim: those of a list, or a text, or its words."""
    if isinstance(value, str):
        return value.split() if are_words else [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _labels(texts: Sequence[str]) -> list[tuple[str, str]]:
    labels = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name or not value:
            raise ValueError(f"`{text[:100]}` is no label name:value")
        labels.append((name, value))
    return labels
