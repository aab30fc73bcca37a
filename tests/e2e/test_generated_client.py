"""A client that is generated from the OpenAPI document calls every route of the real server."""

import importlib
import io
import secrets
import subprocess
import sys
import time
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
  text/event-stream: application/octet-stream
  application/vnd.apache.parquet: application/octet-stream
  application/x-tar: application/octet-stream
  text/html: text/plain
  image/svg+xml: application/octet-stream
  application/x-www-form-urlencoded: application/octet-stream
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
        self.url, self.new_client = f"http://127.0.0.1:{port}", package.Client
        self.client = self.new_client(base_url=self.url)
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
    let_people_in(call)
    assert call("root") == "OK."
    assert call("healthz").status == "ok"
    assert call("readyz").replay.events == 0
    assert call("getNode", hash_="true").is_holder is True
    assert call("getClock").is_behind is False
    call("acceptClock", body=models.ClockBody())
    assert call("previewFiles").files[0].unchanged == 5
    assert call("getBlocks").set_aside == call("checkBlocks").set_aside == []
    assert b"fleetpulse_ready 1.0" in call.modules["metrics"].sync_detailed(client=call.client).content
    assert len(call("listTargets")) == len(PUBLISHED)
    show_badges(call)
    for service in ("metrics", "openapi", "docs"):
        call(service)
    assert isinstance(call("getDevice", "nobody", expected=404), models.Problem)
    watch(call)
    take_care_of_alerts(call)
    use_keys(call)
    enrol(call)
    operations = describe_api().document["paths"].values()
    assert call.called == {one["operationId"].lower() for methods in operations for one in methods.values()}
    call.client.get_httpx_client().close()


def show_badges(call: Generated) -> None:
    """Badges by permission and by token."""
    made = call("makeBadge", body=call.models.NewBadge(device_id=DEVICE), expected=201)
    assert call("listBadges").total == 1
    for operation, *path in (("getDeviceBadge", DEVICE), ("getFleetBadge",), ("getBadge", made.token)):
        call(operation, *path)
    assert "revoked" in call("revokeBadge", str(made.number)).msg


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
    for operation in ("getAccount", "getAudit"):
        assert call(operation, DEVICE).accepted == 29


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
    up_s = sum(span.seconds for span in uptime.intervals if span.reason in ("up", "backfilled"))
    assert round(uptime.up_s, 6) == round(up_s, 6) == 12 * 60
    assert call("worstDevices", **window, on="observed", below=100, limit=2).formula == uptime.formula
    assert call("transitions", DEVICE, **window).status_before == "new"
    assert call("fleetUptime", **window, step="6h").groups[0].series
    assert call("fleetStats", **window).devices.total == 5
    assert call("fleetFit", **window, group_by="site", unfit=False, limit=2).total == 5
    assert call("deviceFit", DEVICE, **window).interval
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
    assert call("getBackup").payload.read(11) == b"backup.json"


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
    rule = models.RuleBody(kind="metric", condition="cpu avg over 10m > 90", for_="5m")
    assert call("putAlertRule", "cpu-high", body=rule).for_ == "5m"
    assert call("getAlertRule", "device-offline").origin == "default"
    assert "cpu-high" in [one.name for one in call("listAlertRules").rules]
    tried = models.TriedRuleBody(kind="service", condition="disk_free < 100 %")
    assert call("previewAlertRule", body=tried).firing == 1
    assert call("rehearseAlertRule", body=models.RehearsalBody(name="device-offline")).alerts == 0
    call("deleteAlertRule", "cpu-high")
    tell_people(call)


def tell_people(call: Generated) -> None:
    """Declare a receiver and a route, try them, and look at the outbox."""
    models = call.models
    hook = models.ReceiverBody(kind="webhook", url="http://127.0.0.1:9/hidden")
    assert call("putReceiver", "hook", body=hook).url == "(hidden)"
    assert [one.name for one in call("listReceivers").receivers] == ["hook"]
    assert call("getReceiver", "hook").waiting == 0
    assert not call("testReceiver", "hook").delivered
    assert "TEST" in call("previewText", body=models.PreviewBody(kind="test", receiver="hook")).title
    assert call("putRoute", "all", body=models.RouteBody(receivers=["hook"])).is_declared
    assert call("getRoute", "all").group_by == ["rule"]
    assert [one.name for one in call("listRoutes").routes] == ["all"]
    assert call("listMessages", limit="5").messages == []
    assert call("retryMessages", body=models.RetryBody(all_=True)).retried == 0
    call("deleteRoute", "all")
    call("deleteReceiver", "hook")
    call("acknowledgePage", token="nonsense", expected=403)  # noqa: S106 - nobody's
    call("acknowledgeByLink", body=call.types.File(payload=io.BytesIO(b"token=nonsense")), expected=403)


