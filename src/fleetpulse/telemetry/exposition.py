"""/metrics: the counters in the Prometheus text format, by the Prometheus client's own encoder."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Value = float | dict[str, float]


class _Once:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(*, totals: Mapping[str, tuple[str, Value]], gauges: Mapping[str, tuple[str, Value]]) -> bytes:
    """The page. Each entry is name -> (help, value); a dict value is one series a `reason`."""
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
    registry.register(_Once(families))
    return generate_latest(registry)
