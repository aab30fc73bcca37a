"""What alerts there are, as a plain model: one alert after the other, with dictionaries.

Written from the promises: pending for `for`, firing until false for `keep_firing_for`, timers that stand still while
nothing can be said and while the monitor does not run, one alert that fires again within an hour, and flapping.
"""

from dataclasses import dataclass, field, replace

from alert_world import Truth
from fleetpulse.alert_settings import AlertSettings
from fleetpulse.model.alert_rule import AlertRule

Subject = tuple[str, int]
"""The name of a rule, and the number of a device or the place of a group."""


@dataclass
class ModelAlert:
    """One alert; times in s. `firings`: when it fired. `values`: the figures that were looked at."""

    since: int
    started: int
    is_firing: bool = False
    fired_at: int = 0
    false_since: int | None = None
    withheld_since: int | None = None
    excused: int = 0
    values: set[float] = field(default_factory=set)
    firings: list[int] = field(default_factory=list)
    times: int = 0
    is_flapping: bool = False
    resolved_at: int = 0
    resolution: str = ""
    severity: str = ""


@dataclass
class Model:
    """All alerts: those that are open, and those that ended a short while ago."""

    settings: AlertSettings
    open: dict[Subject, ModelAlert] = field(default_factory=dict)
    ended: dict[Subject, ModelAlert] = field(default_factory=dict)
    away: list[tuple[int, int]] = field(default_factory=list)
    withheld: dict[str, set[int]] = field(default_factory=dict)
    rules: dict[str, AlertRule] = field(default_factory=dict)
    now: int = 0
    fresh: list[Subject] = field(default_factory=list)
    gone: dict[Subject, ModelAlert] = field(default_factory=dict)
    """Those that ended in this round."""

    def copy(self) -> "Model":
        """A model that goes on by itself."""
        alerts = {
            name: {
                subject: replace(one, firings=list(one.firings), values=set(one.values))
                for subject, one in getattr(self, name).items()
            }
            for name in ("open", "ended")
        }
        return replace(self, **alerts, withheld=dict(self.withheld), rules=dict(self.rules), fresh=[], gone={})

    def lasted(self, since: int) -> int:
        """How long the monitor was running since then."""
        away = sum(max(0, min(end, self.now) - max(start, since)) for start, end in self.away)
        return max(0, self.now - since - away)

    def round(self, now: int, rules: list[AlertRule], truth: dict[str, Truth], away: list[tuple[int, int]]) -> None:
        """What is true now makes alerts go on."""
        self.now, self.away = now, away
        self._heed_clock()
        for subject in [one for one in self.open if one[0] not in {rule.name for rule in rules if rule.is_enabled}]:
            self._end(subject, "rule_changed")
        within = int(self.settings.flap_within_s)
        self.ended = {one: alert for one, alert in self.ended.items() if now - alert.resolved_at <= within}
        for rule in rules:
            if rule.is_enabled:
                self._go_on(rule, truth[rule.name])

    def _heed_clock(self) -> None:
        for alert in (*self.open.values(), *self.ended.values()):
            alert.since, alert.started = min(alert.since, self.now), min(alert.started, self.now)
            alert.fired_at, alert.resolved_at = min(alert.fired_at, self.now), min(alert.resolved_at, self.now)
            if alert.false_since is not None:
                alert.false_since = min(alert.false_since, self.now)
            if alert.withheld_since is not None:
                alert.withheld_since = min(alert.withheld_since, self.now)

    def _go_on(self, rule: AlertRule, truth: Truth) -> None:
        former, self.withheld[rule.name] = self.withheld.get(rule.name, set()), truth.withheld
        for number, (down_since, value) in truth.true.items():
            since = min(down_since, self.now)
            if (rule.name, number) not in self.open:
                started = self.now if number in former else since
                self.open[rule.name, number] = ModelAlert(since, started, severity=rule.severity)
            self.open[rule.name, number].values.add(value)
        for subject in [one for one in self.open if one[0] == rule.name]:
            alert, number = self.open[subject], subject[1]
            alert.severity = rule.severity
            if number in truth.withheld:
                alert.withheld_since = self.now if alert.withheld_since is None else alert.withheld_since
                continue
            if alert.withheld_since is not None:
                alert.excused += self.lasted(alert.withheld_since)
                alert.withheld_since = None
            if number in truth.true:
                self._is_true(subject, rule)
            else:
                self._is_false(subject, rule)

    def _is_true(self, subject: Subject, rule: AlertRule) -> None:
        alert = self.open[subject]
        if alert.is_firing:
            if alert.false_since is not None:
                alert.false_since, alert.excused = None, 0
                if alert.is_flapping:
                    alert.times += 1
            return
        if self.lasted(alert.started) - alert.excused < rule.for_s:
            return
        if subject in self.ended:
            before = self.ended.pop(subject)
            alert.firings, alert.times = before.firings, before.times
        alert.is_firing, alert.fired_at, alert.excused = True, self.now, 0
        alert.firings, alert.times = [self.now, *alert.firings], alert.times + 1
        recent = [at for at in alert.firings if self.now - at <= self.settings.flap_within_s]
        alert.is_flapping = len(recent) >= self.settings.flap_times
        self.fresh.append(subject)

    def _is_false(self, subject: Subject, rule: AlertRule) -> None:
        alert = self.open[subject]
        if not alert.is_firing:
            del self.open[subject]
            return
        if alert.false_since is None:
            alert.false_since, alert.excused = self.now, 0
        keep = rule.keep_firing_for_s
        if alert.is_flapping:
            keep = max(keep, int(self.settings.flap_quiet_s))
        if self.lasted(alert.false_since) - alert.excused >= keep:
            self._end(subject, "recovered")

    def _end(self, subject: Subject, resolution: str) -> None:
        alert = self.open.pop(subject)
        if alert.is_firing:
            alert.resolved_at, alert.resolution = self.now, resolution
            self.gone[subject] = replace(alert)
            if resolution == "recovered":
                if alert.is_flapping:
                    alert.firings, alert.is_flapping = [], False
                self.ended[subject] = alert
