"""OpenTelemetry, against a small collector."""

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from fleetpulse.telemetry.distribution import Distribution
from fleetpulse.telemetry.otel import Otel, metrics_data
from fleetpulse.telemetry.requests import Target
from otel_collector import attributes_of, collecting

HEARTBEAT = ("POST", "/api/v1/devices/{device_id}/heartbeat", "204")
VALUES: dict[str, Any] = {
    "fleetpulse_events_accepted_total": 7,
    "fleetpulse_events_refused_total": {"malformed": 2},
    "fleetpulse_http_requests_total": {HEARTBEAT: 5},
    "fleetpulse_disk_free_bytes": 1_000,
    "fleetpulse_commit_duration_seconds": Distribution((0.001, 0.1), (2, 1, 1), 0.5),
    "fleetpulse_logins_total": {},
}


def test_metrics_have_the_names_labels_and_units_of_prometheus() -> None:
    with collecting() as collector:
        otel = Otel(collector.url, trace_ratio=1.0)
        otel.metrics(lambda: VALUES)
        otel.close()
        sent = collector.metrics()
        assert sent.keys() == VALUES.keys() - {"fleetpulse_logins_total"}
        (point,) = sent["fleetpulse_http_requests_total"].sum.data_points
        assert attributes_of(point) == dict(zip(("method", "route", "code"), HEARTBEAT, strict=True))
        assert (point.as_double, sent["fleetpulse_http_requests_total"].sum.is_monotonic) == (5, True)
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano
        assert sent["fleetpulse_disk_free_bytes"].gauge.data_points[0].as_double == 1_000
        assert (sent["fleetpulse_disk_free_bytes"].unit, sent["fleetpulse_events_accepted_total"].unit) == ("By", "")
        (histogram,) = sent["fleetpulse_commit_duration_seconds"].histogram.data_points
        assert (list(histogram.bucket_counts), histogram.count, histogram.sum) == ([2, 1, 1], 4, 0.5)
        assert (list(histogram.explicit_bounds), histogram.HasField("max")) == ([0.001, 0.1], False)
        assert otel.exports == {"sent": 1}


def test_requests_and_work_are_spans_and_a_request_belongs_to_the_trace_that_it_names() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with collecting() as collector:
        otel = Otel(collector.url + "/", trace_ratio=1.0)
        headers = [(b"accept", b"*/*"), (b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())]
        otel.request(Target("GET", "/api/v1/devices"), 200, 0.25, headers)
        otel.request(Target("GET", "/api/v1/devices"), 503, 0.25, [(b"traceparent", b"nonsense")])
        otel.request(Target("GET", "none"), None, 0.25, [])
        otel.work("commit", 0.002, {"events": 9})
        otel.close()
        ok, failed, unanswered, commit = collector.spans()
        assert (ok.name, ok.trace_id.hex()) == ("GET /api/v1/devices", trace)
        assert ok.end_time_unix_nano - ok.start_time_unix_nano == 250_000_000
        assert attributes_of(ok)["http.response.status_code"] == 200
        assert (failed.status.code, failed.trace_id.hex() == trace) == (2, False)
        assert "http.response.status_code" not in attributes_of(unanswered)
        assert (commit.name, attributes_of(commit)) == ("commit", {"events": 9})


def test_without_sampling_no_span_is_sent_but_those_of_traces_that_are_sampled() -> None:
    with collecting() as collector:
        otel = Otel(collector.url, trace_ratio=0.0)
        for header in (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b""):
            otel.request(Target("GET", "/"), 200, 0.1, [(b"traceparent", header)])
        otel.work("checkpoint", 1.0, {})
        otel.close()
        assert len(collector.spans()) == 1


def test_what_a_collector_refuses_is_counted() -> None:
    with collecting() as collector:
        collector.status = 400
        otel = Otel(collector.url, trace_ratio=1.0)
        otel.metrics(lambda: VALUES)
        otel.work("commit", 0.1, {})
        otel.close()
        assert otel.exports == {"failed": 2}


def test_what_is_declared_as_a_number_is_no_histogram() -> None:
    wrong: Any = {"fleetpulse_disk_free_bytes": Distribution((1.0,))}
    with pytest.raises(AssertionError):
        metrics_data(wrong, resource=Resource({}), started_at_ns=1, at_ns=2)
