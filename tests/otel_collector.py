"""A collector of OpenTelemetry over HTTP, which keeps what it is sent."""

import contextlib
import http.server
import threading
from collections.abc import Generator
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SHAPES: dict[str, Any] = {"/v1/metrics": ExportMetricsServiceRequest, "/v1/traces": ExportTraceServiceRequest}


class Collector:
    """What was sent, decoded. `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.messages: list[Any] = []

    def metrics(self) -> dict[str, Any]:
        """The latest of each metric, by name."""
        return {
            metric.name: metric
            for message in self.messages
            if isinstance(message, ExportMetricsServiceRequest)
            for of_resource in message.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }

    def spans(self) -> list[Any]:
        """All spans."""
        return [
            span
            for message in self.messages
            if isinstance(message, ExportTraceServiceRequest)
            for of_resource in message.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


def attributes_of(holder: Any) -> dict[str, Any]:
    """Attributes of a span or a data point."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in holder.attributes}


@contextlib.contextmanager
def collecting() -> Generator[Collector, None, None]:
    """A collector on a free port."""
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.status == 200:
                collector.messages.append(SHAPES[self.path].FromString(body))
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        yield collector
        server.shutdown()
        thread.join()
