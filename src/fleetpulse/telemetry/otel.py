"""OpenTelemetry, an extra (`fleetpulse[otel]`): the metrics of /metrics, and spans of requests and work, by OTLP/HTTP.

Nobody imports this module unless `otel_endpoint` is set, so that the packages need not be there. Metrics are those of
Prometheus with the same names and labels: figures are copied on the event loop, and become messages in a thread, which
also sends them. Reports at the front door have no spans of their own, since these would cost more than the reports; the
commit that makes a batch of them durable has one.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fleetpulse import __version__
from fleetpulse.telemetry.distribution import Distribution
from fleetpulse.telemetry.exposition import One, Value, Values
from fleetpulse.telemetry.families import FAMILIES, Family
from fleetpulse.telemetry.requests import Target

log = structlog.get_logger("telemetry")
TIMEOUT_S = 5.0
_SCOPE = InstrumentationScope("fleetpulse", __version__)
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_CONTEXT = TraceContextTextMapPropagator()
_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
NS_PER_S = 1_000_000_000


class Otel:
    """Sends what it is given. `metrics`, `request` and `work` are called on the loop, and return at once."""

    def __init__(self, endpoint: str, *, trace_ratio: float) -> None:
        self.exports: Counter[str] = Counter()
        """Messages by outcome: `sent` or `failed`."""
        base = endpoint.rstrip("/")
        self._resource = Resource.create({"service.name": "fleetpulse", "service.version": __version__})
        self._metric_exporter = OTLPMetricExporter(f"{base}/v1/metrics", timeout=TIMEOUT_S)
        self._provider = TracerProvider(
            resource=self._resource, sampler=ParentBased(TraceIdRatioBased(trace_ratio)), shutdown_on_exit=False
        )
        exporter = _Counted(OTLPSpanExporter(f"{base}/v1/traces", timeout=TIMEOUT_S), self.exports)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("fleetpulse", __version__)
        self._started_at_ns = time.time_ns()
        self._sending: threading.Thread | None = None

    def metrics(self, complete: Callable[[], Values]) -> None:
        """Send metrics, unless the last ones are still on their way. `complete` is called in the thread that sends."""
        if self._sending is None or not self._sending.is_alive():
            self._sending = threading.Thread(target=self._send, args=(complete,), name="otel-metrics", daemon=True)
            self._sending.start()

    def _send(self, complete: Callable[[], Values]) -> None:
        try:
            at_ns = time.time_ns()
            data = metrics_data(complete(), resource=self._resource, started_at_ns=self._started_at_ns, at_ns=at_ns)
            is_sent = self._metric_exporter.export(data) is MetricExportResult.SUCCESS
        except Exception as error:
            is_sent = False
            log.error("metrics could not be made for OpenTelemetry, by a defect of ours", exc_info=error)
        self.exports["sent" if is_sent else "failed"] += 1

    def request(self, target: Target, code: int | None, took_s: float, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """A request has ended. Args: headers: those of the request, which may name the span that it belongs to."""
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in headers
            if name in (b"traceparent", b"tracestate")
        }
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{target.method} {target.route}",
            context=_CONTEXT.extract(carrier) if carrier else None,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": target.method, "http.route": target.route},
            start_time=end_ns - int(took_s * NS_PER_S),
        )
        if code is not None:
            span.set_attribute("http.response.status_code", code)
            if code >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end(end_ns)

    def work(self, name: str, took_s: float, attributes: Mapping[str, int]) -> None:
        """A commit, a checkpoint or a piece of compaction has ended just now."""
        end_ns = time.time_ns()
        start_ns = end_ns - int(took_s * NS_PER_S)
        self._tracer.start_span(name, attributes=attributes, start_time=start_ns).end(end_ns)

    def close(self) -> None:
        """Send what is left, for a few seconds at most. Blocks."""
        self._provider.shutdown()
        if self._sending is not None:
            self._sending.join(TIMEOUT_S)


class _Counted(SpanExporter):
    """Counts what becomes of spans."""

    def __init__(self, exporter: SpanExporter, exports: Counter[str]) -> None:
        self._exporter = exporter
        self._exports = exports

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        result = self._exporter.export(spans)
        self._exports["sent" if result is SpanExportResult.SUCCESS else "failed"] += 1
        return result

    def shutdown(self) -> None:
        """See SpanExporter."""
        self._exporter.shutdown()


def metrics_data(values: Values, *, resource: Resource, started_at_ns: int, at_ns: int) -> MetricsData:
    """What /metrics shows, as OpenTelemetry has it: sums since the start, gauges and histograms."""
    metrics = [
        _metric(name, FAMILIES[name], value, started_at_ns=started_at_ns, at_ns=at_ns)
        for name, value in values.items()
        if value != {}
    ]
    scope = ScopeMetrics(_SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(name: str, family: Family, value: Value, *, started_at_ns: int, at_ns: int) -> Metric:
    series = value.items() if isinstance(value, Mapping) else [((), value)]
    points = [
        (dict(zip(family.labels, [key] if isinstance(key, str) else key, strict=True)), one) for key, one in series
    ]
    if family.kind == "histogram":
        data: Sum | Gauge | Histogram = Histogram(
            [_histogram_point(labels, one, started_at_ns, at_ns) for labels, one in points], _CUMULATIVE
        )
    else:
        numbers = [NumberDataPoint(labels, started_at_ns, at_ns, _number(one)) for labels, one in points]
        data = Gauge(numbers) if family.kind == "gauge" else Sum(numbers, _CUMULATIVE, is_monotonic=True)
    unit = _UNITS.get(name.removesuffix("_total").rpartition("_")[2], "")
    return Metric(name, family.text, unit, data)


def _number(one: One) -> float:
    assert not isinstance(one, Distribution)
    return float(one)


def _histogram_point(labels: dict[str, str], one: One, started_at_ns: int, at_ns: int) -> HistogramDataPoint:
    assert isinstance(one, Distribution)
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=started_at_ns,
        time_unix_nano=at_ns,
        count=one.total,
        sum=one.sum,
        bucket_counts=one.counts,
        explicit_bounds=list(one.bounds),
        min=None,  # type: ignore[arg-type]  # it is not known; the message leaves it out
        max=None,  # type: ignore[arg-type]  # the same
    )
