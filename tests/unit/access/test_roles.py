import pytest

from fleetpulse.access.roles import PERMISSIONS, ROLES, check_role, check_scope
from fleetpulse.access_errors import Forbidden, Unauthenticated
from fleetpulse.model.access import EVERYBODY, Principal


@pytest.mark.parametrize("permission", PERMISSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_passes_where_the_table_has_it(role: str, permission: str) -> None:
    principal = Principal(kind="key", name="key 1", role=role)
    if role in PERMISSIONS[permission]:
        check_role(principal, permission)
    else:
        with pytest.raises(Forbidden) as caught:
            check_role(principal, permission)
        assert caught.value.reason == "role"


def test_without_a_principal_only_what_is_open_passes() -> None:
    check_role(None, "open")
    with pytest.raises(Unauthenticated) as caught:
        check_role(None, "read")
    assert caught.value.reason == "no_key"
    check_role(EVERYBODY, "admin")


def test_a_key_with_a_scope_does_not_reach_what_concerns_all_devices() -> None:
    scoped = Principal(kind="key", name="key 1", role="admin", scope=(("site", "paris"),))
    with pytest.raises(Forbidden, match="site:paris"):
        check_scope(scoped, "whole")
    check_scope(scoped, "labels")
    check_scope(EVERYBODY, "whole")
