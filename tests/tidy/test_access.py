"""Every route says who may use it, on which devices, and how often; what is open to all is listed here once more."""

from typing import get_args

import pytest

from fleetpulse.api.app import ROUTES, _litestar
from fleetpulse.api.routes import Route, route
from fleetpulse.model.access import LimitRule, Permission, ScopeRule

OPEN = {
    *("root", "healthz", "readyz", "openapi", "docs"),
    *("login", "refresh", "logout", "signInPage", "signIn", "signOut"),
    *("acknowledgePage", "acknowledgeByLink"),
    "getBadge",  # its path has a token, which shows one badge and nothing else
}
"""Operations that are answered without a key."""
UNLIMITED = {"healthz", "readyz"}
"""Operations without a rate limit of their own."""
OWN = {"changePassword"}
"""Operations by which people change something of themselves alone."""
ASKING = {"previewAlertRule", "rehearseAlertRule"}
"""Questions that are put by POST, since what they are about does not fit into a query; they change nothing."""


@pytest.mark.parametrize("declared", ROUTES, ids=lambda one: one.operation)
def test_a_route_declares_permission_scope_and_limit(declared: Route) -> None:
    permission, scope, limit = declared.facts.access
    assert permission in get_args(Permission)
    assert scope in get_args(ScopeRule)
    assert limit in get_args(LimitRule)
    assert (scope == "device") == ("{device_id" in declared.path)
    assert (permission == "open") == (declared.operation in OPEN), "say in OPEN that it is answered without a key"
    assert (limit == "none") == (declared.operation in UNLIMITED), "say in UNLIMITED that it has no rate limit"
    if declared.method != "GET" and declared.operation not in OWN | ASKING:
        assert permission not in ("read", "settings", "scrape"), "whoever may only read changes nothing"


def test_a_route_that_does_not_declare_them_cannot_be_made() -> None:
    for left_out in ("permission", "scope", "limit"):
        access = {"permission": "read", "scope": "none", "limit": "key"}
        del access[left_out]
        with pytest.raises(TypeError, match=left_out):
            route("GET /x", group="service", operation="x", **access)  # type: ignore[arg-type]  # on purpose


def test_nothing_is_served_but_declared_routes() -> None:
    """The framework must add no handler of its own: it would not be asked who may use it."""
    assert _litestar([]).routes == []
