from conftest import ROOT
from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.alert_rule import RULE_KINDS, TELEMETRY
from fleetpulse.notation.annotations import FACTS
from fleetpulse.notation.condition_text import FORMS
from fleetpulse.notation.duration import format_seconds


def test_the_default_set_has_what_the_documentation_says() -> None:
    rules = default_rules()
    assert (rules["device-offline"].kind, rules["device-offline"].for_s) == ("device_down", 0)
    assert rules["service-errors"].condition == "error_ratio over 5m > 1 %"
    assert all(rule.is_enabled and rule.annotations for rule in rules.values())


def test_the_reference_has_the_table_of_the_default_set_and_of_all_facts() -> None:
    page = (ROOT / "docs/reference/alert-rules.md").read_text()
    for rule in default_rules().values():
        condition = f"`{rule.condition}` " if rule.condition else ""
        facts = f"| `{rule.name}` | `{rule.kind}` | {condition}| {format_seconds(rule.for_s)} | {rule.severity} |"
        assert facts in page
    for fact, text in FACTS.items():
        assert f"| `{{{fact}}}` | {text} |" in page
    for kind in RULE_KINDS:
        assert f"| `{kind}` | " in page
        assert f"`{FORMS[kind]}`" in page or not FORMS[kind]
    assert [name for name in TELEMETRY if f"| `{name}` |" not in page] == []
