"""Rules of alerts as people declare them, over HTTP and in alerts.toml: bodies become checked rules."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.device_declarations import DurationText, LabelTexts, SecondsNumber
from fleetpulse.ingest.scope_declarations import scope_texts
from fleetpulse.model.alert_rule import (
    CONDITION_CHARS_MAX,
    FOR_HIGHEST_S,
    OWNER_CHARS_MAX,
    RULE_KINDS,
    SEVERITIES,
    AlertRule,
    check_rule,
    check_rule_name,
)
from fleetpulse.model.declaration_merge import Fields
from fleetpulse.notation.annotations import check_annotation
from fleetpulse.notation.condition_text import FORMS, parse_condition
from fleetpulse.notation.duration import DURATION_EXPECTED, UnitMissing, format_seconds, parse_length
from fleetpulse.notation.whole import whole

# The rules for values are only described here. `model/alert_rule.py` checks them.
KindText = Annotated[
    str, Meta(description="what it watches", examples=["metric"], extra_json_schema={"enum": list(RULE_KINDS)})
]
ConditionText = Annotated[
    str,
    Meta(
        description=f"when it is true, such as {', '.join(f'`{form}`' for form in FORMS.values() if form)}; empty for "
        "`device_down`, which follows from the interval and grace of devices",
        examples=[FORMS["metric"]],
        extra_json_schema={"maxLength": CONDITION_CHARS_MAX},
    ),
]
SeverityText = Annotated[str, Meta(examples=["warning"], extra_json_schema={"enum": list(SEVERITIES)})]
OwnerText = Annotated[
    str,
    Meta(
        description="whom it concerns, for people",
        examples=["line maintenance"],
        extra_json_schema={"maxLength": OWNER_CHARS_MAX},
    ),
]
AnnotationTexts = Annotated[
    dict[str, str],
    Meta(
        description="texts for messages; facts stand in braces, such as {device}, {value} and {label.site}",
        examples=[{"summary": "CPU of {device} is {value} since {since}"}],
    ),
]


class RuleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule of alerts. Fields that are left out have these defaults."""

    kind: KindText
    condition: ConditionText = ""
    severity: SeverityText = "warning"
    for_: Annotated[DurationText | SecondsNumber, Meta(description="how long it must be true before it fires")] = (
        msgspec.field(default="0s", name="for")
    )
    keep_firing_for: Annotated[
        DurationText | SecondsNumber, Meta(description="how long it must be false before it is resolved")
    ] = "0s"
    labels: Annotated[LabelTexts, Meta(description="devices that have all of these; empty: all")] = {}
    owner: OwnerText = ""
    annotations: AnnotationTexts = {}
    enabled: Annotated[bool, Meta(description="false: it stays declared, and watches nothing", examples=[True])] = True


class TriedRuleBody(RuleBody, forbid_unknown_fields=True, kw_only=True):
    """A rule that is not declared, to see what it would do now."""

    name: Annotated[str, Meta(description="for texts that name it", examples=["cpu-high"])] = "tried"


class NamedRuleBody(RuleBody, forbid_unknown_fields=True, kw_only=True):
    """A rule with its name."""

    name: Annotated[str, Meta(examples=["cpu-high"])]


def rule_of(name: str, body: RuleBody) -> AlertRule:
    """The checked rule. Raises: ValueError: names the field, the text that is wrong, and what is expected."""
    check_rule_name(name)
    for kind in RULE_KINDS:
        if body.kind == kind:
            break
    else:
        raise ValueError(f"kind must be one of {', '.join(RULE_KINDS)}, not `{body.kind[:64]}`")
    rule = AlertRule(
        name=name,
        kind=kind,
        severity=body.severity,  # type: ignore[arg-type]  # check_rule compares it with those that there are
        for_s=_seconds("for", body.for_),
        keep_firing_for_s=_seconds("keep_firing_for", body.keep_firing_for),
        labels=tuple(sorted(body.labels.items())),
        owner=body.owner,
        annotations=dict(sorted(body.annotations.items())),
        is_enabled=body.enabled,
        **parse_condition(kind, body.condition),
    )
    check_rule(rule)
    for annotation, template in rule.annotations.items():
        check_annotation(template, field=f"annotation {annotation}")
    return rule


def _seconds(field: str, given: str | float) -> int:
    if isinstance(given, (int, float)):
        seconds = whole(given)
        if seconds is None or not 0 <= seconds <= FOR_HIGHEST_S:
            raise ValueError(f"{field} must be a whole number of seconds from 0 to {FOR_HIGHEST_S}, or such as 5m")
        return seconds
    text = given
    try:
        return parse_length(text)
    except UnitMissing as error:
        raise ValueError(f"{field}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{field}: `{text[:50]}` is not {DURATION_EXPECTED}") from error


def new_rule(name: str, body: RuleBody) -> AlertRule:
    """The checked rule of a request. Raises: OutOfRange: says which field is wrong and what is expected."""
    try:
        return rule_of(name, body)
    except ValueError as error:
        raise OutOfRange(str(error), reason="alert_rule") from error


def rule_body(rule: AlertRule) -> NamedRuleBody:
    """The declaration of a rule, in its canonical form."""
    return NamedRuleBody(
        name=rule.name,
        kind=rule.kind,
        condition=rule.condition,
        severity=rule.severity,
        for_=format_seconds(rule.for_s),
        keep_firing_for=format_seconds(rule.keep_firing_for_s),
        labels=dict(rule.labels),
        owner=rule.owner,
        annotations=dict(rule.annotations),
        enabled=rule.is_enabled,
    )


def declared_fields(rule: AlertRule) -> dict[str, Any]:
    """The fields of a declaration as files are merged by, in canonical form; labels and annotations as lists."""
    fields: dict[str, Any] = msgspec.to_builtins(rule_body(rule))
    fields["labels"] = scope_texts(rule.labels)
    fields["annotations"] = scope_texts(rule.annotations.items())
    return {name: fields[name] for name in RuleBody.__struct_encode_fields__}


def rule_with(name: str, fields: Fields) -> AlertRule:
    """The checked rule with these fields, and defaults for all others. Raises: ValueError: as `rule_of`."""
    body: dict[str, Any] = dict(fields)
    for field in ("labels", "annotations"):
        body[field] = dict(text.split(":", 1) for text in body.get(field) or ())
    return rule_of(name, msgspec.convert(body, RuleBody))
