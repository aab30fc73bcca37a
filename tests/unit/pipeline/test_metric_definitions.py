"""Definitions of metrics: in the catalog first, then known to reports and questions."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.metrics_file import NamedMetric
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.model.declaration_merge import FileRule, MergeReport
from fleetpulse.model.metric import BUILT_IN, MetricDefinition
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.threads import Threads
from memory_service import NOON, SECOND, FakeClock

CPU = MetricDefinition(name="cpu", unit="%")
LOAD = MetricDefinition(name="load")
CLOCK = FakeClock()


def run(folder: Path, test: Callable[[MetricDefinitions], Awaitable[None]]) -> None:
    """Run a test on definitions of at most four metrics; what it leaves is what a restart loads."""

    async def life() -> None:
        catalog, threads = SqliteCatalog(folder / "catalog.sqlite"), Threads()

        def definitions() -> MetricDefinitions:
            loaded = MetricDefinitions(
                catalog=catalog,
                catalog_thread=CatalogThread(threads.catalog),
                clock=CLOCK,
                known=KnownMetrics(report_metrics_max=10),
                metrics_max=4,
                types_max=100,
                retention_grace_s=3_600,
                daily=DailyLimit("definitions_per_day", "metrics", 100, now_ns=CLOCK.now_ns),
            )
            loaded.load()
            return loaded

        tested = definitions()
        await test(tested)
        assert (definitions().metrics, definitions().known.names) == (tested.metrics, tested.known.names)
        threads.close()
        catalog.close()

    asyncio.run(life())


def test_the_built_in_metric_is_number_0(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        assert definitions.metrics == {0: BUILT_IN}
        assert definitions.known.get("upload_time") == (0, BUILT_IN)

    run(tmp_path, test)


def test_a_defined_metric_can_be_reported_under_its_number(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        await definitions.define([CPU, LOAD])
        assert definitions.known.get("cpu") == (1, CPU)
        assert definitions.metrics[2] == LOAD

    run(tmp_path, test)


def test_a_definition_is_replaced_and_keeps_its_number(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        await definitions.define([CPU])
        await definitions.define([replace(CPU, aggregation="max")])
        assert definitions.known.get("cpu") == (1, replace(CPU, aggregation="max"))

    run(tmp_path, test)


def test_an_undefined_metric_keeps_number_and_samples_but_is_no_longer_reported(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        await definitions.define([CPU])
        assert await definitions.undefine("cpu")
        assert definitions.known.get("cpu") is None
        assert definitions.metrics[1] == CPU
        assert not await definitions.undefine("cpu")

    run(tmp_path, test)


def test_the_metrics_before_a_refused_one_are_defined(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        with pytest.raises(OutOfRange, match="metrics_max"):
            await definitions.define(MetricDefinition(name=f"m{number}") for number in range(5))
        assert definitions.known.names == ["m0", "m1", "m2", "upload_time"]

    run(tmp_path, test)


def test_unknown_metrics_are_defined_with_defaults_and_known_ones_stay(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        await definitions.define([CPU])
        await definitions.define_unknown(["cpu", "load"])
        assert definitions.metrics == {0: BUILT_IN, 1: CPU, 2: LOAD}

    run(tmp_path, test)


def test_a_name_that_no_metric_can_have_defines_nothing(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        with pytest.raises(OutOfRange) as caught:
            await definitions.define_unknown(["load", "no name"])
        assert caught.value.reason == "metric_definition"
        assert definitions.known.names == ["upload_time"]

    run(tmp_path, test)


def test_the_built_in_metric_keeps_what_its_route_writes(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        for metric in (replace(BUILT_IN, kind="float"), replace(BUILT_IN, unit="s"), replace(BUILT_IN, lowest=None)):
            with pytest.raises(OutOfRange) as caught:
                await definitions.define([metric])
            assert caught.value.reason == "metric_built_in"
        with pytest.raises(OutOfRange):
            await definitions.undefine(BUILT_IN.name)
        await definitions.define([replace(BUILT_IN, aggregation="p95")])
        assert definitions.metrics[0].aggregation == "p95"

    run(tmp_path, test)


def test_metrics_that_are_merged_are_known_once_they_are_adopted(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        report = MergeReport(listed_max=9)
        definitions.write_merged([NamedMetric("cpu", {"unit": "%"})], FileRule(is_first=True), report)
        await definitions.adopt()
        assert definitions.known.get("cpu") == (1, CPU)
        assert report.added == 1

    run(tmp_path, test)


def test_a_shorter_retention_is_announced_and_in_force_after_its_grace(tmp_path: Path) -> None:
    async def test(definitions: MetricDefinitions) -> None:
        await definitions.define([CPU])
        with capture_logs() as logs:
            await definitions.change("cpu", lambda metric: replace(metric, retention_days=30))
        (deletion,) = definitions.coming_deletions("cpu")
        assert deletion.at_ns == NOON + 3_600 * SECOND
        assert ["to keep them, raise the number again" in entry["todo"] for entry in logs] == [True]
        assert definitions.metrics[1].retention_days == 30
        assert (
            definitions.kept()[1].retention_days == definitions.questions("cpu", None)[0].metric.retention_days == 365
        )
        with capture_logs() as logs:
            definitions.load()
        assert logs == []
        await definitions.remove("cpu")
        assert definitions.coming_deletions("cpu") == [deletion]
        await definitions.add(replace(CPU, retention_days=400))
        assert definitions.coming_deletions("cpu") == []

    run(tmp_path, test)
