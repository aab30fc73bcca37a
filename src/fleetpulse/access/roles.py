"""Which role may do what: one table, which routes, the reference and the tests read."""

from typing import get_args

from fleetpulse.access.scopes import scope_text
from fleetpulse.access_errors import Forbidden, Unauthenticated
from fleetpulse.model.access import Permission, Principal, Role, ScopeRule

ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: dict[Permission, frozenset[Role]] = {
    "open": frozenset(ROLES),
    "known": frozenset(ROLES),
    "report": frozenset({"device", "ingest", "admin"}),
    "settings": frozenset({"device", "read", "operate", "admin"}),
    "read": frozenset({"read", "operate", "admin"}),
    "operate": frozenset({"operate", "admin"}),
    "admin": frozenset({"admin"}),
    "scrape": frozenset({"scrape", "read", "operate", "admin"}),
    "enrol": frozenset({"enrol"}),
}
"""The roles that have each permission."""


def check_role(principal: Principal | None, permission: Permission) -> None:
    """Raises: Unauthenticated: a key is needed and none is shown. Forbidden: the role has no such permission."""
    if permission == "open":
        return
    if principal is None:
        raise Unauthenticated.without_key()
    if principal.role not in PERMISSIONS[permission]:
        allowed = ", ".join(role for role in ROLES if role in PERMISSIONS[permission])
        raise Forbidden(
            f"the role `{principal.role}` of {principal.name} may not do this; it needs one of: {allowed}",
            reason="role",
        )


def check_scope(principal: Principal | None, rule: ScopeRule) -> None:
    """Raises: Forbidden: the route concerns all devices, and the key is for those of its scope."""
    if principal is not None and principal.scope and rule == "whole":
        raise Forbidden(
            f"this concerns all devices, and {principal.name} is for those with {scope_text(principal.scope)}; "
            "use a key without a scope",
            reason="scope",
        )
