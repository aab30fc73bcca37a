"""Which metrics there are: written to the catalog first, then used by reports and questions."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import Conflict, NotFound, OutOfRange
from fleetpulse.ingest.metrics_file import NamedMetric
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.model.metric import BUILT_IN, MetricDefinition, check_built_in, check_definition
from fleetpulse.model.retention import ComingDeletion, Grace, coming_deletions, in_force
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.merges import merge_metrics
from fleetpulse.query.describe import deletion_text
from fleetpulse.query.metric_answers import MetricQuestion, read_aggregation, split_types

log = structlog.get_logger("metrics")
NAMES_LISTED = 50


class MetricDefinitions:
    """All metrics. `metrics` maps numbers to definitions, also of metrics that were undefined: their samples stay."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        known: KnownMetrics,
        metrics_max: int,
        types_max: int,
        retention_grace_s: int,
        daily: DailyLimit,
    ) -> None:
        """`known`, the metrics that may be reported, is shared with the intake.

        `daily`: how many reports may define a day.
        """
        self.metrics: dict[int, MetricDefinition] = {}
        self.known = known
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._metrics_max = metrics_max
        self._types_max = types_max
        self._retention_grace_ns = retention_grace_s * NS_PER_S
        self._daily = daily
        self._graces: Mapping[int, Sequence[Grace]] = {}
        self.changing = asyncio.Lock()
        """Held by whoever reads definitions, alters them and writes them back: of two who do so at one time one change
        would be lost."""

    def load(self) -> None:
        """Read all metrics from the catalog. Blocks; for the start, before events are accepted."""
        self._publish(*self._read())

    def write_merged(self, metrics: Iterable[NamedMetric], rule: Rule, report: MergeReport) -> None:
        """Write to the catalog the metrics that a merge adds and changes; they are in effect after `load` or `adopt`.

        Blocks; in a transaction, on the catalog's thread. Raises: OutOfRange; OSError.
        """
        merge_metrics(self._catalog, metrics, rule, report, put=self._put)

    async def adopt(self) -> None:
        """Bring memory to what was written, while events come in. Raises: NotAccepting."""
        await self._reload()

    def get(self, name: str) -> MetricDefinition:
        """The definition of a metric that may be reported. Raises: NotFound."""
        entry = self.known.get(name)
        if entry is None:
            defined = ", ".join(self.known.names[:NAMES_LISTED])
            raise NotFound(f"no metric is called {name[:100]}; defined are: {defined}", reason="unknown_metric")
        return entry[1]

    def questions(self, types: str, aggregation: str | None) -> list[MetricQuestion]:
        """The metrics that `types` names, with commas between. Raises: Malformed; OutOfRange; UnknownMetric."""
        names = split_types(types, self.known.names, types_max=self._types_max)
        chosen = read_aggregation(aggregation)
        known = {metric.name: (number, metric) for number, metric in self.kept().items()}
        if not known.keys() >= set(names):
            raise self.known.unknown(set(names) - known.keys())
        return [
            MetricQuestion(number, metric, chosen or metric.aggregation)
            for number, metric in map(known.__getitem__, names)
        ]

    def kept(self) -> dict[int, MetricDefinition]:
        """All metrics by number, with the retention that is in force now: a shorter one has a grace."""
        now_ns = self._clock.now_ns()
        graces = self._graces
        return {
            number: in_force(metric, graces[number], now_ns=now_ns) if number in graces else metric
            for number, metric in self.metrics.items()
        }

    def coming_deletions(self, name: str) -> list[ComingDeletion]:
        """What will be deleted of a metric, defined or not, because its retention became shorter."""
        now_ns = self._clock.now_ns()
        return [
            deletion
            for number, metric in self.metrics.items()
            if metric.name == name
            for deletion in coming_deletions(metric, self._graces.get(number, ()), now_ns=now_ns)
        ]

    async def add(self, metric: MetricDefinition) -> None:
        """Define a new metric. Raises: Conflict: one of its name is defined; OutOfRange; NotAccepting."""
        async with self.changing:
            if self.known.get(metric.name) is not None:
                raise Conflict(f"metric {metric.name} is defined already: change it with PATCH", reason="metric_exists")
            await self.define([metric])

    async def change(self, name: str, change: Callable[[MetricDefinition], MetricDefinition]) -> MetricDefinition:
        """Change a definition. Raises: NotFound; OutOfRange; NotAccepting."""
        async with self.changing:
            metric = change(self.get(name))
            await self.define([metric])
        return metric

    async def remove(self, name: str) -> MetricDefinition:
        """Accept no more reports of a metric; its last definition. Raises: NotFound; OutOfRange; NotAccepting."""
        async with self.changing:
            metric = self.get(name)
            await self.undefine(name)
        return metric

    async def define(self, metrics: Iterable[MetricDefinition]) -> None:
        """Define metrics, or replace their definitions. Raises: OutOfRange; NotAccepting."""
        try:
            for metric in metrics:
                await self._catalog_thread.run(partial(self._put, metric))
        finally:
            # Also after a refusal: the metrics before the refused one are defined.
            await self._reload()

    async def define_unknown(self, names: Iterable[str]) -> None:
        """Define those of the reported names that are not defined, of kind float, with defaults for everything else.

        Raises: OutOfRange: a name cannot be a metric's, or there are too many metrics. TooManyRequests: there were too
            many today. NotAccepting.
        """
        await self._catalog_thread.in_time(self._define_unknown(names), is_report=True)

    async def _define_unknown(self, names: Iterable[str]) -> None:
        async with self.changing:
            metrics = [MetricDefinition(name=name) for name in names if self.known.get(name) is None]
            for metric in metrics:
                try:
                    check_definition(metric)
                except ValueError as error:
                    raise OutOfRange(str(error), reason="metric_definition") from error
            self._daily.check(len(metrics))
            await self.define(metrics)
            self._daily.count(len(metrics))

    async def undefine(self, name: str) -> bool:
        """Accept no more reports of a metric; False where none were accepted.

        Its samples stay until their retention ends. Raises: OutOfRange: the metric is built in; NotAccepting.
        """
        if name == BUILT_IN.name:
            raise OutOfRange(f"{name} is built in: POST …/stats writes it", reason="metric_built_in")
        was_defined = await self._catalog_thread.run(lambda: self._catalog.delete_metric(name))
        await self._reload()
        return was_defined

    def _put(self, metric: MetricDefinition) -> None:
        check_built_in(metric)
        keep_until_ns = self._clock.now_ns() + self._retention_grace_ns
        self._catalog.put_metric(metric, metrics_max=self._metrics_max, keep_until_ns=keep_until_ns)

    async def _reload(self) -> None:
        self._publish(*await self._catalog_thread.run(self._read))

    def _read(self) -> tuple[list[tuple[int, MetricDefinition, bool]], dict[int, list[Grace]]]:
        return self._catalog.metrics(), self._catalog.retention.graces()

    def _publish(
        self, metrics: Sequence[tuple[int, MetricDefinition, bool]], graces: Mapping[int, Sequence[Grace]]
    ) -> None:
        self.metrics = {number: metric for number, metric, _ in metrics}
        self.known.replace((number, metric) for number, metric, is_defined in metrics if is_defined)
        self._announce(graces)

    def _announce(self, graces: Mapping[int, Sequence[Grace]]) -> None:
        """Log what newly shortened retentions will delete; at the start, those that were shortened before too."""
        before, self._graces = self._graces, graces
        for number, metric in self.metrics.items():
            if set(graces.get(number, ())) - set(before.get(number, ())):
                for deletion in self.coming_deletions(metric.name):
                    log.warning("a retention became shorter", todo=deletion_text(metric.name, deletion))
