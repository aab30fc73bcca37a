"""Rules of alerts as whoever asks may see and change them: of somebody with a scope, what concerns its devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from fleetpulse.access.scopes import is_within, labels_within, scope_text
from fleetpulse.access_errors import Forbidden
from fleetpulse.errors import NotFound
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.declared_rule import DeclaredRule
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.alert_rule_answers import AlertRule as DescribedRule
from fleetpulse.query.alert_rule_answers import describe_rule
from fleetpulse.query.notes import selection_notes

NAMES_LISTED = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class SeenRules:
    """The rules of one service, with what there is to see of them."""

    alert_rules: AlertRules
    registry: Registry
    metric_definitions: MetricDefinitions

    def all(self) -> list[DescribedRule]:
        """The rules that concern devices of whoever asks, by name."""
        return [self._described(declared) for declared in self.alert_rules.declared.values() if self._is_seen(declared)]

    def get(self, name: str) -> DescribedRule:
        """One of them. Raises: NotFound."""
        return self._described(self._find(name))

    async def put(self, rule: AlertRule) -> DescribedRule:
        """Declare a rule, or replace the one of its name; of somebody with a scope, for its devices alone.

        Raises: Forbidden: it is, or was, for others, too. OutOfRange; NotAccepting.
        """
        return self._described(await self.alert_rules.put(rule_within(rule), check=_check_own))

    async def remove(self, name: str) -> None:
        """Remove a rule. Raises: NotFound; Forbidden: it is for others, too; NotAccepting."""
        self._find(name)
        await self.alert_rules.remove(name, check=_check_own)

    def notes(self, rule: AlertRule) -> list[str]:
        """What a rule names and that there is not: labels that no device has, and metrics that nobody defined."""
        notes: Sequence[str] = ()
        if rule.kind != "service":
            notes = selection_notes(self.registry.seen_roster, rule.labels, by=rule.by)
        if rule.metric and self.metric_definitions.known.get(rule.metric) is None:
            return [*notes, f"no metric is called {rule.metric}: the rule finds nothing until there is one"]
        return list(notes)

    def _find(self, name: str) -> DeclaredRule:
        declared = self.alert_rules.declared.get(name)
        if declared is None or not self._is_seen(declared):
            seen = [known for known, one in self.alert_rules.declared.items() if self._is_seen(one)]
            known = f"there are: {', '.join(seen[:NAMES_LISTED])}" if seen else "there are none"
            raise NotFound(f"no alert rule is called {name[:100]}; {known}", reason="unknown_alert_rule")
        return declared

    def _is_seen(self, declared: DeclaredRule) -> bool:
        """Somebody with a scope sees rules for all devices, for devices of the scope, and for its own alone."""
        scope, labels = current_asker().scope, declared.rule.labels
        if not scope or not labels or is_within(dict(labels), scope):
            return True
        return bool(self.registry.seen_roster.with_labels(labels).any())

    def _described(self, declared: DeclaredRule) -> DescribedRule:
        return describe_rule(declared, self.notes(declared.rule))


def rule_within(rule: AlertRule) -> AlertRule:
    """A rule for devices of the scope of whoever asks alone: with its labels.

    Raises: Forbidden: it is about the service, or names another value of a label of the scope.
    """
    scope = current_asker().scope
    if not scope:
        return rule
    if rule.kind == "service":
        raise _not_own(rule)
    return replace(rule, labels=tuple(sorted(labels_within(dict(rule.labels), scope).items())))


def _check_own(rule: AlertRule) -> None:
    if not is_within(dict(rule.labels), current_asker().scope):
        raise _not_own(rule)


def _not_own(rule: AlertRule) -> Forbidden:
    scope = scope_text(current_asker().scope)
    return Forbidden(
        f"alert rule {rule.name} is not for devices with {scope} alone, for whom this key is: choose another name",
        reason="scope",
    )
