"""The page /metrics: telemetry in the Prometheus text format, written by Prometheus' own Python client."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Value = float | dict[str, float]


class _Families:
    """A collector, as the client's registry wants one, of families that are made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(*, totals: Mapping[str, tuple[str, Value]], gauges: Mapping[str, tuple[str, Value]]) -> bytes:
    """The page as bytes.

    Args: `totals` (counters) and `gauges`: (help text, value) by name. A value that is a dict is one series for each of
        its keys, under the label `reason`.
    """
    families: list[Metric] = []
    for kind, entries in ((CounterMetricFamily, totals), (GaugeMetricFamily, gauges)):
        for name, (text, value) in entries.items():
            if isinstance(value, dict):
                family = kind(name, text, labels=["reason"])
                for reason, count in sorted(value.items()):
                    family.add_metric([reason], count)
            else:
                family = kind(name, text, value=value)
            families.append(family)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)