def take_care_of_alerts(call: Generated) -> None:
    """Have an alert fire, and do with it what people do."""
    models = call.models
    rule = models.RuleBody(kind="service", condition="disk_free < 100 %")
    call("putAlertRule", "disk-try", body=rule)
    for _ in range(100):
        found = call("listAlerts", rule="disk-try").alerts
        if found:
            break
        time.sleep(0.1)
    number = str(found[0].number)
    assert call("acknowledgeAlert", number, body=models.Acknowledgement(comment="mine")).acknowledged_by
    assert call("assignAlert", number, body=models.Assignment(assignee="bob")).assignee == "bob"
    assert call("snoozeAlert", number, body=models.Snooze(for_="2h")).snoozed_until is not None
    assert call("commentAlert", number, body=models.Comment(text="no space")).log[-1].text == "no space"
    assert call("getAlert", number).rule == "disk-try"
    labels = models.NewSilenceLabels.from_dict({"rule": "disk-try"})
    made = call("addSilence", body=models.NewSilence(labels=labels, comment="known", for_="1h"), expected=201)
    assert [silence.number for silence in call("listSilences", ended=True).silences] == [made.number]
    assert call("endSilence", str(made.number)).state == "ended"
    assert call("listIncidents").incidents == []
    call("getIncident", "1", expected=404)
    call("deleteAlertRule", "disk-try")


def let_people_in(call: Generated) -> None:
    """Add a person, sign in, refresh, change the password, sign out, and remove the person."""
    models = call.models
    password, other = "seven lathes hum", "eight mills turn"
    body = models.NewPerson(name="alice", role="read", password=password, scope=["site:paris"])
    assert call("addPerson", body=body, expected=201).scope == ["site:paris"]
    tokens = call("login", body=models.Credentials(name="alice", password=password))
    tokens = call("refresh", body=models.RefreshToken(refresh_token=tokens.refresh_token))
    assert call("listPeople").people[0].sessions == 1
    call("signInPage")
    form = call.types.File(payload=io.BytesIO(b"name=alice&password=seven+lathes+hum"))
    call("signIn", body=form, expected=303)
    call("signOut", expected=303)
    assert "signed out" in call("logout", body=models.RefreshToken(refresh_token=tokens.refresh_token)).msg
    assert call("changePerson", "alice", body=models.PersonChange(role="operate")).role == "operate"
    change = models.PasswordChange(password=password, new_password=other)
    assert "only a person" in call("changePassword", body=change, expected=422).msg  # of an open node, nobody asks
    assert "removed" in call("removePerson", "alice").msg


def watch(call: Generated) -> None:
    """Read the live feed, which has no end, until the first event has come."""
    request = call.modules["stream"]._get_kwargs()
    with call.client.get_httpx_client().stream(**request) as response:
        assert next(line for line in response.iter_lines() if line.startswith("event:")) == "event: counts"
    call.called.add("stream")


def use_keys(call: Generated) -> None:
    """Make the first key, from which on each call needs one; then another one, which is shown and revoked."""
    models = call.models
    assert call("whoami").role == "admin"
    first = call("makeKey", body=models.NewKey(role="admin"), confirm=True, expected=201)
    assert isinstance(call("whoami", expected=401), models.Problem)
    call.client.get_httpx_client().close()
    call.client = call.client.with_headers({"authorization": f"Bearer {first.key}"})
    made = call("makeKey", body=models.NewKey(role="read", scope=["site:paris"]), expected=201)
    assert [key.number for key in call("listKeys").keys] == [first.number, made.number]
    assert call("getKey", str(made.number)).scope == ["site:paris"]
    made = call("rotateKey", str(made.number), body=models.Rotation(overlap="0s"), expected=201)
    assert call("revokeKey", str(made.number)).revoked_at is not None
    table = call("makeKeys", body=call.types.File(payload=io.BytesIO(f"device_id\n{DEVICE}\n".encode())))
    assert table.startswith(b"device_id,key")
    assert call("getAuditLog", limit="1").entries[0].action == "makeKeys"
    call("exportAuditLog")


def enrol(call: Generated) -> None:
    """Let a new device enrol with an enrolment key, and again when somebody has allowed it."""
    models, operator = call.models, call.client
    made = call("makeEnrolmentKey", body=models.NewEnrolmentKey(uses=2, id_pattern="pump-*"), expected=201)
    assert len(call("listEnrolmentKeys").keys) == 1
    call.client = call.new_client(base_url=call.url, headers={"authorization": f"Bearer {made.key}"})
    made_by_device = secrets.token_hex(32)
    body = models.EnrolBody(device_id="pump-7", enroll_secret=made_by_device)
    enrolled = call("enrol", body=body, expected=201)
    assert enrolled.key.startswith("fp_device_")
    call.client.get_httpx_client().close()
    call.client = operator
    call("allowEnrolment", "pump-7")
