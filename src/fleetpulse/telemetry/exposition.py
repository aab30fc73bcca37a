"""The page /metrics: telemetry in the Prometheus text format, written by Prometheus' own Python client."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Value = float | dict[str, float]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values fell into each bucket."""

    bounds: Sequence[float]
    """Upper bounds, inclusive and ascending."""
    counts: Sequence[int]
    """One for each bound, and a last one for what is above all of them."""
    sum: float

    def family(self, name: str, text: str) -> Metric:
        """As the client has it: each bucket counts what is below its bound, so also what earlier buckets count."""
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self.counts), strict=True))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self.sum)


NO_HISTOGRAMS: Mapping[str, tuple[str, Histogram]] = {}


class _Families:
    """A collector, as the client's registry wants one, of families that are made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(
    *,
    totals: Mapping[str, tuple[str, Value]],
    gauges: Mapping[str, tuple[str, Value]],
    histograms: Mapping[str, tuple[str, Histogram]] = NO_HISTOGRAMS,
) -> bytes:
    """The page as bytes.

    Args: `totals` (counters), `gauges` and `histograms`: (help text, value) by name. A value that is a dict is one
        series for each of its keys, under the label `reason`.
    """
    families = [histogram.family(name, text) for name, (text, histogram) in histograms.items()]
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
