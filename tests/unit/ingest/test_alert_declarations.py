"""Rules as people declare them: what is printed is read as the same, and errors say where they are."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.alert_declarations import (
    NamedRuleBody,
    RuleBody,
    declared_fields,
    new_rule,
    rule_body,
    rule_of,
    rule_with,
)
from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.alert_rule import RULE_KINDS, SEVERITIES, AlertRule
from fleetpulse.notation.condition_text import FORMS

FULL = {
    "kind": "metric",
    "condition": "cpu avg over 600s > 90 until < 85",
    "severity": "critical",
    "for": "120s",
    "keep_firing_for": "1h",
    "labels": {"site": "paris", "hall": "a:b"},
    "owner": "line maintenance",
    "annotations": {"summary": "CPU of {device} is {value}: look"},
    "enabled": False,
}


def body_of(fields: dict[str, Any]) -> RuleBody:
    return msgspec.json.decode(msgspec.json.encode(fields), type=RuleBody)


def test_a_body_becomes_a_rule_and_is_printed_in_canonical_form() -> None:
    rule = rule_of("cpu-high", body_of(FULL))
    assert (rule.for_s, rule.keep_firing_for_s, rule.is_enabled) == (120, 3_600, False)
    assert rule.labels == (("hall", "a:b"), ("site", "paris"))
    printed = msgspec.to_builtins(rule_body(rule))
    assert printed == {
        **FULL,
        "name": "cpu-high",
        "condition": "cpu avg over 10m > 90 until < 85",
        "for": "2m",
        "labels": {"hall": "a:b", "site": "paris"},
    }


@pytest.mark.parametrize("length", ["300s", "5m", 300, 300.0])
def test_a_length_is_a_duration_or_a_number_of_seconds(length: object) -> None:
    rule = rule_of("r", body_of({**FULL, "for": length, "keep_firing_for": length}))
    assert (rule.for_s, rule.keep_firing_for_s) == (300, 300)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kind": "cpu"}, "kind must be one of device_down, metric, .*, not `cpu`"),
        ({"condition": "cpu"}, "condition: expected `avg` or"),
        ({"severity": "bad"}, "severity must be one of info, warning, critical, not `bad`"),
        ({"for": "5"}, "for: `5` needs a unit: 5s, 5m"),
        ({"for": 5.5}, "for must be a whole number of seconds from 0 to 2592000, or such as 5m"),
        ({"for": -1}, "for must be a whole number of seconds"),
        ({"keep_firing_for": 10**400}, "keep_firing_for must be a whole number of seconds"),
        ({"keep_firing_for": "soon"}, "keep_firing_for: `soon` is not a duration such as"),
        ({"for": "31d"}, "for must be 0s to 30d"),
        ({"labels": {"a b": "c"}}, "labels: label name `a b` must be"),
        ({"labels": {"site": ""}}, "labels: label site must have 1 to"),
        ({"owner": "x" * 201}, "owner must be at most 200 characters"),
        ({"annotations": {"a b": ""}}, "annotations: the name `a b` must be"),
        ({"annotations": {"summary": "{cpu}"}}, "annotation summary: `{cpu}` is unknown; known are {rule}"),
        ({"annotations": {"summary": "x" * 2_001}}, "annotation summary must be at most 2000 characters"),
        ({"annotations": {f"a{number}": "" for number in range(17)}}, "annotations: 17 are more than 16"),
        ({"kind": "service", "condition": "disk_free < 5 %"}, "labels: a rule about the service is about no devices"),
    ],
)
def test_an_error_names_the_field_and_what_is_expected(change: dict[str, Any], text: str) -> None:
    with pytest.raises(OutOfRange, match=text) as raised:
        new_rule("cpu-high", body_of({**FULL, **change}))
    assert raised.value.reason == "alert_rule"


@pytest.mark.parametrize("name", ["", "9lives", "a b", "x" * 65, "a/b", "é"])
def test_a_rule_has_a_name_like_a_metric(name: str) -> None:
    with pytest.raises(OutOfRange, match="name: the name of a rule must be a letter"):
        new_rule(name, body_of(FULL))


TEXTS = st.text(st.characters(exclude_characters="{}\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.sampled_from(["site", "a.b", "_x-1"])


def test_no_rule_has_the_name_of_another_route() -> None:
    with pytest.raises(OutOfRange, match="no rule can be called `preview`"):
        new_rule("preview", body_of(FULL))


RULES = st.builds(
    lambda kind, **fields: rule_of("r", RuleBody(kind=kind, condition=FORMS[kind], **fields)),
    st.sampled_from(RULE_KINDS).filter(lambda kind: kind != "service"),
    severity=st.sampled_from(SEVERITIES),
    for_=st.integers(0, 86_400).map(lambda seconds: f"{seconds}s"),
    labels=st.dictionaries(NAMES, TEXTS.filter(bool)),
    owner=TEXTS,
    annotations=st.dictionaries(NAMES, TEXTS | st.sampled_from(["{device}: {{", "a:b {label.site}"])),
    enabled=st.booleans(),
)


@given(RULES | st.sampled_from([*default_rules().values()]))
def test_any_rule_printed_and_read_again_is_the_same(rule: AlertRule) -> None:
    text = msgspec.json.encode(rule_body(rule))
    assert rule_of(rule.name, msgspec.json.decode(text, type=NamedRuleBody)) == rule
    fields = declared_fields(rule)
    assert rule_with(rule.name, msgspec.json.decode(msgspec.json.encode(fields))) == rule


@given(st.dictionaries(st.sampled_from(["condition", "severity", "for", "keep_firing_for", "owner"]), st.text()))
def test_any_text_gives_a_rule_or_a_refusal(fields: dict[str, str]) -> None:
    for kind in RULE_KINDS:
        try:
            new_rule("r", body_of({"kind": kind, "condition": FORMS[kind], **fields}))
        except OutOfRange as error:
            assert error.msg  # noqa: PT017  # either outcome is right; only a crash is not
