"""The catalog's promises about the rules of alerts, on every implementation."""

from collections.abc import Callable

import pytest

from fleetpulse.catalog.acting import Act, acting
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.audit import AuditFilter
from fleetpulse.model.declared_rule import DeclaredRule

Reopen = Callable[[], Catalog]
Spoil = Callable[[str], None]
CPU = AlertRule(
    name="cpu", kind="metric", metric="cpu", window_s=60, threshold=1.0, labels=(("site", "é:b"),), clear_threshold=0.1
)
GONE = AlertRule(name="a", kind="device_down", annotations={"summary": "{device}"})


def test_rules_are_kept_by_name_and_removed_ones_are_known(reopen: Reopen) -> None:
    catalog = reopen()
    assert catalog.alert_rules.all() == []
    cpu, gone = DeclaredRule(CPU, "file", 5), DeclaredRule(GONE, "api", 6, is_removed=True)
    for declared in (cpu, gone, cpu._replace(origin="api")):
        catalog.alert_rules.put(declared, before=None, after={})
    catalog = reopen()
    assert catalog.alert_rules.all() == [gone, cpu._replace(origin="api")]
    catalog.alert_rules.forget("a", before={})
    assert reopen().alert_rules.all() == [cpu._replace(origin="api")]
    assert reopen().damage() == []


def test_who_changed_a_rule_stands_in_the_audit_log(reopen: Reopen) -> None:
    catalog = reopen()
    with acting(Act(who="me", role="operate", action="putAlertRule")):
        catalog.alert_rules.put(DeclaredRule(CPU, "api", 5), before={"for": "5m", "owner": ""}, after={"for": "6m"})
    with acting(Act(who="me", role="operate", action="deleteAlertRule")):
        catalog.alert_rules.forget("cpu", before={"for": "6m"})
    entries = catalog.audit.piece(AuditFilter(), after=0, limit=9)
    assert [(entry.facts.subject, entry.facts.before, entry.facts.after) for entry in entries] == [
        ("alert rule cpu", '{"for": "5m", "owner": ""}', '{"for": "6m", "owner": null}'),
        ("alert rule cpu", '{"for": "6m"}', ""),
    ]


@pytest.mark.parametrize(
    ("damage", "text", "count"),
    [
        ("body = '{'", "the alert rule cpu cannot be read and is not in effect", 1),
        ("origin = 'x'", "the alert rule cpu cannot be read and is not in effect", 1),
        ("changed_at_ns = 'x'", "the alert rule cpu cannot be read and is not in effect", 1),
        ("changed_at_ns = 7", "the alert rule cpu is not what was written", 2),
        ("""body = '{"name":"cpu","kind":"metric"}'""", "cannot be read", 1),
    ],
)
def test_a_damaged_row_costs_itself_and_no_other(
    reopen: Reopen, spoil: Spoil, damage: str, text: str, count: int
) -> None:
    catalog = reopen()
    for rule in (CPU, GONE):
        catalog.alert_rules.put(DeclaredRule(rule, "api", 5), before=None, after={})
    spoil(f"UPDATE alert_rule SET {damage} WHERE name = 'cpu'")  # noqa: S608  # literals of this file
    assert [text in sentence for sentence in catalog.alert_rules.wrong_rows()] == [True]
    assert catalog.damage() == catalog.alert_rules.wrong_rows()
    assert len(reopen().alert_rules.all()) == count
