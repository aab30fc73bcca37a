"""The definition of a metric: what devices may report values of, and which values are accepted."""

import sys
from dataclasses import dataclass
from typing import Literal, get_args

from fleetpulse.errors import OutOfRange
from fleetpulse.model.text import NAME_RULE, check_text, is_name

Kind = Literal["float", "integer"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Aggregation = Literal["avg", "sum", "min", "max", "latest", "count", "p50", "p90", "p95", "p99", "stddev"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)
INTEGER_LOWEST, INTEGER_HIGHEST = -(2**63), 2**63 - 1
_TEXT_CHARS_MAX = 500
RETENTION_DAYS_HIGHEST = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """What people decide about a metric. A value below `lowest` or above `highest` is refused."""

    name: str
    unit: str = ""
    kind: Kind = "float"
    aggregation: Aggregation = "avg"
    retention_days: int = 365
    """Days after which samples and roll-ups are deleted."""
    raw_days: int | None = None
    """Days after which samples are deleted and only their roll-ups stay; None: as long as the roll-ups."""
    lowest: float | int | None = None
    highest: float | int | None = None
    description: str = ""

    @property
    def samples_kept_days(self) -> int:
        """Days after which samples are deleted."""
        return self.retention_days if self.raw_days is None else min(self.raw_days, self.retention_days)


UPLOAD_TIME = 0
"""The number of the built-in metric that `POST …/stats` writes."""
BUILT_IN = MetricDefinition(
    name="upload_time",
    unit="ns",
    kind="integer",
    aggregation="avg",
    lowest=0,
    highest=INTEGER_HIGHEST,
    description="How long an upload took",
)


def check_definition(metric: MetricDefinition) -> None:
    """Raises: ValueError: says which field is wrong and what is expected."""
    if not is_name(metric.name):
        raise ValueError(f"name `{metric.name[:100]}` must be {NAME_RULE}")
    if metric.kind not in KINDS:
        raise ValueError(f"kind of {metric.name} must be one of {', '.join(KINDS)}, not `{metric.kind[:100]}`")
    if metric.aggregation not in AGGREGATIONS:
        raise ValueError(
            f"aggregation of {metric.name} must be one of {', '.join(AGGREGATIONS)}, not `{metric.aggregation[:100]}`"
        )
    if not 1 <= metric.retention_days <= RETENTION_DAYS_HIGHEST:
        actual = _shown(metric.retention_days)
        raise ValueError(f"retention_days of {metric.name} must be 1 to {RETENTION_DAYS_HIGHEST}, not {actual}")
    if metric.raw_days is not None and not 1 <= metric.raw_days <= metric.retention_days:
        expected = f"1 to its retention_days ({metric.retention_days})"
        raise ValueError(f"raw_days of {metric.name} must be {expected}, not {_shown(metric.raw_days)}")
    _check_bounds(metric)
    for field, text in (("unit", metric.unit), ("description", metric.description)):
        check_text(text, field=f"{field} of {metric.name}", chars_max=_TEXT_CHARS_MAX)


def _shown(value: int) -> str:
    """A number in an error; one of thousands of digits is shortened."""
    text = str(value)
    return text if len(text) <= 30 else f"{text[:30]}…"


def check_built_in(metric: MetricDefinition) -> None:
    """Raises: OutOfRange: what `POST …/stats` writes would no longer fit the definition."""
    is_fitting = (metric.kind, metric.unit, metric.lowest) == (BUILT_IN.kind, BUILT_IN.unit, BUILT_IN.lowest)
    if metric.name == BUILT_IN.name and not is_fitting:
        raise OutOfRange(
            f"{metric.name} is built in: an integer of ns from 0; only its aggregation, retention and description can "
            "be changed",
            reason="metric_built_in",
        )


def _check_bounds(metric: MetricDefinition) -> None:
    for field, bound in (("lowest", metric.lowest), ("highest", metric.highest)):
        if bound is None:
            continue
        # Compared and not converted: Python's integers may be larger than any float. NaN is in no range.
        if not -sys.float_info.max <= bound <= sys.float_info.max:
            raise ValueError(f"bounds: {field} of {metric.name} must be a finite number of 64 bits")
        if metric.kind == "integer" and (bound != int(bound) or not INTEGER_LOWEST <= bound <= INTEGER_HIGHEST):
            raise ValueError(
                f"bounds: {field} of {metric.name} must be a whole number of 64 bits, as its kind is integer"
            )
    if metric.lowest is not None and metric.highest is not None and metric.lowest > metric.highest:
        raise ValueError(f"bounds: lowest of {metric.name} ({metric.lowest}) is above its highest ({metric.highest})")
