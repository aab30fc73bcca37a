"""Files of the data folder that are deleted or cut while the service is down: no start goes on in silence."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command import refusal
from conftest import PUBLISHED, Server
from http_client import Client

HEARTBEAT = f"/api/v1/devices/{PUBLISHED[0]}/heartbeat"
ENTRIES = 6
"""At least those of the start and of five beats."""
AUDIT = f"/api/v1/devices/{PUBLISHED[0]}/audit"


def beat(server: Server, count: int) -> None:
    client = Client(server.port)
    for minute in range(count):
        assert client.ask("POST", HEARTBEAT, {"sent_at": f"2026-01-01T00:{minute:02}:00Z"})[0] == 204
    client.close()


def accepted(server: Server) -> int:
    client = Client(server.port)
    count = client.ask("GET", AUDIT)[1]["accepted"]
    client.close()
    return int(count)


def log_removed(data: Path) -> None:
    (data / "journal.sqlite-wal").unlink()


def log_cut(data: Path) -> None:
    path = data / "journal.sqlite-wal"
    path.write_bytes(path.read_bytes()[:-8_192])


def journal_emptied(data: Path) -> None:
    log_removed(data)
    (data / "journal.sqlite").write_bytes(b"")


def journal_removed(data: Path) -> None:
    for path in data.glob("journal.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("accident", [log_removed, log_cut, journal_emptied, journal_removed])
def test_acknowledged_events_that_vanished_are_told_until_that_is_accepted(
    serve: Callable[..., Server], accident: Callable[[Path], None]
) -> None:
    server = serve()
    beat(server, 5)
    server.stop(signal.SIGKILL)
    accident(server.folder)
    for words in (("serve", "--port", "0"), ("verify",), ("serve", "--port", "0")):
        if words == ("verify",) and not (server.folder / "journal.sqlite").exists():
            continue
        text = refusal(*words, "--data", str(server.folder))
        reached = re.search(r"it had reached entry (\d+)", text)
        assert reached and int(reached[1]) >= ENTRIES, (
            text
        )  # on a busy machine the service may have noted the time, too
        assert "--accept-loss" in text
    server = serve("--accept-loss")
    assert '"a loss was accepted"' in server.log.read_text()
    assert accepted(server) < 5
    beat(server, 5)
    assert accepted(server) >= 5
    assert server.stop(signal.SIGTERM) == 0
    assert accepted(serve()) >= 5


def test_a_log_that_is_put_back_brings_everything_back(serve: Callable[..., Server]) -> None:
    server = serve()
    beat(server, 5)
    server.stop(signal.SIGKILL)
    logs = {path: path.read_bytes() for path in server.folder.glob("*-wal")}
    assert len(logs) == 2
    for path in logs:
        path.unlink()
    text = refusal("serve", "--port", "0", "--data", str(server.folder))
    assert "the journal ends at entry 0" in text
    assert "the catalog lacks" in text
    for path, body in logs.items():
        path.write_bytes(body)
    assert accepted(serve()) == 5


def test_a_kill_alone_is_no_loss(serve: Callable[..., Server]) -> None:
    for count in (5, 5):
        server = serve()
        beat(server, count)
        server.stop(signal.SIGKILL)
    assert accepted(serve()) == 10
