"""What a rule would have found over stored history, whatever kind of rule it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.cadence import step_s
from fleetpulse.alert.conditions.absent import LOOK_BACK_DAYS
from fleetpulse.alert.histories.condition_history import ConditionHistory, spans_as_events
from fleetpulse.alert.histories.device_statuses import StatusSpans, status_spans
from fleetpulse.alert.histories.metric_history import MetricRange, absent_events, metric_events
from fleetpulse.alert.histories.status_history import down_history, fleet_history
from fleetpulse.alert.histories.uptime_history import uptime_events, uptime_step_s
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.errors import OutOfRange
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.query.answers import Missing
from fleetpulse.query.reads import Samples
from fleetpulse.query.view import FleetView

NOT_STORED = {
    "service": "the figures of this service are in memory only",
    "drift": "how far the clocks of devices were off is not stored",
}
"""Kinds of rules that cannot be rehearsed, and why."""


def check_rehearsable(rule: AlertRule) -> None:
    """Raises: OutOfRange: there is no history of what the rule is about."""
    if rule.kind in NOT_STORED:
        raise OutOfRange(
            f"rules of kind {rule.kind} cannot be rehearsed: {NOT_STORED[rule.kind]}; "
            "try what it would find now with POST /api/v1/alerts/rules/preview",
            reason="rehearsal",
        )


@dataclass(kw_only=True, eq=False)
class Rehearsable:
    """What is stored, and over which time it is rehearsed: [start_ns, end_ns).

    Attributes:
        metrics: by name, number and definition.
        missing: gets what cannot be read.
    """

    view: FleetView
    samples: Samples
    metrics: Mapping[str, tuple[int, MetricDefinition]]
    settings: ConditionSettings
    start_ns: int
    end_ns: int
    missing: list[Missing] = field(default_factory=list)

    def statuses(self, devices: NDArray[np.int64]) -> StatusSpans:
        """The status of devices: int64, ascending, shape (n,)."""
        return status_spans(self.view, devices, start_ns=self.start_ns, end_ns=self.end_ns, missing=self.missing)


def look_back_s(rule: AlertRule) -> int:
    """How long before a rehearsal history is read, in seconds."""
    return rule.window_s if rule.kind == "uptime_below" else 0


def history_of(rule: AlertRule, given: Rehearsable) -> ConditionHistory:
    """When the condition changed, of the devices that have the labels of the rule today. Reads blocks.

    Raises: OutOfRange: a metric is not defined, or see `check_rehearsable`. QuestionStopped; TooDear; Busy.
    """
    check_rehearsable(rule)
    devices = np.flatnonzero(given.view.roster.with_labels(rule.labels))
    if rule.kind == "device_down":
        return down_history(given.statuses(devices), start_ns=given.start_ns, count=given.view.count)
    if rule.kind == "fleet":
        return fleet_history(rule, given.statuses(devices), given.view.roster, end_ns=given.end_ns)
    return _window_history(rule, given, devices)


def _window_history(rule: AlertRule, given: Rehearsable, devices: NDArray[np.int64]) -> ConditionHistory:
    """Of a rule over windows, which is looked at only where these end; also whether anything is withheld then."""
    notes: set[str] = set()
    looks_s = step_s(rule, given.settings)
    if rule.kind == "uptime_below":
        looks_s = uptime_step_s(start_ns=given.start_ns, end_ns=given.end_ns, interval_s=looks_s)
        truth = uptime_events(
            rule,
            given.view,
            devices,
            start_ns=given.start_ns,
            end_ns=given.end_ns,
            step_s=looks_s,
            missing=given.missing,
        )
        notes.add(f"uptime is looked at every {looks_s} s, and found with what is known today, such as late beats")
    else:
        found = _metric_range(rule, given, devices, notes)
        events = metric_events if rule.kind == "metric" else absent_events
        truth = events(rule, found, missing=given.missing)
    spans = given.statuses(np.unique(truth.subjects))
    silent = spans.withheld
    if rule.kind == "absent":
        silent = StatusSpans(*(np.concatenate(pair) for pair in _columns(spans)))
    starts_ns, ends_ns = (
        -(-at_ns // (looks_s * NS_PER_S)) * looks_s * NS_PER_S for at_ns in (silent.start_ns, silent.end_ns)
    )
    rows = np.flatnonzero(starts_ns < ends_ns)
    withheld = spans_as_events(silent.devices[rows], starts_ns[rows], ends_ns[rows], from_ns=given.start_ns)
    return ConditionHistory(truth=truth, withheld=withheld, count=given.view.count, notes=sorted(notes))


def _columns(spans: StatusSpans) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Of spans that are withheld, and of those in which devices are down and send nothing at all."""
    names = ("devices", "start_ns", "end_ns", "codes")
    return [(getattr(spans.withheld, name), getattr(spans.down, name)) for name in names]


def _metric_range(rule: AlertRule, given: Rehearsable, devices: NDArray[np.int64], notes: set[str]) -> MetricRange:
    entry = given.metrics.get(rule.metric)
    if entry is None:
        raise OutOfRange(
            f"condition: no metric is called {rule.metric[:64]}, so there is no history", reason="rehearsal"
        )
    start_ns = given.start_ns
    if rule.kind == "absent":
        start_ns -= min(LOOK_BACK_DAYS, max(2, rule.window_s * NS_PER_S // NS_PER_DAY + 1)) * NS_PER_DAY
    return MetricRange(
        samples=given.samples,
        number=entry[0],
        definition=entry[1],
        devices=devices,
        start_ns=start_ns,
        end_ns=given.end_ns,
        step_s=step_s(rule, given.settings),
        notes=notes,
    )
