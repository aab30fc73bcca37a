"""`fleetpulse simulate` against the real server: right figures, also across a kill; a mismatch is an exit status."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import COMMAND, run_command
from conftest import ROOT, Server

Serve = Callable[..., Server]


def simulate(port: int, *flags: str) -> "subprocess.CompletedProcess[str]":
    return run_command("simulate", "--url", f"http://127.0.0.1:{port}", *flags)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for what is refused before anything is sent."""
    server = Server(tmp_path_factory.mktemp("idle") / "data")
    yield server
    assert server.stop() == 0


def test_the_published_run_is_right_and_stays_right_when_it_is_played_again(serve: Serve) -> None:
    server = serve()
    for _ in range(2):
        done = simulate(server.port, "--published", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        uptimes = [f"{verdict['uptime_actual']:.5f}" for verdict in json.loads(done.stdout)]
        assert uptimes == ["99.79167", "100.00000", "92.91667", "98.75000", "99.79167"]


@pytest.mark.parametrize("flags", [[], ["--bulk", "100"]])
def test_a_fleet_is_right_although_the_server_is_killed_in_the_middle(tmp_path: Path, flags: list[str]) -> None:
    server = Server(tmp_path / "data", "--auto-register", "--checkpoint-s", "0.2")
    command = [*COMMAND, "simulate", "--url", f"http://127.0.0.1:{server.port}", "--devices", "60", *flags]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as simulation:
            server.wait_for_log('"event": "checkpoint"')
            server.stop(signal.SIGKILL)
            server = Server(tmp_path / "data", "--auto-register", "--port", str(server.port))
            output, errors = simulation.communicate(timeout=120)
        assert simulation.returncode == 0, output + errors
        assert "60 of 60 devices right" in output
    finally:
        server.stop(signal.SIGKILL)


def test_realtime_takes_the_time_it_takes(serve: Serve) -> None:
    started = time.monotonic()
    flags = ["--speed", "realtime", "--hours", "0.0006", "--upload-every-s", "1", "--ids", str(ROOT / "devices.csv")]
    done = simulate(serve().port, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started > 1.0


def test_figures_that_are_wrong_end_in_exit_status_1_and_say_why(serve: Serve) -> None:
    port = serve("--auto-register").port
    assert simulate(port, "--devices", "3", "--hours", "1", "--start", "2026-01-01T00:00:00Z").returncode == 0
    done = simulate(port, "--devices", "3", "--hours", "1", "--start", "2026-01-02T00:00:00Z")
    assert (done.returncode, "0 of 3 devices right" in done.stdout, "had data before" in done.stderr) == (1, True, True)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--devices", "2"], "--auto-register"),
        (["--devices", "0"], "at least 1"),
        (["--published", "--url", "nonsense"], "no address"),
        (["--published", "--url", "http://127.0.0.1:1", "--patience", "0.1"], "Is it running"),
        (["--published", "--connections", "0"], "--connections"),
        (["--devices", "1", "--outage-share", "-1"], "Shares are 0 to 1"),
        (["--devices", "1", "--gap-every", "1"], "--gap-every must be 0, or at least 2"),
        (["--devices", "1", "--start", "today"], "--start must be an RFC 3339 time"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(idle: Server, flags: list[str], text: str) -> None:
    done = simulate(idle.port, *flags)
    assert done.returncode == 1
    assert text in done.stderr.replace("\n", " "), done.stderr
    assert "Traceback" not in done.stderr
