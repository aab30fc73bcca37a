"""The files in which people declare devices and metrics: read at the start, and again at SIGHUP."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import structlog

from fleetpulse.errors import DevicesFileError, FleetpulseError, OutOfRange
from fleetpulse.ingest.devices_file import read_devices
from fleetpulse.ingest.metrics_file import read_metrics
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.registry import Registry

log = structlog.get_logger("declared files")


@dataclass(eq=False, frozen=True, kw_only=True)
class DeclaredFiles:
    """devices.csv and metrics.json; a path that is None is not read."""

    devices_path: Path | None
    metrics_path: Path | None
    registry: Registry
    metric_definitions: MetricDefinitions
    readiness: Readiness

    def load_now(self) -> None:
        """Read both files. Blocks; for the start.

        Raises: OperatorError: a file cannot be used. OSError: the catalog could not be written.
        """
        if self.devices_path is not None:
            with _naming(self.devices_path):
                self.registry.register_now(read_devices(self.devices_path))
        if self.metrics_path is not None:
            with _naming(self.metrics_path):
                self.metric_definitions.define_now(read_metrics(self.metrics_path))

    async def reload(self) -> None:
        """Read both files again while events come in. An error is logged, and the faulty file changes nothing."""
        if not self.readiness.is_ready:
            log.warning("SIGHUP has nothing to do: not ready yet")
            return
        if self.devices_path is None and self.metrics_path is None:
            log.warning("SIGHUP has nothing to do: no --devices or --metrics file")
            return
        try:
            if self.devices_path is not None:
                with _naming(self.devices_path):
                    registered = await self.registry.register_many(read_devices(self.devices_path))
                log.info("devices.csv read again", new=len(registered.new), devices=len(self.registry.numbers))
            if self.metrics_path is not None:
                with _naming(self.metrics_path):
                    await self.metric_definitions.define(read_metrics(self.metrics_path))
                log.info("metrics.json read again", metrics=len(self.metric_definitions.metrics))
        except (FleetpulseError, OSError) as error:
            log.error("a file was not taken; what it says stays as it was", error=str(error))


@contextlib.contextmanager
def _naming(path: Path) -> Generator[None, None, None]:
    """Turn a limit that the content of a file exceeds into an error that names the file and the setting."""
    try:
        yield
    except OutOfRange as error:
        hint = f" Shorten it, or raise --{error.setting.replace('_', '-')}." if error.setting else ""
        raise DevicesFileError(f"{path}: {error.msg}.{hint}") from error
