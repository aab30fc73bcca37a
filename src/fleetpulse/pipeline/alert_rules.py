"""Which rules of alerts there are: the default set, and over it what people declared, changed and removed.

They are written to the catalog first, and in effect afterwards. The default set is not stored: a rule of it that nobody
touched is as this version has it, and one that was removed stays removed.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from fleetpulse.alert_settings import RuleLimits
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.alert_declarations import declared_fields, rule_with
from fleetpulse.ingest.alerts_file import Entry
from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.declaration_merge import Fields, Known, MergeReport, Rule
from fleetpulse.model.declared_rule import DeclaredRule, RuleOrigin
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.merges import NamedEntry, merge_entry

RULE_SECTION = "rule"
"""What rules are called in alerts.toml; before the name of a rule it is what the catalog remembers of the file by."""


def _anybody(_: AlertRule) -> None:
    """Whoever changes rules may change this one."""


class AlertRules:
    """All rules.

    Attributes:
        rules: those that are enabled, by name; replaced as a whole, and never changed.
        version: grows whenever `rules` is replaced; it begins anew with each start.
        declared: those that were not removed, by name, enabled or not.
        changing: held by whoever reads rules, alters them and writes them back.
    """

    def __init__(self, *, catalog: Catalog, catalog_thread: CatalogThread, clock: Clock, limits: RuleLimits) -> None:
        self.rules: tuple[AlertRule, ...] = ()
        self.version = 0
        self.declared: Mapping[str, DeclaredRule] = {}
        self.changing = asyncio.Lock()
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._limits = limits
        self._defaults = default_rules()

    def load(self) -> None:
        """Read all rules from the catalog. Blocks; for the start, before events are accepted."""
        self._publish(self._read())

    async def put(self, rule: AlertRule, *, check: Callable[[AlertRule], None] = _anybody) -> DeclaredRule:
        """Declare a rule, or replace the one of its name.

        Args: check: raises where that one must not be replaced. Raises: OutOfRange: a limit is reached; NotAccepting.
        """
        async with self.changing:
            if (known := self.declared.get(rule.name)) is not None:
                check(known.rule)
            await self._change(partial(self._put_now, rule, "api"))
            return self.declared[rule.name]

    async def remove(self, name: str, *, check: Callable[[AlertRule], None] = _anybody) -> None:
        """Remove a rule, one of the default set, too; it stays removed. Raises: NotAccepting.

        Args: check: raises where it must not be removed.
        """
        async with self.changing:
            if (declared := self.declared.get(name)) is not None:
                check(declared.rule)
                await self._change(partial(self._remove_now, declared.rule))

    def write_merged(self, entries: Iterable[Entry], rule: Rule, report: MergeReport) -> None:
        """Write to the catalog the rules that alerts.toml adds and changes; in effect after `load` or `adopt`.

        Blocks; in a transaction, on the catalog's thread. Raises: OutOfRange; OSError.
        """
        everything = self._read()
        for entry in entries:
            declared = everything.get(entry.name)
            before = _rule_in_effect(declared)
            named = NamedEntry(
                key=_file_key(entry.name),
                named=entry.named,
                in_effect=None if before is None else declared_fields(before),
                was_deleted=declared is not None and declared.is_removed,
                declare=partial(_merged, entry.name),
                is_untouched=declared is not None and declared.origin == "default",
            )
            changed = merge_entry(self._catalog, "alerts", named, rule, report)
            if changed is not None:
                self._put_now(changed, "file", everything)
                everything[entry.name] = DeclaredRule(changed, "file")

    async def adopt(self) -> None:
        """Bring memory to what was written, while events come in. Raises: NotAccepting."""
        self._publish(await self._catalog_thread.run(self._read))

    def check_size(self, rule: AlertRule) -> None:
        """Raises: OutOfRange: the texts of a rule are longer than `alert_rule_chars_max`."""
        texts = (rule.condition, rule.owner, *rule.annotations, *rule.annotations.values(), *map(":".join, rule.labels))
        if sum(map(len, texts)) > self._limits.alert_rule_chars_max:
            raise OutOfRange(
                f"the texts of alert rule {rule.name} are longer than {self._limits.alert_rule_chars_max} characters "
                "together (alert_rule_chars_max)",
                setting="alert_rule_chars_max",
            )

    def _put_now(
        self, rule: AlertRule, origin: RuleOrigin, everything: Mapping[str, DeclaredRule] | None = None
    ) -> None:
        """Blocks; in a transaction, on the catalog's thread."""
        self.check_size(rule)
        known = self._read() if everything is None else everything
        before = _rule_in_effect(known.get(rule.name))
        if before == rule:
            return
        most = self._limits.alert_rules_max
        if before is None and sum(not one.is_removed for one in known.values()) >= most:
            raise OutOfRange(
                f"there would be more than {most} alert rules (alert_rules_max)", setting="alert_rules_max"
            )
        self._catalog.alert_rules.put(
            DeclaredRule(rule, origin, self._clock.now_ns()),
            before=None if before is None else declared_fields(before),
            after=declared_fields(rule),
        )

    def _remove_now(self, rule: AlertRule) -> None:
        """Blocks; on the catalog's thread."""
        name, before = rule.name, declared_fields(rule)
        # Only what would come back by itself must be remembered.
        if name in self._defaults or self._catalog.last_read("alerts", _file_key(name)) is not None:
            removed = DeclaredRule(rule, "api", self._clock.now_ns(), is_removed=True)
            self._catalog.alert_rules.put(removed, before=before, after=None)
        else:
            self._catalog.alert_rules.forget(name, before=before)

    async def _change(self, change: partial[None]) -> None:
        def change_and_read() -> dict[str, DeclaredRule]:
            change()
            return self._read()

        self._publish(await self._catalog_thread.run(change_and_read))

    def _read(self) -> dict[str, DeclaredRule]:
        """All rules by name, also removed ones."""
        everything = {name: DeclaredRule(rule, "default") for name, rule in self._defaults.items()}
        everything.update({declared.rule.name: declared for declared in self._catalog.alert_rules.all()})
        return dict(sorted(everything.items()))

    def _publish(self, everything: Mapping[str, DeclaredRule]) -> None:
        self.declared = {name: declared for name, declared in everything.items() if not declared.is_removed}
        rules = tuple(one.rule for one in self.declared.values() if one.rule.is_enabled)
        if rules != self.rules:
            self.rules = rules
            self.version += 1


def _rule_in_effect(declared: DeclaredRule | None) -> AlertRule | None:
    return None if declared is None or declared.is_removed else declared.rule


def _merged(name: str, known: Known, sets: Fields) -> tuple[AlertRule, Fields]:
    rule = rule_with(name, {**(known.in_effect or {}), **sets})
    return rule, declared_fields(rule)


def _file_key(name: str) -> str:
    return f"{RULE_SECTION} {name}"
