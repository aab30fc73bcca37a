"""The units of deploy/: read by systemd's own tools, and their ExecStart run as systemd runs it."""

import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from authority import Authority
from conftest import ROOT, Server
from handed_socket import Beats, Manager, listener_on_loopback, with_socket
from http_client import Client

UNITS = [ROOT / "deploy" / "fleetpulse.service", ROOT / "deploy" / "fleetpulse.socket"]
NODE_UNIT = ROOT / "deploy" / "fleetpulse-node.service"
EXPOSURE_MAX = 1.5
"""Of systemd's own scale from 0 to 10; 1.2 when this was written, and 1.4 of a node of several."""
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd (Debian: systemd)")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (Debian package strace)")


def exec_start(config: Path) -> list[str]:
    """The command of the unit, with the command and the settings of this test in the place of those of a machine."""
    found = re.search(r"^ExecStart=(.+)$", UNITS[0].read_text(), re.MULTILINE)
    assert found is not None
    words = shlex.split(found[1])
    assert (words[0], words[-1]) == ("/opt/fleetpulse/bin/fleetpulse", "/etc/fleetpulse.toml")
    return [sys.executable, "-m", "fleetpulse", *words[1:-1], str(config)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "fleetpulse.toml"
    path.write_text(
        f'data = "{tmp_path}/data"\nport = 0\nauto_register = true\nready_wait_s = 5\nlog_format = "json"\n'
    )
    return path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path)
    yield found
    found.close()


@needs_systemd
def test_systemd_reads_the_units_and_finds_them_well_shut_in(tmp_path: Path) -> None:
    units = [*UNITS, NODE_UNIT]
    for unit in units:
        text = unit.read_text().replace("/opt/fleetpulse/bin/fleetpulse", shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name) for unit in units]
    verified = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    for service in (names[0], names[-1]):
        words = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", service]
        judged = subprocess.run(words, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout


def test_the_command_of_the_unit_tells_systemd_when_it_is_ready_that_it_lives_and_that_it_stops(
    config: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    server = Server.run(exec_start(config), log=config.with_suffix(".log"), folder=config.parent / "data")
    try:
        manager.await_line("READY=1")
        manager.await_line("WATCHDOG=1")
        manager.lines.clear()
        manager.await_line("WATCHDOG=1", within_s=0.6)
        client = Client(server.port)
        assert client.ask("GET", "/readyz")[0] == 200
        client.close()
    finally:
        assert server.stop() == 0
    manager.await_line("STOPPING=1")
    assert manager.lines[-1] != "READY=1"


@pytest.mark.parametrize("is_tls", [False, True])
def test_no_beat_is_lost_in_a_restart_while_systemd_holds_the_socket(config: Path, *, is_tls: bool) -> None:
    connect: Callable[..., HTTPConnection] = HTTPConnection
    if is_tls:
        authority = Authority(config.parent)
        certificate = authority.issue("server", common_name="server", ip="127.0.0.1")
        files = f'tls_certificate = "{certificate}"\ntls_key = "{certificate.with_suffix(".key")}"\n'
        config.write_text(config.read_text() + files)
        connect = partial(HTTPSConnection, context=ssl.create_default_context(cafile=authority.path))
    with listener_on_loopback() as listener:
        port, command = listener.getsockname()[1], with_socket(listener, exec_start(config))

        def start(number: int) -> Server:
            log = config.with_name(f"serve-{number}.log")
            return Server.run(command, log=log, folder=config.parent / "data", pass_fds=(listener.fileno(),))

        server = start(0)
        assert server.port == port
        try:
            connected = partial(connect, "127.0.0.1", port, timeout=20)
            fresh = Beats(port, [f"new-{number}" for number in range(8)], connect=connected)
            kept = Beats(port, [f"kept-{number}" for number in range(8)], is_kept=True, connect=connected)
            with fresh, kept:
                for number in range(1, 2 if is_tls else 3):
                    time.sleep(0.5)
                    assert server.stop(signal.SIGTERM) == 0
                    server = start(number)
            assert (fresh.failures, kept.failures) == ([], [])
            delay_s = max(*fresh.delays_s, *kept.delays_s)
            count = len(fresh.delays_s) + len(kept.delays_s)
            print(f"\nrestarted, {count} beats, none later than {delay_s:.2f} s; {kept.repeated} were sent again")
            assert delay_s < 10
            asking = connected()
            for beats in (fresh, kept):
                counts = [accepted(asking, device) for device in beats.devices]
                assert len(beats.delays_s) <= sum(counts) <= len(beats.delays_s) + beats.repeated
            asking.close()
        finally:
            server.stop(signal.SIGKILL)


def accepted(connection: HTTPConnection, device: str) -> int:
    """How many events of a device there are."""
    connection.request("GET", f"/api/v1/devices/{device}/audit")
    return int(json.loads(connection.getresponse().read())["accepted"])


@needs_systemd
@needs_strace
def test_the_unit_allows_every_system_call_that_the_service_makes(config: Path) -> None:
    trace = config.with_name("trace")
    words = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace), *exec_start(config)]
    server = Server.run(words, log=config.with_suffix(".log"), folder=config.parent / "data")
    try:
        client = Client(server.port)
        beat = {"sent_at": "2026-11-24T08:30:00Z"}
        assert client.ask("POST", "/api/v1/devices/one/heartbeat", beat)[0] == 204
        assert client.ask("GET", "/api/v1/devices/one/uptime?window=1h")[0] == 200
        client.close()
        os.kill(int((server.folder / "lock").read_text()), signal.SIGTERM)
    finally:
        server.process.wait(60)
    lines = trace.read_text().splitlines()
    made = {found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))}
    allowed = set()
    for filters in re.findall(r"^SystemCallFilter=(.+)$", UNITS[0].read_text(), re.MULTILINE):
        calls = calls_of(filters.removeprefix("~"))
        allowed = allowed - calls if filters.startswith("~") else allowed | calls
    assert len(made) > 50
    # SQLite keeps the owner of its files where root runs it, which the unit does not.
    assert made - allowed <= ({"fchown"} if os.geteuid() == 0 else set())
    # MemoryDenyWriteExecute: no memory is made executable, nor mapped so that it can be both.
    executable = [line for line in lines if re.search(r"mprotect\(.*PROT_EXEC|PROT_WRITE\|PROT_EXEC", line)]
    assert executable == []


def calls_of(filters: str) -> set[str]:
    """The system calls of systemd's sets, which may name other sets."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", *filters.split()], capture_output=True, text=True, check=True
    )
    names = {line.strip() for line in done.stdout.splitlines() if line.startswith("    ")}
    names = {name for name in names if not name.startswith("#")}
    inner = {name for name in names if name.startswith("@")}
    return (names - inner) | {call for one in inner for call in calls_of(one)}
