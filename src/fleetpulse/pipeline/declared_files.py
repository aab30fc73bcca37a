"""The files in which people declare devices and metrics: read at the start, and again at SIGHUP.

Both ways are one: a file is read whole, merged with the catalog by the rule of `model/declaration_merge.py` in one
transaction, and what changed is logged. A file that cannot be used changes nothing.
"""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import structlog

from fleetpulse.catalog.catalog import Catalog, FileKind, Registered
from fleetpulse.clock import Clock
from fleetpulse.errors import DevicesFileError, FleetpulseError, MetricsFileError, OperatorError, OutOfRange
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.ingest.metrics_file import read_metrics
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.merges import file_rule
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query import declaration_answers
from fleetpulse.query.describe import describe_file

log = structlog.get_logger("declared files")
LOGGED_MAX = 20
"""Ids that a line of the log lists; the counts are of all."""


@dataclass(eq=False, frozen=True, kw_only=True)
class DeclaredFiles:
    """devices.csv and metrics.json; a path that is None is not read."""

    devices_path: Path | None
    metrics_path: Path | None
    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    registry: Registry
    metric_definitions: MetricDefinitions
    readiness: Readiness
    changes_listed_max: int
    rule_of: Callable[[Catalog, FileKind], Rule] = file_rule

    def load_now(self) -> None:
        """Read both files. Blocks; for the start.

        Raises: OperatorError: a file cannot be used. OSError: the catalog could not be written.
        """
        if self.devices_path is not None:
            registered, report = self._merge_devices(self.devices_path, listed_max=LOGGED_MAX)
            self.registry.adopt_now(registered)
            _log("devices.csv", report)
        if self.metrics_path is not None:
            report = self._merge_metrics(self.metrics_path, listed_max=LOGGED_MAX)
            self.metric_definitions.load()
            _log("metrics.json", report)

    async def reload(self) -> None:
        """Read both files again while events come in. An error is logged, and the faulty file changes nothing."""
        if not self.readiness.answers:
            log.warning("SIGHUP has nothing to do: not ready yet")
            return
        if self.devices_path is None and self.metrics_path is None:
            log.warning("SIGHUP has nothing to do: no --devices or --metrics file")
            return
        if (path := self.devices_path) is not None:
            with _logging_errors():
                async with self.registry.changing:
                    registered, report = await self.catalog_thread.run(
                        lambda: self._merge_devices(path, listed_max=LOGGED_MAX)
                    )
                    await self.registry.adopt(registered)
                _log("devices.csv", report)
        if (metrics_path := self.metrics_path) is not None:
            with _logging_errors():
                async with self.metric_definitions.changing:
                    report = await self.catalog_thread.run(
                        lambda: self._merge_metrics(metrics_path, listed_max=LOGGED_MAX)
                    )
                    await self.metric_definitions.adopt()
                _log("metrics.json", report)

    async def preview(self) -> declaration_answers.DeclaredFiles:
        """What reading the files now would change; nothing is changed. Raises: NotAccepting."""
        files: list[declaration_answers.DeclaredFile] = []
        if (path := self.devices_path) is not None:
            async with self.registry.changing:
                files.append(await self._previewed("devices", path, self._devices_report))
        if (path := self.metrics_path) is not None:
            async with self.metric_definitions.changing:
                files.append(await self._previewed("metrics", path, self._metrics_report))
        return declaration_answers.DeclaredFiles(files)

    async def _previewed(
        self, kind: FileKind, path: Path, read: Callable[[Path], MergeReport]
    ) -> declaration_answers.DeclaredFile:
        read_at_ns = await self.catalog_thread.run(lambda: self.catalog.file_read_at(kind))
        outcome: MergeReport | str
        try:
            outcome = await self.catalog_thread.run(lambda: read(path))
        except OperatorError as error:
            outcome = str(error)
        return describe_file(kind, str(path), read_at_ns=read_at_ns, outcome=outcome)

    def _devices_report(self, path: Path) -> MergeReport:
        return self._merge_devices(path, listed_max=self.changes_listed_max, is_dry=True)[1]

    def _metrics_report(self, path: Path) -> MergeReport:
        return self._merge_metrics(path, listed_max=self.changes_listed_max, is_dry=True)

    def _merge_devices(self, path: Path, *, listed_max: int, is_dry: bool = False) -> tuple[Registered, MergeReport]:
        report = MergeReport(listed_max)
        with _naming(path, DevicesFileError), self._reading("devices", is_dry=is_dry):
            rule = self.rule_of(self.catalog, "devices")
            registered = self.registry.write_merged(read_devices(path), rule, report, is_file=True)
        return registered, report

    def _merge_metrics(self, path: Path, *, listed_max: int, is_dry: bool = False) -> MergeReport:
        report = MergeReport(listed_max)
        with _naming(path, MetricsFileError), self._reading("metrics", is_dry=is_dry):
            rule = self.rule_of(self.catalog, "metrics")
            self.metric_definitions.write_merged(read_metrics(path), rule, report)
        return report

    @contextlib.contextmanager
    def _reading(self, kind: FileKind, *, is_dry: bool) -> Generator[None, None, None]:
        with self.catalog.transaction(is_dry=is_dry):
            yield
            self.catalog.note_file_read(kind, at_ns=self.clock.now_ns())


def _log(name: str, report: MergeReport) -> None:
    """Log counts, and which; a conflict is a warning, since the file says what is not in effect."""
    which: dict[str, object] = {
        "added_ids": [change.id for change in report.changes if change.is_new],
        "changed_ids": [change.id for change in report.changes if not change.is_new],
        "conflicts": [f"{conflict.id}: {conflict.text}" for conflict in report.conflicts],
    }
    write = log.warning if report.in_conflict else log.info
    write(
        f"{name} read",
        added=report.added,
        changed=report.changed,
        unchanged=report.unchanged,
        in_conflict=report.in_conflict,
        **{key: value for key, value in which.items() if value},
    )


@contextlib.contextmanager
def _logging_errors() -> Generator[None, None, None]:
    try:
        yield
    except (FleetpulseError, OSError) as error:
        log.error("a file was not taken; what it says stays as it was", error=str(error))


@contextlib.contextmanager
def _naming(path: Path, kind: type[DevicesFileError | MetricsFileError]) -> Generator[None, None, None]:
    """Turn a limit that the content of a file exceeds into an error that names the file and the setting."""
    try:
        yield
    except OutOfRange as error:
        hint = f" Shorten it, or raise --{error.setting.replace('_', '-')}." if error.setting else ""
        raise kind(f"{path}: {error.msg}.{hint}") from error
