"""OpenTelemetry of the real command against a small collector; and without the extra."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import run_command
from conftest import PUBLISHED, Server
from http_client import Client
from monitoring import await_true
from otel_collector import attributes_of, collecting


def test_a_service_sends_its_metrics_and_the_spans_of_requests_and_commits(serve: Callable[..., Server]) -> None:
    with collecting() as collector:
        server = serve("--otel-endpoint", collector.url, "--otel-trace-ratio", "1", "--otel-interval-s", "1")
        client = Client(server.port)
        report = {"sent_at": "2026-01-01T00:00:00Z"}
        assert client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", report)[0] == 204
        assert client.ask("GET", "/api/v1/devices")[0] == 200
        client.close()
        await_true(collector.metrics)
        assert server.stop() == 0
        names = {span.name for span in collector.spans()}
        assert names >= {"GET /api/v1/devices", "commit", "checkpoint"}
        assert "POST /api/v1/devices/{device_id}/heartbeat" not in names, "the front door makes no spans"
        events = [attributes_of(span)["events"] for span in collector.spans() if span.name == "commit"]
        assert sum(events) == 1
        assert collector.metrics()["fleetpulse_ready"].gauge.data_points[0].as_double == 1


def test_without_the_packages_the_start_says_how_to_install_them(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry/__init__.py").write_text("raise ModuleNotFoundError('opentelemetry')")
    starter = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from fleetpulse.__main__ import main; sys.exit(main())"
    )
    words = ["serve", "--port", "0", "--data", str(tmp_path / "data"), "--otel-endpoint", "http://127.0.0.1:4318"]
    command = [sys.executable, "-c", starter, *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'fleetpulse[otel]'" in done.stdout + done.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://127.0.0.1", "http://a b"])
def test_what_is_no_address_is_refused(tmp_path: Path, url: str) -> None:
    done = run_command("serve", "--port", "0", "--data", str(tmp_path / "data"), "--otel-endpoint", url)
    assert done.returncode == 1
    assert "otel_endpoint must be https://HOST" in done.stdout + done.stderr
