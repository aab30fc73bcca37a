"""The rules of alerts: the default set, and over it what people declared."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fleetpulse.alert_settings import RuleLimits
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.alert_declarations import declared_fields
from fleetpulse.ingest.alerts_file import Entry
from fleetpulse.ingest.default_alert_rules import default_rules
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.declaration_merge import FileRule, MergeReport
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.threads import Threads
from memory_service import FakeClock

DEFAULTS = default_rules()
OFFLINE = DEFAULTS["device-offline"]
SITE = AlertRule(name="site-down", kind="device_down", labels=(("site", "paris"),))
LIMITS = RuleLimits(alert_rules_max=len(DEFAULTS) + 1, alert_rule_chars_max=400)
FIRST, LATER = FileRule(is_first=True, not_named=...), FileRule(is_first=False, not_named=...)


def run(folder: Path, test: Callable[[AlertRules], Awaitable[None]]) -> None:
    """Run a test on rules; what it leaves is what a restart loads."""

    async def life() -> None:
        catalog, threads = SqliteCatalog(folder / "catalog.sqlite"), Threads()

        def rules() -> AlertRules:
            thread = CatalogThread(threads.catalog)
            loaded = AlertRules(catalog=catalog, catalog_thread=thread, clock=FakeClock(), limits=LIMITS)
            loaded.load()
            return loaded

        tested = rules()
        await test(tested)
        assert (rules().declared, rules().rules) == (tested.declared, tested.rules)
        threads.close()
        catalog.close()

    asyncio.run(life())


def read_file(rules: AlertRules, rule: FileRule, **entries: dict[str, Any]) -> MergeReport:
    report = MergeReport(9)
    rules.write_merged([Entry(name, named, None) for name, named in entries.items()], rule, report)
    rules.load()
    return report


def test_the_default_set_is_in_effect_from_the_first_start(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        assert {rule.name: rule for rule in rules.rules} == DEFAULTS
        assert {declared.origin for declared in rules.declared.values()} == {"default"}
        assert rules.version == 1

    run(tmp_path, test)


def test_a_changed_default_is_of_the_api_and_a_removed_one_stays_removed(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        changed = replace(OFFLINE, for_s=60)
        assert (await rules.put(changed)).origin == "api"
        assert rules.version == 2
        await rules.put(changed)
        assert rules.version == 2
        for name in ("device-clock", "device-clock", "never"):
            await rules.remove(name)
        assert "device-clock" not in {rule.name for rule in rules.rules}
        assert (await rules.put(DEFAULTS["device-clock"])).origin == "api"

    run(tmp_path, test)


def test_a_rule_that_is_not_enabled_is_listed_and_watches_nothing(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        await rules.put(replace(OFFLINE, is_enabled=False))
        assert OFFLINE.name not in {rule.name for rule in rules.rules}
        assert not rules.declared[OFFLINE.name].rule.is_enabled

    run(tmp_path, test)


def test_more_rules_or_longer_texts_than_the_limits_are_refused(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        await rules.put(SITE)
        with pytest.raises(OutOfRange, match="more than 8 alert rules") as raised:
            await rules.put(replace(SITE, name="other"))
        assert (raised.value.setting, rules.version) == ("alert_rules_max", 2)
        await rules.put(replace(SITE, owner="x" * 380))
        with pytest.raises(OutOfRange, match="longer than 400 characters") as raised:
            await rules.put(replace(SITE, owner="x" * 391))
        assert raised.value.setting == "alert_rule_chars_max"
        await rules.remove(SITE.name)
        await rules.put(replace(SITE, name="other"))

    run(tmp_path, test)


def test_a_file_changes_defaults_that_nobody_touched_also_at_its_first_reading(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        await rules.put(replace(DEFAULTS["service-errors"], for_s=9))
        await rules.remove("device-clock")
        entries: dict[str, dict[str, Any]] = {
            "device-offline": {"for": "10m"},
            "service-errors": {"for": "7m"},
            "device-clock": {"for": "7m"},
            "mine": {"kind": "device_down", "labels": ["site:paris"]},
        }
        report = read_file(rules, FIRST, **entries)
        assert (report.added, report.changed, report.unchanged, report.in_conflict) == (1, 1, 2, 2)
        assert rules.declared["device-offline"].rule == replace(OFFLINE, for_s=600)
        origins = {name: rules.declared[name].origin for name in ("device-offline", "service-errors", "mine")}
        assert origins == {"device-offline": "file", "service-errors": "api", "mine": "file"}
        assert rules.declared["service-errors"].rule.for_s == 9
        assert "device-clock" not in rules.declared
        assert read_file(rules, LATER, **entries).changed == 0

    run(tmp_path, test)


def test_what_the_api_changed_stays_until_the_file_changes(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        fields = declared_fields(SITE)
        read_file(rules, FIRST, **{SITE.name: fields})
        await rules.put(replace(SITE, for_s=60, owner="me"))
        report = read_file(rules, LATER, **{SITE.name: fields})
        assert [conflict.text for conflict in report.conflicts] == [
            "for is 1m, in the file 0s; owner is me, in the file "
        ]
        read_file(rules, LATER, **{SITE.name: {**fields, "for": "2m"}})
        assert rules.declared[SITE.name].rule == replace(SITE, for_s=120, owner="me")
        await rules.remove(SITE.name)
        report = read_file(rules, LATER, **{SITE.name: {**fields, "for": "2m"}})
        assert [conflict.text for conflict in report.conflicts] == [
            "was deleted, and its line in the file has not changed since"
        ]
        assert SITE.name not in rules.declared
        read_file(rules, LATER, **{SITE.name: {**fields, "for": "3m"}})
        assert rules.declared[SITE.name].rule.for_s == 180

    run(tmp_path, test)


def test_an_entry_that_does_not_fit_what_is_in_effect_is_a_conflict(tmp_path: Path) -> None:
    async def test(rules: AlertRules) -> None:
        report = read_file(rules, FIRST, **{"device-offline": {"kind": "metric"}, "mine": {"for": "1m"}})
        assert [conflict.id for conflict in report.conflicts] == ["rule device-offline", "rule mine"]
        assert rules.declared["device-offline"].rule == OFFLINE

    run(tmp_path, test)
