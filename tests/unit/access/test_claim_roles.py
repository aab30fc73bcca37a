"""Claims become a role and a scope, or nobody."""

from typing import Any

import pytest

from fleetpulse.access.claim_roles import ClaimRoles, claim_of, read_rules
from fleetpulse.access_errors import Forbidden
from fleetpulse.errors import SettingsError

RULES = "admins=admin; paris-shift = operate site:paris hall:2; CN=ops,DC=x=read; *=scrape"


def roles(rules: str = RULES, **fields: str) -> ClaimRoles:
    names = {"role_claim": "groups", "scope_claim": "", "name_claim": "preferred_username", **fields}
    return ClaimRoles(rules=read_rules(rules), **names)


@pytest.mark.parametrize(
    ("groups", "role", "scope"),
    [
        (["x", "admins"], "admin", ()),
        (["paris-shift", "admins"], "admin", ()),
        ("paris-shift", "operate", (("hall", "2"), ("site", "paris"))),
        ("openid paris-shift", "scrape", ()),
        ("not really admins", "scrape", ()),
        (["not really admins"], "scrape", ()),
        (["CN=ops,DC=x"], "read", ()),
        ([], "scrape", ()),
        (None, "scrape", ()),
        (["Admins", 5, ["admins"]], "scrape", ()),
        ({"admins": True}, "scrape", ()),
    ],
)
def test_the_first_rule_that_fits_gives_role_and_scope(groups: Any, role: str, scope: object) -> None:
    principal = roles().principal({"sub": "1", "groups": groups}, issuer="https://id.example/realm")
    assert (principal.kind, principal.role, principal.scope) == ("issuer", role, scope)
    assert (principal.name, principal.device, principal.key) == ("id.example: 1", None, None)


def test_the_words_of_a_text_count_in_the_claim_scope_only() -> None:
    for claim, role in (("scope", "admin"), ("department", "scrape"), ("x.scope", "scrape")):
        claims = {"sub": "1", claim: "openid admins", "x": {"scope": "openid admins"}}
        assert roles(role_claim=claim).principal(claims, issuer="https://id.example").role == role


def test_who_it_is_does_not_hang_on_a_name_that_people_choose() -> None:
    names = ["key 1 (made by the service)", "alice", "everybody", "9 (2)"]
    found = [
        roles().principal({"sub": sub, "preferred_username": name}, issuer="https://id.example")
        for name in names
        for sub in ("1", "2")
    ]
    assert found[0].name == "id.example: key 1 made by the service (1)"
    assert len({one.name for one in found}) == 8
    assert {one.subject for one in found} == {"https://id.example 1", "https://id.example 2"}


def test_without_a_rule_a_token_stands_for_nobody() -> None:
    with pytest.raises(Forbidden) as refused:
        roles("admins=admin").principal({"sub": "1", "groups": ["staff"]}, issuer="https://id.example")
    assert refused.value.reason == "no_role"


@pytest.mark.parametrize(
    ("value", "scope"),
    [
        ("hall:2", (("hall", "2"), ("site", "paris"))),
        (["hall:2", "site:paris"], (("hall", "2"), ("site", "paris"))),
        ("hall:2 line:7", (("hall", "2"), ("line", "7"), ("site", "paris"))),
        ("*", (("site", "paris"),)),
    ],
)
def test_a_claim_narrows_the_scope(value: Any, scope: object) -> None:
    named = roles("*=read site:paris", scope_claim="fleet")
    assert named.principal({"sub": "1", "fleet": value}, issuer="https://x").scope == scope


@pytest.mark.parametrize(
    "value", [None, "", [], "paris", "site:rome", ["site:"], 5, {"site": "paris"}, "hall:2 hall:3"]
)
def test_a_scope_that_is_missing_or_contradicts_lets_nobody_in(value: Any) -> None:
    with pytest.raises(Forbidden):
        roles("*=read site:paris", scope_claim="fleet").principal({"sub": "1", "fleet": value}, issuer="https://x")


def test_claims_lie_deep_or_have_dots_in_their_names() -> None:
    claims = {"realm_access": {"roles": ["a"]}, "https://x.example/roles": ["b"], "sub": "1"}
    assert claim_of(claims, "realm_access.roles") == ["a"]
    assert claim_of(claims, "https://x.example/roles") == ["b"]
    assert claim_of(claims, "realm_access.none.deeper") is None
    assert claim_of(claims, "sub.deeper") is None


def test_a_name_is_for_people_to_read_and_hides_nothing() -> None:
    claims = {"sub": "1", "preferred_username": "  al\u202eice\n\x1b[31m" + "x" * 200}
    name = roles().principal(claims, issuer="https://id.example").name
    assert name.startswith("id.example: alice[31mxx") and len(name) == 100 + len("id.example:  (1)")
    for empty in ("", "  ", None, 5):
        assert roles().principal({"sub": "s", "preferred_username": empty}, issuer="https://i").name == "i: s"


@pytest.mark.parametrize(
    "text", ["admins", "admins=root", "=admin", "a=read site", "a=read :x", "a=device", "a=read a b:c", "a=enrol"]
)
def test_rules_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match="oidc_roles"):
        read_rules(text)
    assert read_rules(" ; ") == []
