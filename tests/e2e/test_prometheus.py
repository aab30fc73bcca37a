"""Debian's Prometheus and Alertmanager with the files of deploy/monitoring and a real service."""

import json
import math
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from conftest import Server
from http_client import Client
from monitoring import MONITORING, NEEDS_PROMETHEUS, Monitoring, await_true, promtool

pytestmark = NEEDS_PROMETHEUS
DEVICES_JOB = """
  - job_name: devices
    http_sd_configs:
      - url: http://127.0.0.1:{port}/api/v1/sd?address=address&label=hall-2:x
"""


def expressions() -> dict[str, str]:
    """The expressions of all panels, by panel and target, with the variables as a test has them."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        .replace("$job", "fleetpulse")
        .replace("$__rate_interval", "10s")
        for panel in panels
        for target in panel.get("targets", [])
    }


def page(server: Server) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        body: bytes = answer.read()
    return body


def use(server: Server) -> None:
    """Some requests of every kind: at the front door, beside it, and refused ones."""
    client = Client(server.port)
    now = {"sent_at": datetime.now(UTC).isoformat()}
    for device in range(3):
        assert client.ask("POST", f"/api/v1/devices/d{device}/heartbeat", now)[0] == 204
        assert client.ask("POST", f"/api/v1/devices/d{device}/stats", {**now, "upload_time": 7_000_000})[0] == 204
    assert client.ask("POST", "/api/v1/devices/unknown/heartbeat", now)[0] == 404
    for path in ("/api/v1/devices", "/api/v1/devices/d0/stats", "/api/v1/fleet/uptime?window=1h", "/readyz"):
        assert client.ask("GET", path)[0] == 200
    client.close()


def test_every_panel_of_the_dashboard_answers_and_an_alert_reaches_alertmanager(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("--checkpoint-s", "1", "--fleet-figures-s", "1", devices=None)
    client = Client(server.port)
    for device in range(3):
        declared = {"id": f"d{device}", "labels": {"address": f"127.0.0.1:{device + 1}", "hall-2": "x"}}
        assert client.ask("POST", "/api/v1/devices", declared)[0] == 201
    client.close()
    use(server)
    promtool("check", "metrics", stdin=page(server))
    devices = DEVICES_JOB.format(port=server.port)
    with Monitoring(tmp_path / "monitoring", scraped_port=server.port, more=devices).running() as monitoring:
        missing = expressions()
        assert len(missing) > 40

        def answer_more() -> bool:
            use(server)
            for name, expression in list(missing.items()):
                values = monitoring.query(expression)
                if values and not all(map(math.isnan, values)):
                    del missing[name]
            return not missing

        try:
            await_true(answer_more)
        finally:
            print("without an answer:", json.dumps(missing, indent=1))
        assert monitoring.query('fleetpulse_fleet_devices{status="up"}') == [3.0]
        targets = monitoring.targets("devices")
        assert sorted(targets) == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
        assert targets["127.0.0.1:3"]["__meta_fleetpulse_device_id"] == "d2"
        assert targets["127.0.0.1:3"]["__meta_fleetpulse_label_hall_2"] == "x"
        assert monitoring.alerts() == []
        server.stop()
        await_true(monitoring.alerts)
        alert = monitoring.alerts()[0]
        assert alert["labels"]["alertname"] == "FleetpulseAway"
        assert alert["annotations"]["summary"] == f"127.0.0.1:{server.port} does not answer"


def test_the_rules_are_sound_and_their_tests_pass(tmp_path: Path) -> None:
    promtool("check", "rules", "rules.yml")
    promtool("test", "rules", "rules-test.yml")
    tried = (MONITORING / "rules-test.yml").read_text()
    rules = (MONITORING / "rules.yml").read_text()
    alerts = [line.split()[-1] for line in rules.splitlines() if line.strip().startswith("- alert:")]
    assert [name for name in alerts if f"alertname: {name}\n        exp_alerts" not in tried] == []
    monitoring = Monitoring(tmp_path / "monitoring", scraped_port=6733)
    promtool("check", "config", str(monitoring.folder / "prometheus.yml"))
