"""The shape of answers about the rules of alerts."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from fleetpulse.ingest.alert_declarations import (
    AnnotationTexts,
    ConditionText,
    KindText,
    OwnerText,
    SeverityText,
    rule_body,
)
from fleetpulse.ingest.device_declarations import DurationText
from fleetpulse.model.declared_rule import DeclaredRule, RuleOrigin
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Labels, Time
from fleetpulse.query.declaration_answers import Capped


class AlertRule(Struct, kw_only=True):
    """A rule of alerts, in its canonical form."""

    name: Annotated[str, Meta(examples=["cpu-high"])]
    kind: KindText
    condition: ConditionText
    severity: SeverityText
    for_: Annotated[DurationText, Meta(description="how long it must be true before it fires")] = msgspec.field(
        name="for"
    )
    keep_firing_for: Annotated[DurationText, Meta(description="how long it must be false before it is resolved")]
    labels: Labels
    owner: OwnerText
    annotations: AnnotationTexts
    enabled: Annotated[bool, Meta(examples=[True])]
    origin: Annotated[
        RuleOrigin,
        Meta(description="who declared it: it came with the service, by alerts.toml, or by people", examples=["api"]),
    ]
    changed_at: Annotated[Time | None, Meta(description="null: it came with the service")]
    notes: Annotated[
        list[str], Meta(description="labels and metrics that it names and that there are not", examples=[[]])
    ]


class TriedAlert(Struct, kw_only=True):
    """An alert that there would be."""

    subject: Annotated[
        str, Meta(description="a device, a label's value such as `site=paris`, or `service`", examples=["press-07"])
    ]
    state: Annotated[
        Literal["pending", "firing"],
        Meta(description="pending: it is true, but not yet for so long as `for` says", examples=["firing"]),
    ]
    since: Annotated[Time, Meta(description="since when the condition is true, as far as is known")]
    fires_at: Annotated[Time, Meta(description="when it fires if nothing changes")]
    value: Annotated[float | None, Meta(description="the figure that was compared; null: none", examples=[93.5])]
    unit: Annotated[str, Meta(examples=["%"])]
    why: Annotated[str, Meta(examples=["cpu avg over 10m is 93.5 %; true for 12 m"])]
    annotations: Annotated[
        dict[str, str], Meta(description="the texts of the rule", examples=[{"summary": "CPU of press-07 is 93.5 %"}])
    ]


class ClosestFigure(Struct):
    """A figure of which the condition is false, but that is near to the threshold."""

    subject: Annotated[str, Meta(examples=["press-08"])]
    value: Annotated[float, Meta(examples=[88.1])]
    unit: Annotated[str, Meta(examples=["%"])]


class RulePreview(Struct, kw_only=True):
    """What a rule would do if it were declared now. Nothing is changed, and nobody is told."""

    at: Time
    condition: ConditionText
    devices: Annotated[Count | None, Meta(description="that the rule is about; null: it is about the service")]
    firing: Annotated[Count, Meta(description="alerts that would fire at once")]
    pending: Annotated[Count, Meta(description="those that would fire later, if nothing changes")]
    withheld: Annotated[
        Count, Meta(description="of how many maintenance, a pause or blind time say nothing", examples=[0])
    ]
    alerts: Annotated[list[TriedAlert], Meta(description="the first of them, those that fire before the others")]
    alerts_capped: Capped
    closest: Annotated[list[ClosestFigure], Meta(description="the figures that are nearest to the threshold")]
    notes: Annotated[list[str], Meta(description="what else to know of it", examples=[[]])]


class AlertRules(Struct):
    """The rules of alerts, by name."""

    rules: list[AlertRule]


def describe_rule(declared: DeclaredRule, notes: Sequence[str] = ()) -> AlertRule:
    """A rule as people see it."""
    body = msgspec.structs.asdict(rule_body(declared.rule))
    changed_at = format_rfc3339(declared.changed_at_ns) if declared.changed_at_ns else None
    return AlertRule(**body, origin=declared.origin, changed_at=changed_at, notes=list(notes))
