"""A server whose clock is wrong, by the real command over real HTTP, on both paths."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Server
from fleetpulse.cli.main import main
from http_client import Client

SCRIPT = Path(__file__).parent / "serve_by_clock.py"
SETTINGS = ("auto_register=true", "interval_s=1", "grace_s=0")
HOUR = 3_600


class Host:
    """A machine with a clock that is set by hand, and a server on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error = folder / "clock"
        self.window = ("", "")
        self.set(0)

    def set(self, error_s: float) -> None:
        """The clock is wrong by so much now."""
        written = self.folder / "clock.new"
        written.write_text(str(error_s))
        written.rename(self.error)  # so that it is never read half written

    def start(self, *settings: str) -> None:
        command = [sys.executable, str(SCRIPT), str(self.error), str(self.folder / "data"), *SETTINGS, *settings]
        self.server = Server.run(command, log=self.folder / f"{time.monotonic_ns()}.log", folder=self.folder)
        self.client = Client(self.server.port)

    def stop(self) -> None:
        self.client.close()
        self.server.stop()

    def now(self) -> str:
        """The time, as a device whose clock is right sends it."""
        return datetime.now(UTC).isoformat()

    def beat(self, device: str = "d0") -> tuple[int, Any]:
        return self.client.ask("POST", f"/api/v1/devices/{device}/heartbeat", {"sent_at": self.now()})

    def ask(self, path: str) -> Any:
        status, answer = self.client.ask("GET", path)
        assert status == 200, answer
        return answer

    def until_taken(self) -> None:
        """Wait until events are accepted."""
        end = time.monotonic() + 30
        while self.beat()[0] != 204:
            assert time.monotonic() < end
            time.sleep(0.05)

    def reports(self) -> dict[str, tuple[int, str]]:
        """What every route for events answers, on both paths: status and kind of problem."""
        sent_at = self.now()
        event = {"sent_at": sent_at}
        bodies: dict[str, Any] = {
            "/api/v1/devices/d0/heartbeat": event,
            "/api/v1/devices/d0/stats": event | {"upload_time": 5},
            "/api/v1/devices/d0/metrics": event | {"metrics": {"cpu": 1.5}},
            "/api/v1/devices/unknown/heartbeat": event,
            "/api/v1/events": event | {"device_id": "d0"},
        }
        # A query hands the connection over to the ASGI path.
        paths = {
            path + query: body for query in ("", "?by=asgi") for path, body in bodies.items() if "events" not in path
        }
        answers = {path: self.client.ask("POST", path, body) for path, body in paths.items()}
        answers["bulk"] = self.client.ask(
            "POST", "/api/v1/events", bodies["/api/v1/events"], content_type="application/x-ndjson"
        )
        return {path: (status, (answer or {}).get("type", "")) for path, (status, answer) in answers.items()}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.stop()


def facts(host: Host) -> list[Any]:
    """What was known of d0 and of the fleet: it must be the same ever after."""
    start, end = host.window
    window = f"from={start}&to={end}"
    names = ("transitions", "uptime")
    answers = [host.ask(f"/api/v1/devices/d0/{name}?{window}") for name in names]
    return [*answers, host.ask("/api/v1/devices/d0/stats"), host.ask(f"/api/v1/fleet/uptime?{window}")]


def live_a_little(host: Host) -> list[Any]:
    """A few beats with a silence between them; what is known of this time."""
    start = host.now()
    assert host.client.ask("POST", "/api/v1/metrics/definitions", {"name": "cpu"})[0] == 201
    for pause_s in (0, 0.3, 1.6, 0.3, 0.3):
        time.sleep(pause_s)
        assert host.beat()[0] == 204
    # The time after the last entry of the journal is no fact yet.
    host.window = start.replace("+00:00", "Z"), host.ask("/api/v1/devices/d0")["last_seen"]
    found = facts(host)
    assert found[0]["transitions"], "the silence shows"
    return found


def assert_refused(host: Host) -> None:
    assert set(host.reports().values()) == {(503, "urn:fleetpulse:problem:clock")}
    status, ready = host.client.ask("GET", "/readyz")
    assert (status, ready["status"]) == (503, "clock")
    assert "clock" in ready["msg"]
    assert host.ask("/api/v1/clock")["is_behind"]


@pytest.mark.parametrize("error_s", [-1_800, -57 * 365 * 86_400], ids=["half an hour behind", "1970"])
def test_a_board_that_starts_with_an_early_clock_waits_and_changes_nothing(host: Host, error_s: int) -> None:
    host.start()
    known = live_a_little(host)
    host.stop()
    host.set(error_s)
    host.start()
    assert_refused(host)
    assert facts(host) == known
    assert host.ask("/api/v1/devices/d0")["last_seen"] <= host.window[1]
    host.set(0)
    host.until_taken()
    assert facts(host) == known
    host.stop()
    host.start()
    assert facts(host) == known


def test_a_first_start_in_1970_tells_no_device_that_its_clock_is_wrong(host: Host) -> None:
    host.set(-57 * 365 * 86_400)
    host.start("auto_define=true")
    assert_refused(host)
    host.set(0)
    host.until_taken()


def test_a_running_host_that_is_set_back_an_hour_and_forward_again(host: Host) -> None:
    host.start()
    known = live_a_little(host)
    host.set(-HOUR)
    assert host.beat()[1]["type"] == "urn:fleetpulse:problem:clock"  # at once, not at the next tick
    assert_refused(host)
    assert facts(host) == known
    time.sleep(1.5)
    host.set(0)
    host.until_taken()
    assert facts(host) == known
    metrics = host.client
    metrics.connection.request("GET", "/metrics")
    text = metrics.connection.getresponse().read().decode()
    assert 'fleetpulse_events_refused_total{reason="clock"}' in text
    assert "fleetpulse_expiry_waits 1.0" in text


@pytest.mark.parametrize("ahead_s", [HOUR, 73 * 365 * 86_400], ids=["an hour", "2099"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_was_ahead_is_escaped_by_accepting_it(
    host: Host, capsys: pytest.CaptureFixture[str], ahead_s: int, is_restarted: bool
) -> None:
    host.start("checkpoint_s=0.5")
    known = live_a_little(host)
    if is_restarted:
        host.stop()
    host.set(ahead_s)
    if is_restarted:
        host.start("checkpoint_s=0.5")
    host.until_taken()
    time.sleep(1.2)  # a checkpoint writes what the wrong clock said
    host.set(0)
    assert_refused(host)
    url = ["--url", f"http://127.0.0.1:{host.server.port}"]
    assert main(["clock", "accept", *url]) == 1
    assert "Give --yes to do it" in capsys.readouterr().err
    assert_refused(host)
    assert main(["clock", "accept", "--yes", *url]) == 0
    host.until_taken()
    assert not host.ask("/api/v1/clock")["is_behind"]
    assert facts(host)[:2] == known[:2]
    seen = datetime.fromisoformat(host.ask("/api/v1/devices/d0")["last_seen"])
    assert abs(datetime.now(UTC) - seen) < timedelta(seconds=30)
    host.stop()
    host.start()
    assert facts(host)[:2] == known[:2]
    assert host.beat()[0] == 204
    assert (host.ask("/api/v1/clock")["nothing_expires"] or "").startswith("the clock leapt")
