"""The way back for what a wrong clock has spoilt, by the real command, over kills and restarts."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from command import run_command
from conftest import PUBLISHED, Server
from http_client import Client

DEVICE, OTHER = PUBLISHED[:2]
WRONG = "2000-01-01T00:{:02}:00Z"


def run(server: Server, *arguments: str) -> str:
    done = run_command(*arguments, "--url", f"http://127.0.0.1:{server.port}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(server: Server) -> list[object]:
    client = Client(server.port)
    paths = [f"/api/v1/devices/{device}" for device in (DEVICE, OTHER)]
    found = [client.ask("GET", f"{path}/stats")[1] for path in paths]
    window = "from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z"
    found += [client.ask("GET", f"{path}/uptime?{window}")[1]["up_s"] for path in paths]
    metrics = f"types=upload_time,load&aggregation=count&{window}"
    answers = [client.ask("GET", f"{path}/metrics?{metrics}")[1] for path in paths]
    found += [metric["count"] for answer in answers for metric in answer["metrics"].values()]
    client.close()
    return found


def test_what_a_clock_that_was_never_set_has_spoilt_is_as_if_it_had_never_come(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text('[{"name": "load", "retention_days": 36500}]')
    flags = ("--metrics", str(tmp_path / "metrics.json"), "--window-days-max", "36500")
    server = serve("--earliest", "2000-01-01T00:00:00Z", *flags)
    client = Client(server.port)
    client.ask("PATCH", "/api/v1/metrics/definitions/upload_time", {"retention_days": 36_500})
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    good = [(now - timedelta(minutes=minutes)).isoformat() for minutes in range(1, 6)]
    for device in (DEVICE, OTHER):
        for at in [*good, *(WRONG.format(minute) for minute in range(3))]:
            uploads = {"upload_time": 5 if at in good else 1_000}
            for what, body in (("heartbeat", {}), ("stats", uploads), ("metrics", {"metrics": {"load": 1}})):
                assert client.ask("POST", f"/api/v1/devices/{device}/{what}", {"sent_at": at, **body})[0] == 204
    client.close()
    assert server.stop() == 0
    server = serve(*flags)
    spoilt = figures(server)
    assert spoilt[2:] == [180.0, 180.0, 3, 3, 3, 3]
    assert spoilt[0] == spoilt[1]
    text = run(server, "devices", "forget", DEVICE, "--before", "2020-01-01T00:00:00Z", "--dry-run")
    assert text.startswith(f"3 minutes of presence and 6 samples of {DEVICE} before 2020-01-01")
    assert figures(server) == spoilt
    text = run(server, "devices", "forget", DEVICE, "--before", "2020-01-01T00:00:00Z")
    assert "were removed" in text
    expected = [{"uptime": 100.0, "avg_upload_time": "5ns"}, spoilt[1], 0.0, 180.0, 0, 0, 3, 3]
    assert figures(server) == expected
    shown = run(server, "devices", "show", DEVICE)
    assert "3 minutes and 6 samples before 2020-01-01" in shown
    server.stop(signal.SIGKILL)
    server = serve(*flags)
    assert figures(server) == expected
    client = Client(server.port)
    audit = client.ask("GET", f"/api/v1/devices/{DEVICE}/audit")[1]
    assert audit == {"accepted": 24, "applied": 24, "pending": 0, "heartbeats": 8, "samples": 16}
    client.close()
    assert server.stop() == 0
    assert run_command("verify", "--data", str(server.folder)).returncode == 0
