"""What people decide beside devices: metrics, pauses and maintenance windows. Into the catalog first, then into effect."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from fleetpulse.catalog.catalog import Catalog, Pause
from fleetpulse.clock import Clock
from fleetpulse.errors import NotAccepting, OutOfRange
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.metric import BUILT_IN, MetricDefinition, check_definition

_Result = TypeVar("_Result")


class Declared:
    """Metrics by number and by name, pauses by device, windows by id. `version` changes with pauses and windows."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        clock: Clock,
        executor: Executor,
        known: KnownMetrics,
        metrics_max: int,
        windows_max: int,
    ) -> None:
        """`executor` is the catalog's one thread; `known` is shared with the intake."""
        self.metrics: dict[int, MetricDefinition] = {}
        self.known = known
        self.pauses: dict[int, list[Pause]] = {}
        self.windows: dict[str, MaintenanceWindow] = {}
        self.version = 0
        self._catalog = catalog
        self._clock = clock
        self._executor = executor
        self._metrics_max = metrics_max
        self._windows_max = windows_max

    def load(self) -> None:
        """All of it from the catalog. Blocks; before the door opens."""
        self._know_metrics(self._catalog.metrics())
        for pause in self._catalog.pauses():
            self.pauses.setdefault(pause.device, []).append(pause)
        self.windows = {window.id: window for window in self._catalog.windows()}

    def define_now(self, metrics: Iterable[MetricDefinition]) -> None:
        """Define metrics. Blocks; before the door opens. Raises: OutOfRange; NotAccepting."""
        for metric in metrics:
            self._check(metric)
            self._catalog.put_metric(metric, metrics_max=self._metrics_max)
        self._know_metrics(self._catalog.metrics())

    async def define(self, metrics: Iterable[MetricDefinition]) -> None:
        """Define metrics, or replace their definitions. Raises: OutOfRange; NotAccepting."""
        try:
            for metric in metrics:
                self._check(metric)
                await self._run(partial(self._catalog.put_metric, metric, metrics_max=self._metrics_max))
        finally:
            # Also where one of them was refused: those before it are defined.
            self._know_metrics(await self._run(self._catalog.metrics))

    async def define_unknown(self, names: Iterable[str]) -> None:
        """Define what devices report and nobody has defined: kind float, the rest as by default. Raises: OutOfRange; NotAccepting."""
        metrics = [MetricDefinition(name=name) for name in names if self.known.get(name) is None]
        for metric in metrics:
            try:
                check_definition(metric)
            except ValueError as error:
                raise OutOfRange(str(error), reason="metric_definition") from error
        await self.define(metrics)

    async def undefine(self, name: str) -> bool:
        """A metric is not reported any more; False where it was not. Raises: OutOfRange: it is built in; NotAccepting."""
        if name == BUILT_IN.name:
            raise OutOfRange(f"{name} is built in: POST …/stats writes it", reason="metric_built_in")
        was_there = await self._run(lambda: self._catalog.delete_metric(name))
        self._know_metrics(await self._run(self._catalog.metrics))
        return was_there

    def _check(self, metric: MetricDefinition) -> None:
        same = (metric.kind, metric.unit, metric.lowest) == (BUILT_IN.kind, BUILT_IN.unit, BUILT_IN.lowest)
        if metric.name == BUILT_IN.name and not same:
            raise OutOfRange(
                f"{metric.name} is built in: an integer of ns from 0; only its aggregation, retention and description can be changed",
                reason="metric_built_in",
            )

    def _know_metrics(self, metrics: Sequence[tuple[int, MetricDefinition, bool]]) -> None:
        self.metrics = {number: metric for number, metric, _ in metrics}
        self.known.replace((number, metric) for number, metric, is_defined in metrics if is_defined)

    async def pause(self, device: int, *, until_ns: int | None) -> None:
        """Expect nothing of a device from now until `until_ns`, or until it is resumed. Raises: NotAccepting."""
        now_ns = self._clock.now_ns()
        kept = [pause for pause in self._ended(device, now_ns) if pause.start_ns < now_ns]
        await self._replace_pauses(device, [*kept, Pause(device, now_ns, until_ns)])

    async def resume(self, device: int) -> bool:
        """The device is expected again; False where it was not paused. Raises: NotAccepting."""
        now_ns = self._clock.now_ns()
        if not self.is_paused(device, now_ns):
            return False
        await self._replace_pauses(device, self._ended(device, now_ns))
        return True

    def is_paused(self, device: int, at_ns: int) -> bool:
        """Whether a device is paused at a time."""
        return any(
            pause.start_ns <= at_ns and (pause.end_ns is None or at_ns < pause.end_ns)
            for pause in self.pauses.get(device, ())
        )

    def _ended(self, device: int, at_ns: int) -> list[Pause]:
        """The pauses of a device, none of them going on at or beginning after `at_ns`."""
        pauses = [pause for pause in self.pauses.get(device, ()) if pause.start_ns < at_ns]
        return [
            Pause(device, pause.start_ns, at_ns if pause.end_ns is None else min(pause.end_ns, at_ns))
            for pause in pauses
        ]

    async def _replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        await self._run(lambda: self._catalog.replace_pauses(device, pauses))
        self.pauses[device] = list(pauses)
        self.version += 1

    async def put_window(self, window: MaintenanceWindow) -> None:
        """Add a maintenance window, or replace the one of its id. Raises: OutOfRange: too many; NotAccepting."""
        if window.id not in self.windows and len(self.windows) >= self._windows_max:
            raise OutOfRange(
                f"there are {self._windows_max} maintenance windows (windows_max): delete old ones",
                reason="windows_max",
            )
        await self._run(lambda: self._catalog.put_window(window))
        self.windows = {**self.windows, window.id: window}
        self.version += 1

    async def delete_window(self, window_id: str) -> bool:
        """Remove a maintenance window; False where there is none. Raises: NotAccepting."""
        was_there = await self._run(lambda: self._catalog.delete_window(window_id))
        self.windows = {known: window for known, window in self.windows.items() if known != window_id}
        self.version += 1
        return was_there

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            raise NotAccepting(
                f"the catalog could not be written ({error}): nothing was changed", reason="catalog_failed"
            ) from error
