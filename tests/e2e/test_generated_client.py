"""A client that is generated from the OpenAPI document calls every route of the real server."""

import importlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import PUBLISHED, Server
from fleetpulse.api.app import describe_api

CONFIG = """\
package_name_override: fleetpulse_client
post_hooks: []
literal_enums: true
content_type_overrides:
  application/x-ndjson: application/octet-stream
  text/csv: application/octet-stream
  application/vnd.apache.parquet: application/octet-stream
  text/html: text/plain
"""
NOW = datetime.now(UTC).replace(microsecond=0)
DEVICE = PUBLISHED[0]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(describe_api().encoded)
    (folder / "config.yml").write_text(CONFIG)
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", "openapi.json"]
    command += ["--output-path", "fleetpulse_client", "--meta", "none", "--config", "config.yml", "--fail-on-warning"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("fleetpulse_client")
    finally:
        sys.path.remove(str(folder))


class Generated:
    """Calls operations by their operationId."""

    def __init__(self, package: ModuleType, port: int) -> None:
        self.client = package.Client(base_url=f"http://127.0.0.1:{port}")
        self.models = importlib.import_module("fleetpulse_client.models")
        self.types = importlib.import_module("fleetpulse_client.types")
        self.modules: dict[str, ModuleType] = {}
        for path in Path(str(package.__file__)).parent.glob("api/*/[!_]*.py"):
            module = importlib.import_module(f"fleetpulse_client.api.{path.parent.name}.{path.stem}")
            self.modules[path.stem.replace("_", "")] = module
        self.called: set[str] = set()

    def __call__(self, operation: str, *path: str, expected: int = 200, **arguments: Any) -> Any:
        """Call an operation; what its answer holds, decoded by the generated code."""
        response = self.modules[operation.lower()].sync_detailed(*path, client=self.client, **arguments)
        assert response.status_code == HTTPStatus(expected), (operation, response.content)
        self.called.add(operation.lower())
        return response.parsed


def test_a_generated_client_calls_every_route(package: ModuleType, serve: Callable[..., Server]) -> None:
    call = Generated(package, serve("--auto-define").port)
    models = call.models
    report_what_there_is_to_ask(call)
    manage_devices(call)
    ask_everything(call)
    define_metrics_and_windows(call)
    assert call("root") == "OK."
    assert call("healthz").status == "ok"
    assert call("readyz").replay.events == 0
    assert call("getClock").is_behind is False
    call("acceptClock", body=models.ClockBody())
    assert call("previewFiles").files[0].unchanged == 5
    assert call("getBlocks").set_aside == call("checkBlocks").set_aside == []
    assert b"fleetpulse_ready 1.0" in call.modules["metrics"].sync_detailed(client=call.client).content
    for service in ("metrics", "openapi", "docs"):
        call(service)
    assert isinstance(call("getDevice", "nobody", expected=404), models.Problem)
    operations = describe_api().document["paths"].values()
    assert call.called == {one["operationId"].lower() for methods in operations for one in methods.values()}
    call.client.get_httpx_client().close()


def report_what_there_is_to_ask(call: Generated) -> None:
    """A day of beats an hour apart, an upload, a report, and a bulk body."""
    models = call.models
    for hours in range(24):
        call("heartbeat", DEVICE, body=models.Heartbeat(sent_at=NOW - timedelta(hours=hours)), expected=204)
    call("stats", DEVICE, body=models.UploadStats(sent_at=NOW, upload_time=1_500_000_000), expected=204)
    values = models.MetricsReportMetrics.from_dict({"cpu": 12.5})
    call("reportMetrics", DEVICE, body=models.MetricsReport(sent_at=NOW, metrics=values), expected=204)
    lines = f'{{"device_id": "{DEVICE}", "sent_at": "{NOW.isoformat()}"}}\n{{"device_id": "nobody"}}\n'.encode()
    with_bytes = call.types.File(payload=io.BytesIO(lines))
    verdict = call("events", body=with_bytes)
    assert (verdict.accepted, verdict.refused[0].line) == (1, 2)
    call("ping", DEVICE, expected=204)
    call("postPing", DEVICE, expected=204)
    assert call("getStats", DEVICE).avg_upload_time == "1.5s"
    assert call("getAudit", DEVICE).accepted == 29


def manage_devices(call: Generated) -> None:
    """Add, change, pause, resume, relabel, export, import and delete."""
    models = call.models
    labels = models.NewDeviceLabels.from_dict({"site": "paris"})
    assert call("addDevice", body=models.NewDevice(id="press-08", labels=labels), expected=201).status == "new"
    change = models.DeviceChange(note="moved", interval="5m")
    assert call("changeDevice", "press-08", body=change).interval == "5m"
    assert call("pause", "press-08", body=models.PauseBody(duration="2h")).status == "paused"
    assert call("resume", "press-08").status == "new"
    rome = models.LabelChange(labels=models.LabelChangeLabels.from_dict({"site": "rome"}))
    assert call("relabel", body=rome, label=["site:paris"]).changed == 1
    table = call("exportDevices", label=["site:rome"])
    assert b"press-08,5m" in table
    imported = call("importDevices", body=call.types.File(payload=io.BytesIO(table)), dry_run=True)
    assert (imported.known, imported.dry_run) == (1, True)
    forgotten = call("forget", "press-08", body=models.ForgetBody(before=NOW), dry_run=True)
    assert (forgotten.minutes, forgotten.samples) == (0, 0)
    assert "press-08" in call("deleteDevice", "press-08").msg


def ask_everything(call: Generated) -> None:
    """Windows are given by `from` and `to`, which a default of `window` would make impossible."""
    window = {"from_": NOW - timedelta(hours=12), "to": NOW}
    listed = call("listDevices", status=["new", "down", "up"], sort="last_seen", limit=2)
    assert (len(listed.devices), listed.total, isinstance(listed.next_cursor, str)) == (2, 5, True)
    assert call("listDevices", status=["down"], uptime_below=50).devices == []
    uptime = call("deviceUptime", DEVICE, **window, explain=True)
    assert uptime.present == sum(span.slots for span in uptime.intervals if span.reason in ("up", "backfilled"))
    assert call("transitions", DEVICE, **window).status_before == "new"
    assert call("fleetUptime", **window, step="6h").groups[0].series
    assert call("fleetStats", **window).devices.total == 5
    metrics = call("deviceMetrics", DEVICE, types=["cpu"], window="1h")
    assert metrics.metrics["cpu"].value == 12.5
    assert (
        call("fleetMetrics", types=["cpu", "upload_time"], window="1h", aggregation="p95")
        .groups[0]
        .metrics["cpu"]
        .count
        == 1
    )
    table = call("export", what="samples", types=["cpu"], **window, device_id=[DEVICE])
    assert call("export", what="samples", types=["cpu"], **window, device=[DEVICE]) == table
    assert table.startswith(b"device_id,metric")


def define_metrics_and_windows(call: Generated) -> None:
    """Define, show, change and take back."""
    models = call.models
    call("defineMetric", body=models.Definition(name="temperature", unit="C", bounds=[0, 100]), expected=201)
    change = models.DefinitionChange(aggregation="max")
    assert call("changeMetric", "temperature", body=change).aggregation == "max"
    assert call("getMetric", "temperature").bounds == [0, 100]
    assert {metric.name for metric in call("listMetrics").metrics} >= {"cpu", "temperature"}
    call("undefineMetric", "temperature")
    weekly = models.WeeklyBody(at="02:30", duration="1h", weekdays=["sunday"])
    added = call("addWindow", body=models.WindowBody(all_=True, recurrence=weekly), expected=201)
    assert [window.id for window in call("listWindows").windows] == [added.id]
    call("deleteWindow", added.id)
