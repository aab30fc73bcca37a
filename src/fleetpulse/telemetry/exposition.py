"""The page /metrics: telemetry in the Prometheus text format, written by Prometheus' own Python client."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fleetpulse.telemetry.distribution import Distribution
from fleetpulse.telemetry.families import FAMILIES, Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
One = float | Distribution
Value = One | Mapping[str, One] | Mapping[tuple[str, ...], One]
"""Of a family without labels one value; of others the values by their label, or by a tuple of their labels."""
Values = Mapping[str, Value]
_KINDS: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class _Families:
    """A collector, as the client's registry wants one, of families that are made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(values: Values, *, families: Mapping[str, Family] = FAMILIES, is_process_shown: bool = False) -> bytes:
    """The page as bytes.

    Args:
        values: by the names of `families`, which say what they are.
        is_process_shown: add what the client itself reads of the process: memory, processor time, open files.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([_family_of(name, families[name], value) for name, value in values.items()]))
    if is_process_shown:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


def _family_of(name: str, family: Family, value: Value) -> Metric:
    made: Metric = _KINDS[family.kind](name, family.text, labels=family.labels)
    if isinstance(value, Mapping):
        for key, one in sorted(value.items()):
            _add(made, [key] if isinstance(key, str) else list(key), one)
    else:
        _add(made, [], value)
    return made


def _add(family: Any, labels: list[str], value: One) -> None:
    if isinstance(value, Distribution):
        # Each bucket counts what is below its bound, so also what earlier buckets count.
        bounds = [*(f"{bound:g}" for bound in value.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum)
    else:
        family.add_metric(labels, value)
