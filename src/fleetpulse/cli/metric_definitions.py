"""The actions of `fleetpulse metrics` on definitions: which metrics may be reported."""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import NONE, Service, WholeOrNone, action
from fleetpulse.cli.tables import Part, facts_of, left, prose, right, table_of
from fleetpulse.errors import SettingsError
from fleetpulse.model.metric import AGGREGATIONS, KINDS
from fleetpulse.query.declaration_answers import Message, Metric, Metrics

DEFINITIONS = "/api/v1/metrics/definitions"
MetricName = Annotated[str, Parameter(help="Name of the metric.")]
Aggregation = Annotated[
    str | None, Parameter(metavar="AGGREGATION", help=f"How values are combined into one: {', '.join(AGGREGATIONS)}.")
]
Text = Annotated[str | None, Parameter(metavar="TEXT")]
Bound = Annotated[str | None, Parameter(metavar="X")]
app = App()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Fields:
    """What a definition says.

    Attributes:
        unit: Unit of the values, such as % or ms.
        retention_days: Days after which samples and roll-ups are deleted.
        raw_days: Days after which the samples are deleted and only roll-ups are left; `none` means --retention-days.
        lowest: Values below this are refused; `none` means no bound.
        highest: Values above this are refused; `none` means no bound.
        description: What it measures, for people.
    """

    unit: Text = None
    aggregation: Aggregation = None
    retention_days: WholeOrNone = None
    raw_days: Annotated[str | None, Parameter(metavar="N")] = None
    lowest: Bound = None
    highest: Bound = None
    description: Text = None

    def body(self) -> dict[str, Any]:
        """The fields of a request, without the bounds."""
        names = ("unit", "aggregation", "description", "retention_days")
        fields = {name: value for name in names if (value := getattr(self, name)) is not None}
        return fields | ({} if self.raw_days is None else {"raw_days": _number(self.raw_days)})


@action(app, "fleetpulse metrics list")
def list_(*, service: Service = Service()) -> None:
    """List the metrics that may be reported."""
    service.ask(DEFINITIONS, shape=Metrics, parts=_list_parts)


def _list_parts(answer: Metrics) -> list[Part]:
    texts = map(left, ("metric", "unit", "kind", "aggregation"))
    columns = [*texts, *map(right, ("days", "raw days", "lowest", "highest")), prose("")]
    rows = [
        [metric.name, metric.unit, metric.kind, metric.aggregation, *_limits(metric), metric.description]
        for metric in answer.metrics
    ]
    return [table_of(columns, rows), *(part for metric in answer.metrics for part in _deletion_parts(metric))]


def _limits(metric: Metric) -> list[str]:
    values = (metric.retention_days, metric.raw_days, *metric.bounds)
    return ["" if value is None else str(value) for value in values]


@action(app, "fleetpulse metrics show cpu")
def show(name: MetricName, /, *, service: Service = Service()) -> None:
    """Show one definition."""
    service.ask(_path(name), shape=Metric, parts=_metric_parts)


@action(app, "fleetpulse metrics define cpu --unit % --aggregation avg --lowest 0 --highest 100 --retention-days 90")
def define(
    name: MetricName,
    /,
    *,
    kind: Annotated[str | None, Parameter(metavar="KIND", help=f"{' or '.join(KINDS)} (default: float).")] = None,
    fields: Fields = Fields(),
    service: Service = Service(),
) -> None:
    """Define a metric; its kind cannot be changed later."""
    body = {"name": name, **({} if kind is None else {"kind": kind}), **fields.body()}
    body["bounds"] = [_number(bound) for bound in (fields.lowest, fields.highest)]
    service.ask(DEFINITIONS, method="POST", body=body, shape=Metric, parts=_metric_parts)


@action(app, "fleetpulse metrics change cpu --retention-days 30 --highest none")
def change(name: MetricName, /, *, fields: Fields = Fields(), service: Service = Service()) -> None:
    """Change a definition; what is not given stays as it is."""
    body = fields.body()
    bounds = fields.lowest, fields.highest
    if bounds != (None, None):
        with service.client() as client:
            known = client.get(_path(name)).into(Metric).bounds
        pairs = zip(known, bounds, strict=True)
        body["bounds"] = [before if bound is None else _number(bound) for before, bound in pairs]
    if not body:
        text = "nothing is to be changed: give --unit, --aggregation, --retention-days or another of its fields."
        raise SettingsError(text)
    service.ask(_path(name), method="PATCH", body=body, shape=Metric, parts=_metric_parts)


@action(app, "fleetpulse metrics remove cpu")
def remove(name: MetricName, /, *, service: Service = Service()) -> None:
    """Remove a definition; samples stay until their retention ends."""
    service.ask(_path(name), method="DELETE", shape=Message, parts=message_parts)


def _metric_parts(metric: Metric) -> list[Part]:
    names = ("name", "unit", "kind", "aggregation", "description")
    titles = ("retention days", "raw days", "lowest", "highest")
    facts = facts_of([*((name, getattr(metric, name)) for name in names), *zip(titles, _limits(metric), strict=True)])
    return [facts, *_deletion_parts(metric)]


def _deletion_parts(metric: Metric) -> list[Part]:
    """What a shorter retention will delete, each as a sentence."""
    return [f"{deletion.msg[:1].upper()}{deletion.msg[1:]}." for deletion in metric.coming_deletions]


def _number(text: str | None) -> int | float | None:
    """A number as it was written: whole ones stay exact."""
    if text is None or text == NONE:
        return None
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise SettingsError(f"`{text}` is not a number; expected one such as 100 or 0.5, or {NONE}.")


def _path(name: str) -> str:
    return f"{DEFINITIONS}/{segment(name)}"
