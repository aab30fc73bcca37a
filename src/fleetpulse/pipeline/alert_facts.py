"""The facts of a round of alerts: copied on the event loop, completed in the thread of alerts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert_settings import ConditionSettings
from fleetpulse.clock import Clock
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.alert_telemetry import AlertTelemetry
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.watch import BLIND_FROM_NS, MARK_INTERVAL_NS, Watch
from fleetpulse.query.budget import Budget

LOOK_BACK_NS = 8 * NS_PER_DAY
"""How far back late beats of devices are looked at, that were down and are heard again."""
STALLED_S = 5.0
"""A commit that takes so long keeps events from being seen, of devices that do send them."""
SILENT_JOURNAL_NS = BLIND_FROM_NS + MARK_INTERVAL_NS
"""The journal has a mark more often than that, unless the service is blind and does not know yet for how long."""
OF_METRICS = ("metric", "absent")


@dataclass(eq=False, kw_only=True)
class AlertFacts:
    """Takes facts. On the event loop."""

    clock: Clock
    watch: Watch
    intake: Intake
    follower: Follower
    views: Views
    metric_definitions: MetricDefinitions
    telemetry: AlertTelemetry
    settings: ConditionSettings

    @property
    def sees_fleet(self) -> bool:
        """Whether events come in, and all of the past is in memory: else devices seem to be silent that are not."""
        alive_at_ns = self.follower.fleet.alive_at_ns
        is_heard = self.intake.closed_by is None and self.telemetry.writer.lag_s < STALLED_S
        return is_heard and self.watch.is_settled and self.clock.now_ns() - alive_at_ns < SILENT_JOURNAL_NS

    def units(self) -> dict[str, str]:
        """The units of all metrics, by name."""
        return {metric.name: metric.unit for metric in self.metric_definitions.metrics.values()}

    def take(
        self, rules: Sequence[AlertRule], *, budget: Budget | None = None
    ) -> Callable[[Sequence[AlertRule]], Facts]:
        """What is true now. The call completes it for those of the rules that are looked at; in any thread."""
        step_ns = self.settings.alert_metric_interval_s * NS_PER_S
        uptime_s = max((rule.window_s for rule in rules if rule.kind == "uptime_below"), default=0)
        start_ns = self.clock.now_ns() - max(LOOK_BACK_NS, uptime_s * NS_PER_S + step_ns)
        fleet = self.views.fleet_from(start_ns, budget=budget)
        telemetry = self.telemetry.figures()
        metrics: Mapping[str, tuple[int, MetricDefinition]] = {}
        samples = None
        if any(rule.kind in OF_METRICS for rule in rules):
            kept = self.metric_definitions.kept()
            metrics = {
                name: (entry[0], kept.get(*entry))
                for name in {rule.metric for rule in rules}
                if (entry := self.metric_definitions.known.get(name)) is not None
            }
            samples = self.views.samples(kept, budget=budget)

        def complete(due: Sequence[AlertRule]) -> Facts:
            return Facts(
                view=fleet(),
                samples=samples() if samples is not None else None,
                metrics=metrics,
                telemetry=telemetry,
                rules=due,
                samples_max=self.settings.alert_samples_max,
                window_step_ns=step_ns,
            )

        return complete
