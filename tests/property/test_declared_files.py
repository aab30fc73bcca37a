"""Any sequence of edits over the API and in files, of restarts and of SIGHUPs, declares what a plain model says."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.file_readings import FileKind
from fleetpulse.ingest.alert_declarations import declared_fields as rule_fields
from fleetpulse.ingest.alert_declarations import rule_with
from fleetpulse.ingest.device_declarations import DeviceChange, NewDevice
from fleetpulse.ingest.metric_declarations import (
    Definition,
    DefinitionChange,
    changed_metric,
    declared_fields,
    new_metric,
)
from fleetpulse.model.declaration_merge import Fields, Known, Rule
from fleetpulse.model.device_fields import device_fields
from fleetpulse.pipeline.declared_files import DeclaredFiles
from fleetpulse.pipeline.file_sources import alerts_source, devices_source, metrics_source, rule_section
from fleetpulse.pipeline.merges import file_rule
from fleetpulse.pipeline.service import Service
from memory_service import World

IDS = ("a", "b", "c")
DEVICE_VALUES = {"site": (None, "x", "y"), "hall": (None, "1"), "note": (None, "n"), "interval": (None, 60, 300)}
METRIC_VALUES = {
    "unit": ("", "%"),
    "retention_days": (30, 365),
    "raw_days": (None, 2),
    "bounds": ([None, None], [0, 100]),
    "description": ("", "d"),
}
RULE_VALUES = {"severity": ("info", "critical"), "for": ("0s", "5m"), "owner": ("", "o"), "labels": ([], ["site:x"])}
RULE_DEFAULTS = {"severity": "warning", "for": "0s", "owner": "", "labels": []}
METRIC_DEFAULTS = {"unit": "", "retention_days": 365, "raw_days": None, "bounds": [None, None], "description": ""}
Operation = tuple[Any, ...]
NEVER = object()
RuleOf = Callable[[Catalog, FileKind], Rule]


def field_of(values: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.sampled_from([(name, value) for name, allowed in values.items() for value in allowed])


def rows_of(values: dict[str, tuple[Any, ...]], names: list[str]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    row = st.fixed_dictionaries({name: st.sampled_from(values[name]) for name in names})
    return st.dictionaries(st.sampled_from(IDS), row, max_size=3)


def part_of(values: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(allowed) for name, allowed in values.items()})


OPERATIONS = st.one_of(
    st.tuples(st.just("set device"), st.sampled_from(IDS), field_of(DEVICE_VALUES)),
    st.tuples(st.just("delete device"), st.sampled_from(IDS)),
    st.tuples(
        st.just("write devices.csv"),
        st.lists(st.sampled_from(list(DEVICE_VALUES)), unique=True).flatmap(
            lambda names: rows_of(DEVICE_VALUES, names)
        ),
    ),
    st.tuples(st.just("set metric"), st.sampled_from(IDS), field_of(METRIC_VALUES)),
    st.tuples(st.just("delete metric"), st.sampled_from(IDS)),
    st.tuples(st.just("write metrics.json"), st.dictionaries(st.sampled_from(IDS), part_of(METRIC_VALUES), max_size=3)),
    st.tuples(st.just("set rule"), st.sampled_from(IDS), field_of(RULE_VALUES)),
    st.tuples(st.just("delete rule"), st.sampled_from(IDS)),
    st.tuples(st.just("write alerts.toml"), st.dictionaries(st.sampled_from(IDS), part_of(RULE_VALUES), max_size=3)),
    st.tuples(st.just("SIGHUP")),
    st.tuples(st.just("restart")),
)


@dataclass
class Kind:
    """Plainly, one of the files and what it declares. `declared[id]` is None once it was deleted."""

    absent: object
    defaults: dict[str, Any]
    file: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_read: dict[str, dict[str, Any]] = field(default_factory=dict)
    declared: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    was_read: bool = False

    def set(self, name: str, field_name: str, value: Any) -> None:
        self.declared[name] = {**(self.declared.get(name) or self.defaults), field_name: value}

    def read(self) -> None:
        for name, line in self.file.items():
            known = self.last_read.get(name, {})
            changed = {key: value for key, value in line.items() if known.get(key, self.absent) != value}
            in_effect = self.declared.get(name)
            is_new_line = bool(changed) or name not in self.last_read
            if name not in self.declared or (self.was_read and in_effect is None and is_new_line):
                self.declared[name] = {**self.defaults, **line}
            elif self.was_read and in_effect is not None:
                self.declared[name] = {**in_effect, **changed}
            self.last_read[name] = {**known, **line}
        self.was_read = True

    def result(self) -> dict[str, dict[str, Any]]:
        return {
            name: {key: value for key, value in fields.items() if value is not None}
            for name, fields in self.declared.items()
            if fields is not None
        }


class Life:
    """A service through restarts, beside the plain model of what must be declared."""

    def __init__(self, folder: Path, rule_of: RuleOf) -> None:
        self.world = World(folder)
        self.paths = {"devices": folder / "devices.csv", "metrics": folder / "metrics.json"}
        self.paths["alerts"] = folder / "alerts.toml"
        self.devices = Kind(absent=None, defaults={})
        self.metrics = Kind(absent=NEVER, defaults=METRIC_DEFAULTS)
        self.rules = Kind(absent=NEVER, defaults=RULE_DEFAULTS)
        self.rule_of = rule_of
        self.service: Service
        self.files: DeclaredFiles
        self.write_devices({})
        self.write_metrics({})
        self.write_rules({})

    async def start(self) -> None:
        self.service = self.world.service()
        await self.service.node.start()
        self.files = replace(
            self.service.declared_files,
            sources=[
                devices_source(self.paths["devices"], self.service.registry),
                metrics_source(self.paths["metrics"], self.service.metric_definitions),
                alerts_source(self.paths["alerts"], [rule_section(self.service.alert_rules)]),
            ],
            rule_of=self.rule_of,
        )
        self.files.load_now()
        self.read()

    def read(self) -> None:
        for kind in (self.devices, self.metrics, self.rules):
            kind.read()

    def write_devices(self, rows: dict[str, dict[str, Any]]) -> None:
        names = list(next(iter(rows.values()), {}))
        lines = [",".join(["device_id", *names])]
        lines += [",".join([key, *(str(row[name] or "") for name in names)]) for key, row in rows.items()]
        self.paths["devices"].write_text("\n".join([*lines, ""]))
        self.devices.file = rows

    def write_metrics(self, entries: dict[str, dict[str, Any]]) -> None:
        self.paths["metrics"].write_text(json.dumps([{"name": name, **entry} for name, entry in entries.items()]))
        self.metrics.file = entries

    def write_rules(self, entries: dict[str, dict[str, Any]]) -> None:
        lines: list[str] = []
        for name, entry in entries.items():
            labels = dict(text.split(":") for text in entry.get("labels", ()))
            fields = entry | ({"labels": labels} if "labels" in entry else {})
            lines += ["[[rule]]", f'name = "{name}"', 'kind = "device_down"']
            lines += [f"{key} = {toml(value)}" for key, value in fields.items()]
        self.paths["alerts"].write_text("\n".join(lines))
        self.rules.file = entries

    async def do(self, operation: Operation) -> None:
        match operation:
            case "set device", str(name), (str(key), value):
                await self.set_device(name, key, value)
                self.devices.set(name, key, value)
            case "delete device", str(name) if self.devices.declared.get(name) is not None:
                await self.service.inventory.delete(name)
                self.devices.declared[name] = None
            case "set metric", str(name), (str(key), value):
                await self.set_metric(name, key, value)
                self.metrics.set(name, key, value)
            case "delete metric", str(name) if self.metrics.declared.get(name) is not None:
                await self.service.metric_definitions.remove(name)
                self.metrics.declared[name] = None
            case "write devices.csv", rows:
                self.write_devices(rows)
            case "write metrics.json", entries:
                self.write_metrics(entries)
            case "set rule", str(name), (str(key), value):
                fields = {**(self.rules.declared.get(name) or {}), key: value}
                await self.service.alert_rules.put(rule_with(name, {"kind": "device_down", **fields}))
                self.rules.set(name, key, value)
            case "delete rule", str(name) if self.rules.declared.get(name) is not None:
                await self.service.alert_rules.remove(name)
                # Without a line in a file nothing would bring it back, so it is as if it had never been.
                self.rules.declared[name] = None
                if name not in self.rules.last_read:
                    del self.rules.declared[name]
            case "write alerts.toml", entries:
                self.write_rules(entries)
            case ("SIGHUP",):
                await self.files.reload()
                self.read()
            case ("restart",):
                await self.service.node.stop()
                await self.start()

    async def set_device(self, name: str, key: str, value: Any) -> None:
        written = f"{value}s" if key == "interval" and value else value
        fields: dict[str, Any] = {key: written} if key in {"interval", "note"} else {"labels": {key: written}}
        if key == "note":
            fields = {"note": value or ""}
        if self.devices.declared.get(name) is not None:
            await self.service.inventory.change(name, DeviceChange(**fields))
        else:
            if value is None:
                fields = {}
            await self.service.inventory.add(NewDevice(name, **fields))

    async def set_metric(self, name: str, key: str, value: Any) -> None:
        definitions = self.service.metric_definitions
        if self.metrics.declared.get(name) is not None:
            change = DefinitionChange(**{key: value})
            await definitions.change(name, lambda metric: changed_metric(metric, change))
        else:
            await definitions.add(new_metric(Definition(name, **{key: value})))

    async def check(self) -> None:
        numbers = list(self.service.registry.numbers.values())
        devices = [record.device for record in await self.service.registry.records_of(numbers)]
        declared = {device.id: device_fields(device) for device in devices}
        assert without_none(declared) == self.devices.result()
        definitions = self.service.metric_definitions
        metrics = {name: declared_fields(definitions.get(name)) for name in definitions.known.names if name in IDS}
        compared = {name: {key: fields[key] for key in METRIC_DEFAULTS} for name, fields in metrics.items()}
        assert without_none(compared) == self.metrics.result()
        known = self.service.alert_rules.declared
        rules = {name: rule_fields(known[name].rule) for name in IDS if name in known}
        compared = {name: {key: fields[key] for key in RULE_DEFAULTS} for name, fields in rules.items()}
        assert compared == self.rules.result()


def toml(value: Any) -> str:
    """A text, or a table of texts."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(text)}" for key, text in value.items()) + "}"
    return json.dumps(value)


