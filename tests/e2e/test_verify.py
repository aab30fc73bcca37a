"""`fleetpulse verify` says what is wrong with a data folder."""

import signal
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from command import run_command
from conftest import PUBLISHED, Server
from http_client import Client


def verify(folder: Path) -> tuple[int, str]:
    done = run_command("verify", "--data", str(folder))
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
    (row,) = [line for line in text.splitlines() if line.strip().startswith("files outside the manifest")]
    assert "superseded" in row
    assert (
        row.rstrip().endswith("not read")
        == ("Not read: files outside the manifest" in text)
        == (" 0 superseded" not in row)
    )
    block = next((server.folder / "blocks").glob("presence-*"))
    block.write_bytes(block.read_bytes()[:-1] + b"x")
    status, text = verify(server.folder)
    assert (status, "WRONG" in text, block.name[:12] in text) == (1, True, True), text


def with_a_closed_block(serve: Callable[..., Server]) -> Path:
    """Serve until a day is closed; its block."""
    server = serve()
    client = Client(server.port)
    for minute in range(30):
        body = {"sent_at": f"2026-01-01T00:{minute:02d}:00Z"}
        assert client.ask("POST", f"/api/v1/devices/{PUBLISHED[0]}/heartbeat", body)[0] == 204
    client.close()
    (server.folder / "blocks" / "lost+found").mkdir()  # none of ours: a mount has one
    assert server.stop(signal.SIGTERM) == 0
    return next((server.folder / "blocks").glob("presence-*"))


def test_a_missing_block_is_said_at_the_start_and_by_verify_and_the_service_stays_up(
    serve: Callable[..., Server],
) -> None:
    block = with_a_closed_block(serve)
    block.unlink()
    server = serve()
    assert block.name in server.log.read_text()
    client = Client(server.port)
    status, stats = client.ask("GET", f"/api/v1/devices/{PUBLISHED[0]}/stats")
    assert status == 200
    # The snapshot counts what the block held; what came after it, if a checkpoint was taken meanwhile, is not counted.
    assert stats["uptime"] == 100.0 or block.name in stats["missing"][0]["reason"]
    client.close()
    assert server.stop() == 0
    status, text = verify(server.folder)
    assert (status, "is missing" in text) == (1, True), text


def test_a_damaged_closed_block_is_never_believed_and_never_signed_anew(serve: Callable[..., Server]) -> None:
    block = with_a_closed_block(serve)
    body = bytearray(block.read_bytes())
    body[34] ^= 16
    block.write_bytes(body)
    server = serve("--checkpoint-s", "0.2")
    client = Client(server.port)
    heartbeat, stats = (f"/api/v1/devices/{PUBLISHED[0]}/{what}" for what in ("heartbeat", "stats"))
    assert client.ask("POST", heartbeat, {"sent_at": "2026-01-01T01:00:00Z"})[0] == 204
    status, answer = client.ask("GET", stats)
    assert (status, block.name in answer["missing"][0]["reason"]) == (200, True), answer
    server.wait_for_log('"event": "checkpoint"')  # it is not kept by the damage, and leaves the block as it is
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    status, text = verify(server.folder)
    assert (status, "WRONG" in text) == (1, True), text
    body[34] ^= 16
    block.write_bytes(body)
    client = Client(serve().port)
    assert client.ask("GET", stats)[1]["uptime"] == 100 * 31 / 60
    client.close()


def test_a_folder_without_its_catalog_is_not_whole_and_is_left_as_it_is(serve: Callable[..., Server]) -> None:
    folder = with_a_closed_block(serve).parent.parent
    (folder / "catalog.sqlite").unlink()
    status, text = verify(folder)
    assert (status, "catalog.sqlite" in text, (folder / "catalog.sqlite").exists()) == (1, True, False), text


def test_answers_say_which_days_they_lack_whatever_block_is_gone(serve: Callable[..., Server], tmp_path: Path) -> None:
    from fleetpulse.cli.main import main

    assert main(["generate", "--data", str(tmp_path / "data"), "--devices", "200", "--days", "5", "--sites", "2"]) == 0
    blocks = tmp_path / "data" / "blocks"
    gone = {kind: sorted(blocks.glob(f"{kind}-*"))[1] for kind in ("presence", "silences", "gaps")}
    gone["samples"] = sorted(blocks.glob("samples-float-*-raw-*"))[1]
    gone["hour"] = sorted(blocks.glob("samples-float-*-hour-*"))[2]
    for file in gone.values():
        file.unlink()
    server = serve(devices=None)
    client = Client(server.port)

    def ask(path: str) -> tuple[dict[str, Any], str]:
        status, answer = client.ask("GET", f"/api/v1{path}")
        assert status == 200, answer
        return answer, " ".join(span["reason"] for span in answer["missing"])

    device = "/devices/device-0000007"
    uptime, lacks = ask(f"{device}/uptime?window=5d&explain=true")
    assert gone["gaps"].name in lacks and gone["silences"].name in lacks
    assert (uptime["uptime"], uptime["gaps"], uptime["availability"], uptime["observed"]["uptime"]) == (None,) * 4
    assert uptime["left_out_s"]["missing"] >= 86_400
    assert gone["presence"].name in ask(f"{device}/uptime?window=5d&formula=uptime/1")[1]
    assert gone["silences"].name in ask(f"{device}/transitions?window=5d")[1]
    fleet, lacks = ask("/fleet/uptime?window=5d&group_by=site")
    assert gone["gaps"].name in lacks and gone["silences"].name in lacks
    assert [fleet["fleet"][name] for name in ("uptime", "up_s", "availability", "down_s")] == [None] * 4
    fleet, lacks = ask("/fleet/uptime?window=5d&formula=uptime/1")
    assert gone["presence"].name in lacks and 0 < fleet["fleet"]["uptime"] <= 100
    assert gone["gaps"].name in ask("/fleet/stats?window=5d")[1]
    assert gone["gaps"].name in ask("/devices?sort=uptime&uptime_window=5d")[1]
    for question in (f"{device}/metrics", "/fleet/metrics"):
        lacks = ask(f"{question}?types=cpu&window=5d&step=1h")[1]
        assert gone["hour"].name in lacks
        assert gone["samples"].name in ask(f"{question}?types=cpu&window=5d&aggregation=p95")[1]
    status, answer = client.ask("GET", "/api/v1/devices.csv?uptime_below=50&uptime_window=5d")
    assert (status, "is missing" in answer["msg"]) == (503, True), answer
    with pytest.raises(IncompleteRead) as cut:  # what came before the block was sent already
        client.ask("GET", "/api/v1/export?what=silences&window=5d")
    last = cut.value.partial.splitlines()[-1].decode()
    assert "EXPORT CUT" in last and gone["silences"].name in last
    client.close()
    assert client.ask("GET", "/readyz")[0] == 200
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    status, text = verify(server.folder)
    assert status == 1
    assert all(file.name in text for file in gone.values()), text
