"""What systemd is told, and what it hands over."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fleetpulse.errors import READ_ONLY, NotAccepting, SettingsError
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.systemd import Systemd, inherited_listener


@pytest.fixture
def readiness() -> Readiness:
    metrics = KnownMetrics(report_metrics_max=1)
    return Readiness(Intake(numbers={}, metrics=metrics, events_waiting_max=10, wake=lambda: None))


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The value of NOTIFY_SOCKET, and the other end of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        name = str(tmp_path / "notify") if request.param == "path" else f"@fleetpulse-{os.getpid()}"
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(5)
        yield name, receiver


def test_systemd_is_told_how_a_start_goes_on_when_it_is_ready_and_what_does_not_work(
    manager: tuple[str, socket.socket], readiness: Readiness
) -> None:
    name, receiver = manager
    systemd = Systemd({"NOTIFY_SOCKET": name})

    def look() -> str:
        systemd.look(readiness)
        return receiver.recv(1000).decode()

    assert look() == "STATUS=starting: opening"
    readiness.stage, readiness.replay.position, readiness.replay.until = "replay", 7, 90
    assert look() == "STATUS=starting: replay, journal entry 7 of 90"
    readiness.intake.open()
    readiness.is_ready = True
    assert look() == "READY=1\nSTATUS=ready"
    readiness.degraded["checkpoint"] = "the last checkpoint failed"
    assert look() == "STATUS=ready; the last checkpoint failed"
    systemd.stop()
    assert receiver.recv(1000) == b"STOPPING=1\nSTATUS=stopping"


def test_the_watchdog_is_fed_unless_only_a_restart_helps(
    manager: tuple[str, socket.socket], readiness: Readiness
) -> None:
    name, receiver = manager
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "5"}, process=5)
    assert systemd.watchdog_s == 30
    readiness.intake.open()
    readiness.is_ready = True
    systemd.look(readiness)
    assert receiver.recv(1000) == b"READY=1\nSTATUS=ready\nWATCHDOG=1"
    systemd.look(readiness)
    assert receiver.recv(1000) == b"WATCHDOG=1"
    readiness.intake.close(NotAccepting("read-only: a sync failed", reason=READ_ONLY))
    systemd.look(readiness)
    assert receiver.recv(1000) == b"STATUS=read-only: a sync failed"


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "6"}]
)
def test_there_is_no_watchdog_that_is_not_meant_for_this_process(environment: dict[str, str]) -> None:
    assert Systemd(environment, process=5).watchdog_s == 0


def test_nothing_is_told_where_nobody_listens_and_the_log_says_so_once(tmp_path: Path, readiness: Readiness) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with capture_logs() as logs:
        systemd.look(readiness)
        systemd.stop()
        Systemd({}).look(readiness)
    assert [line["event"] for line in logs] == ["systemd cannot be told what the service is at"]


def test_a_socket_that_listens_is_taken_over_and_not_handed_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held_by_systemd:
        port = held_by_systemd.getsockname()[1]
        descriptor = os.dup(held_by_systemd.fileno())
        found = inherited_listener({"LISTEN_PID": "5", "LISTEN_FDS": "1"}, process=5, descriptor=descriptor)
        assert found is not None
        with found:
            assert found.getsockname()[1] == port
            assert not found.get_inheritable()
            assert not found.getblocking()


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "6", "LISTEN_FDS": "1"}, {"LISTEN_PID": "5", "LISTEN_FDS": "0"}],
)
def test_nothing_is_taken_over_that_was_not_handed_to_this_process(environment: dict[str, str]) -> None:
    assert inherited_listener(environment, process=5) is None


def test_what_cannot_be_listened_on_ends_the_start(tmp_path: Path) -> None:
    environment = {"LISTEN_PID": "5", "LISTEN_FDS": "1"}
    with pytest.raises(SettingsError, match="2 sockets"):
        inherited_listener({**environment, "LISTEN_FDS": "2"}, process=5)
    with (tmp_path / "file").open("wb") as file, pytest.raises(SettingsError, match="no socket"):
        inherited_listener(environment, process=5, descriptor=os.dup(file.fileno()))
    for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
        with socket.socket(family, kind) as deaf, pytest.raises(SettingsError, match="must be TCP, and listen"):
            inherited_listener(environment, process=5, descriptor=os.dup(deaf.fileno()))