def without_none(entries: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in fields.items() if value is not None} for name, fields in entries.items()
    }


def live(operations: list[Operation], rule_of: RuleOf = file_rule) -> None:
    """Raises: AssertionError: something is declared that the model does not say."""

    async def life(folder: Path) -> None:
        tested = Life(folder, rule_of)
        await tested.start()
        try:
            for operation in operations:
                await tested.do(operation)
                await tested.check()
        finally:
            await tested.service.node.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(life(Path(folder)))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(OPERATIONS, max_size=14))
def test_what_is_declared_is_the_three_way_merge(operations: list[Operation]) -> None:
    live(operations)


def replace_whole(_catalog: Catalog, kind: FileKind) -> Rule:
    """The rule of before: a file replaces what is declared, and what it does not name is erased."""

    def rule(named: Fields, known: Known) -> Fields:
        return {**(METRIC_DEFAULTS if kind == "metrics" else dict.fromkeys(known.in_effect or {})), **named}

    return rule


@pytest.mark.parametrize(
    "operations",
    [
        [("write devices.csv", {"a": {"site": "x"}}), ("SIGHUP",), ("set device", "a", ("note", "n")), ("restart",)],
        [("write devices.csv", {"a": {}}), ("SIGHUP",), ("delete device", "a"), ("SIGHUP",)],
        [
            ("write metrics.json", {"a": {"retention_days": 30}}),
            ("SIGHUP",),
            ("set metric", "a", ("retention_days", 365)),
            ("restart",),
        ],
    ],
)
def test_the_control_replacing_whole_is_noticed(operations: list[Operation]) -> None:
    live(operations)
    with pytest.raises(AssertionError):
        live(operations, replace_whole)
