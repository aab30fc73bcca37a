"""Which metrics there are: written to the catalog first, then used by reports and questions."""

from collections.abc import Iterable, Sequence
from functools import partial

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.model.metric import BUILT_IN, MetricDefinition, check_definition
from fleetpulse.pipeline.catalog_thread import CatalogThread


class MetricDefinitions:
    """All metrics. `metrics` maps numbers to definitions, also of metrics that were undefined: their samples stay."""

    def __init__(
        self, *, catalog: Catalog, catalog_thread: CatalogThread, known: KnownMetrics, metrics_max: int
    ) -> None:
        """`known`, the metrics that may be reported, is shared with the intake."""
        self.metrics: dict[int, MetricDefinition] = {}
        self.known = known
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._metrics_max = metrics_max

    def load(self) -> None:
        """Read all metrics from the catalog. Blocks; for the start, before events are accepted."""
        self._publish(self._catalog.metrics())

    def define_now(self, metrics: Iterable[MetricDefinition]) -> None:
        """Define metrics. Blocks; for the start, before events are accepted. Raises: OutOfRange; OSError."""
        for metric in metrics:
            self._put(metric)
        self.load()

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

        Raises: OutOfRange: a name cannot be a metric's, or there are too many metrics. NotAccepting.
        """
        metrics = [MetricDefinition(name=name) for name in names if self.known.get(name) is None]
        for metric in metrics:
            try:
                check_definition(metric)
            except ValueError as error:
                raise OutOfRange(str(error), reason="metric_definition") from error
        await self.define(metrics)

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
        _check_built_in(metric)
        self._catalog.put_metric(metric, metrics_max=self._metrics_max)

    async def _reload(self) -> None:
        self._publish(await self._catalog_thread.run(self._catalog.metrics))

    def _publish(self, metrics: Sequence[tuple[int, MetricDefinition, bool]]) -> None:
        self.metrics = {number: metric for number, metric, _ in metrics}
        self.known.replace((number, metric) for number, metric, is_defined in metrics if is_defined)


def _check_built_in(metric: MetricDefinition) -> None:
    """Raises: OutOfRange: what `POST …/stats` writes would no longer fit the definition."""
    is_fitting = (metric.kind, metric.unit, metric.lowest) == (BUILT_IN.kind, BUILT_IN.unit, BUILT_IN.lowest)
    if metric.name == BUILT_IN.name and not is_fitting:
        raise OutOfRange(
            f"{metric.name} is built in: an integer of ns from 0; only its aggregation, retention and description can "
            "be changed",
            reason="metric_built_in",
        )
