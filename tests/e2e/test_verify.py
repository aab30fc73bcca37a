"""`fleetpulse verify` says what is wrong with a data folder."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import PUBLISHED, Server
from http_client import Client


def verify(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "fleetpulse", "verify", "--data", str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_folder_is_good_until_a_block_or_an_entry_is_damaged(serve: Callable[..., Server]) -> None:
    server = serve()
    client = Client(server.port)
    body = {"sent_at": "2026-01-01T00:00:00Z"}
    assert client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", body)[0] == 204
    client.close()
    assert "in use" in verify(server.folder)[1]
    assert server.stop(signal.SIGTERM) == 0
    status, text = verify(server.folder)
    assert (status, "1 in 1 closed days" in text) == (0, True), text
    block = next((server.folder / "blocks").glob("presence-*"))
    block.write_bytes(block.read_bytes()[:-1] + b"x")
    status, text = verify(server.folder)
    assert (status, "WRONG" in text, block.name[:12] in text) == (1, True, True), text
