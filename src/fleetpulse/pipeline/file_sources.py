"""The declared files, one by one: how each is read and merged with the catalog, and how memory follows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from fleetpulse.catalog.catalog import Registered
from fleetpulse.catalog.file_readings import FileKind
from fleetpulse.errors import AlertsFileError, DevicesFileError, MetricsFileError
from fleetpulse.ingest.alerts_file import Entry, ReadEntry, read_alerts, read_receiver, read_route, read_rule
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.ingest.metrics_file import read_metrics
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.pipeline.alert_rules import RULE_SECTION, AlertRules
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.receivers import RECEIVER_SECTION, ROUTE_SECTION, Receivers
from fleetpulse.pipeline.registry import Registry

_Written = TypeVar("_Written")


@dataclass(frozen=True, kw_only=True, eq=False)
class FileSource(Generic[_Written]):
    """A declared file.

    Attributes:
        kind: what it declares; also the name of the setting that has its path.
        name: what it is called in the log, whatever its name.
        error: what its content raises where it cannot be used.
        changing: held while it is merged, in this order.
        read: reads the file, outside of transactions, since a database ends one in which nothing happens for seconds.
            What it returns writes what changes to the catalog. Both block, on the catalog's thread; the latter in a
            transaction.
        adopt_now: brings memory to what was written. Blocks; for the start.
        adopt: the same while events come in.
    """

    kind: FileKind
    name: str
    path: Path
    error: type[DevicesFileError | MetricsFileError | AlertsFileError]
    changing: Sequence[asyncio.Lock]
    read: Callable[[], Callable[[Rule, MergeReport], _Written]]
    adopt_now: Callable[[_Written], None]
    adopt: Callable[[_Written], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, eq=False)
class AlertSection:
    """A section of alerts.toml: how its tables are read and merged; the rest as in FileSource."""

    name: str
    read: ReadEntry
    write_merged: Callable[[Sequence[Entry], Rule, MergeReport], None]
    changing: asyncio.Lock
    load: Callable[[], None]
    adopt: Callable[[], Awaitable[None]]


def devices_source(path: Path, registry: Registry) -> FileSource[Registered]:
    """devices.csv."""

    def read() -> Callable[[Rule, MergeReport], Registered]:
        lines = read_devices(path)
        return lambda rule, report: registry.write_merged(lines, rule, report, is_file=True)

    return FileSource(
        kind="devices",
        name="devices.csv",
        path=path,
        error=DevicesFileError,
        changing=[registry.changing],
        read=read,
        adopt_now=registry.adopt_now,
        adopt=registry.adopt,
    )


def metrics_source(path: Path, definitions: MetricDefinitions) -> FileSource[None]:
    """metrics.json."""

    def read() -> Callable[[Rule, MergeReport], None]:
        metrics = read_metrics(path)
        return lambda rule, report: definitions.write_merged(metrics, rule, report)

    return FileSource(
        kind="metrics",
        name="metrics.json",
        path=path,
        error=MetricsFileError,
        changing=[definitions.changing],
        read=read,
        adopt_now=lambda _: definitions.load(),
        adopt=lambda _: definitions.adopt(),
    )


def rule_section(rules: AlertRules) -> AlertSection:
    """`[[rule]]` of alerts.toml."""
    return AlertSection(
        name=RULE_SECTION,
        read=read_rule,
        write_merged=rules.write_merged,
        changing=rules.changing,
        load=rules.load,
        adopt=rules.adopt,
    )


def receiver_section(receivers: Receivers) -> AlertSection:
    """`[[receiver]]` of alerts.toml."""
    return AlertSection(
        name=RECEIVER_SECTION,
        read=partial(read_receiver, hide=receivers.hide),
        write_merged=receivers.write_merged_receivers,
        changing=receivers.changing,
        load=receivers.load,
        adopt=receivers.adopt,
    )


def route_section(receivers: Receivers) -> AlertSection:
    """`[[route]]` of alerts.toml, after the receivers that routes name."""
    return AlertSection(
        name=ROUTE_SECTION,
        read=read_route,
        write_merged=receivers.write_merged_routes,
        changing=receivers.changing,
        load=receivers.load,
        adopt=receivers.adopt,
    )


def alerts_source(path: Path, sections: Sequence[AlertSection]) -> FileSource[None]:
    """alerts.toml with these sections, which are merged in their order."""

    def read() -> Callable[[Rule, MergeReport], None]:
        entries = read_alerts(path, {section.name: section.read for section in sections})

        def merge(rule: Rule, report: MergeReport) -> None:
            for section in sections:
                section.write_merged(entries.get(section.name, []), rule, report)

        return merge

    def adopt_now(_: None) -> None:
        for section in sections:
            section.load()

    async def adopt(_: None) -> None:
        for section in sections:
            await section.adopt()

    return FileSource(
        kind="alerts",
        name="alerts.toml",
        path=path,
        error=AlertsFileError,
        # Sections may share a lock, which must be taken once.
        changing=list(dict.fromkeys(section.changing for section in sections)),
        read=read,
        adopt_now=adopt_now,
        adopt=adopt,
    )
