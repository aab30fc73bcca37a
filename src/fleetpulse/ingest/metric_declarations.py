"""Metrics as people define them, in metrics.json and over HTTP: JSON becomes checked definitions."""

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fleetpulse.errors import OutOfRange
from fleetpulse.model.declaration_merge import Fields
from fleetpulse.model.metric import AGGREGATIONS, KINDS, MetricDefinition, check_definition
from fleetpulse.model.text import NAME_PATTERN
from fleetpulse.notation.whole import whole

# The rules for values are only described here; `model/metric.py` checks them.
Unit = Annotated[str, Meta(description="what the values are in", examples=["%"])]
AggregationName = Annotated[
    str,
    Meta(description="how many values become one", examples=["avg"], extra_json_schema={"enum": list(AGGREGATIONS)}),
]
RetentionDays = Annotated[
    int | float,
    Meta(
        description="days after which samples and roll-ups are deleted",
        examples=[90],
        extra_json_schema={"type": "integer"},  # which 90.0 is, too
    ),
]
RawDays = (
    Annotated[
        int | float,
        Meta(
            description="days after which samples are deleted and only their roll-ups stay; "
            "null: as long as the roll-ups",
            extra_json_schema={"type": "integer"},
        ),
    ]
    | None
)
Bounds = Annotated[
    list[int | float | None],
    Meta(min_length=2, max_length=2, description="lowest and highest, inclusive; null: none", examples=[[0, 100]]),
]
Description = Annotated[str, Meta(examples=["Share of the processor in use"])]


class Definition(msgspec.Struct, forbid_unknown_fields=True):
    """A metric to define. Fields that are left out have these defaults."""

    name: Annotated[str, Meta(examples=["cpu"], extra_json_schema={"pattern": f"^{NAME_PATTERN}$"})]
    unit: Unit = ""
    kind: Annotated[str, Meta(description="of its values; never changes", extra_json_schema={"enum": list(KINDS)})] = (
        "float"
    )
    aggregation: AggregationName = "avg"
    retention_days: RetentionDays = 365
    raw_days: RawDays = None
    bounds: Bounds = msgspec.field(default_factory=lambda: [None, None])
    description: Description = ""


class DefinitionChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a definition; a field that is left out stays as it is. Name and kind never change."""

    unit: Unit | UnsetType = UNSET
    aggregation: AggregationName | UnsetType = UNSET
    retention_days: RetentionDays | UnsetType = UNSET
    raw_days: RawDays | UnsetType = UNSET
    bounds: Bounds | UnsetType = UNSET
    description: Description | UnsetType = UNSET


def definition(body: Definition) -> MetricDefinition:
    """The checked definition. Raises: ValueError: says which field is wrong and what is expected."""
    fields: dict[str, Any] = msgspec.structs.asdict(body)
    fields["lowest"], fields["highest"] = fields.pop("bounds")
    for name in ("retention_days", "raw_days"):
        days = fields[name]
        fields[name] = None if days is None else whole(days)
        if days is not None and fields[name] is None:
            raise ValueError(f"{name} of {body.name[:100]} must be a whole number of days, not {days}")
    metric = MetricDefinition(**fields)
    check_definition(metric)
    return metric


def definition_with(fields: Fields) -> MetricDefinition:
    """The checked definition with these fields, and defaults for all others. Raises: ValueError: as `definition`."""
    return definition(msgspec.convert(dict(fields), Definition))


def new_metric(body: Definition) -> MetricDefinition:
    """The checked definition of a request. Raises: OutOfRange: says which field is wrong and what is expected."""
    try:
        return definition(body)
    except ValueError as error:
        raise OutOfRange(str(error), reason="metric_definition") from error


def declared_fields(metric: MetricDefinition) -> dict[str, Any]:
    """The fields of a definition as requests and answers have them, the bounds as a pair."""
    fields = asdict(metric)
    fields["bounds"] = [fields.pop("lowest"), fields.pop("highest")]
    return fields


def changed_metric(metric: MetricDefinition, change: DefinitionChange) -> MetricDefinition:
    """The checked definition after the change. Raises: OutOfRange."""
    body = Definition(**declared_fields(metric))
    for name, value in msgspec.structs.asdict(change).items():
        if value is not UNSET:
            setattr(body, name, value)
    return new_metric(body)
