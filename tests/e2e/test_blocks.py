"""`fleetpulse blocks`: a damaged block is set aside, checkpoints go on, and a copy is taken up again."""

import signal
from collections.abc import Callable
from pathlib import Path

from command import run_command
from conftest import Server
from http_client import Client


def blocks(server: Server, *words: str) -> str:
    done = run_command("blocks", *words, "--url", f"http://127.0.0.1:{server.port}")
    done.check_returncode()
    return done.stdout


def test_a_damaged_block_is_listed_until_its_copy_is_back(serve: Callable[..., Server], tmp_path: Path) -> None:
    from fleetpulse.cli.main import main

    assert main(["generate", "--data", str(tmp_path / "data"), "--devices", "20", "--days", "5"]) == 0
    block = sorted((tmp_path / "data" / "blocks").glob("silences-*"))[1]
    body = block.read_bytes()
    block.write_bytes(body[:99] + bytes([body[99] ^ 1]) + body[100:])
    server = serve("--fleet-figures-s", "0", devices=None)  # so that nothing but the question below reads it
    client = Client(server.port)
    assert "No block is set aside." in blocks(server, "list")
    _, answer = client.ask("GET", "/api/v1/fleet/uptime?window=5d&step=1h")
    assert any(block.name in span["reason"] for span in answer["missing"])
    assert block.name in blocks(server, "list", "--json")
    status, ready = client.ask("GET", "/readyz")
    assert (status, ready["status"], block.name in ready["msg"]) == (200, "degraded", True)
    assert block.name in blocks(server, "check", "--json")
    block.write_bytes(body)
    assert block.name in blocks(server, "check")
    assert client.ask("GET", "/readyz")[1]["status"] == "ready"
    assert client.ask("GET", "/api/v1/fleet/uptime?window=5d&step=1h")[1]["missing"] == []
    client.close()
    assert server.stop(signal.SIGTERM) == 0
