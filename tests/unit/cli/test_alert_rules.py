"""Rules as tables, and what `set` makes of a rule and flags."""

from typing import Any

import pytest

from cli_text import printed
from fleetpulse.cli import alert_rules
from fleetpulse.cli.alert_rules import preview_parts, rule_parts, rules_parts
from fleetpulse.cli.main import main
from fleetpulse.ingest.alert_declarations import NamedRuleBody, rule_of
from fleetpulse.model.declared_rule import DeclaredRule
from fleetpulse.query.alert_rule_answers import AlertRules, ClosestFigure, RulePreview, TriedAlert, describe_rule

BODY = NamedRuleBody(
    name="cpu-high",
    kind="metric",
    condition="cpu avg over 10m > 90",
    for_="5m",
    labels={"site": "paris"},
    annotations={"summary": "{device} is hot"},
    enabled=False,
)
RULE = describe_rule(DeclaredRule(rule_of(BODY.name, BODY), "file", 1_000_000_000))


def test_rules_are_listed_a_line_each() -> None:
    text = " ".join(printed(*rules_parts(AlertRules([RULE]))).split())
    assert "cpu-high metric cpu avg over 10m > 90 5m warning site:paris file disabled" in text


def test_a_rule_is_shown_whole() -> None:
    lines = [" ".join(line.split()) for line in printed(*rule_parts(RULE)).splitlines()]
    assert lines == [
        "name cpu-high",
        "kind metric",
        "condition cpu avg over 10m > 90",
        "for 5m",
        "keep firing for 0s",
        "severity warning",
        "devices site:paris",
        "summary {device} is hot",
        "enabled no",
        "origin file",
        "changed 1970-01-01T00:00:01Z",
    ]


@pytest.mark.parametrize("text", ["summary", "=text", ""])
def test_an_annotation_has_a_name_and_a_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "rules", "set", "x", "--annotation", text, "--url", "http://127.0.0.1:1"]) == 2
    assert "must be name=text such as" in capsys.readouterr().err


def test_texts_replace_those_of_their_names_and_empty_ones_are_removed() -> None:
    known: dict[str, Any] = {"summary": "old", "runbook": "see"}
    assert alert_rules.annotated(known, ("summary=a=b", "runbook=", "new=x")) == {"summary": "a=b", "new": "x"}


def test_a_trial_shows_what_would_fire_and_what_is_near() -> None:
    since = "2026-11-24T08:30:00Z"
    hot = TriedAlert(
        subject="press-07",
        state="firing",
        since=since,
        fires_at=since,
        value=93.5,
        unit="%",
        why="cpu avg over 10m is 93.5 %",
        annotations={"summary": "press-07 is hot"},
    )
    answer = RulePreview(
        at=since,
        condition="cpu avg over 10m > 90",
        devices=9,
        firing=2,
        pending=1,
        withheld=0,
        alerts=[hot],
        alerts_capped=True,
        closest=[ClosestFigure("press-08", 88.125, "%")],
        notes=[],
    )
    lines = [" ".join(line.split()) for line in printed(*preview_parts(answer)).splitlines()]
    assert f"press-07 firing 93.5 % {since} cpu avg over 10m is 93.5 %" in lines
    assert lines[-4:] == [
        "… and 2 more.",
        "The first one says: press-07 is hot",
        "Of 9 devices: would fire now: 2, would fire later: 1; nothing can be said of: 0.",
        "Nearest to the threshold: press-08 88.125 %.",
    ]
