"""Whose the blocks are: other folders on the same prefix, lost catalogs, and copies of a folder that are started."""

import re
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from command import refusal, run_command
from conftest import PUBLISHED, ROOT, Server
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.manifest import Manifest
from http_client import Client
from s3_server import REGION, S3Server, s3_server  # noqa: F401  # a fixture

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"
TIME = "2026-01-01T00:00:00Z"
LATE = ["--earliest", "2025-01-01T00:00:00Z"]
MANY_SINCE, MANY_DAYS = "2025-09-01T00:00:00Z", 70
"""Late days of which compaction begins to merge some, and not all in one piece."""
Serve = Callable[..., Server]


@pytest.fixture
def flags(s3: S3Server) -> list[str]:
    """A prefix of a bucket."""
    return ["--blocks", f"s3://{s3.bucket()}/fleet", "--s3-endpoint", s3.endpoint, "--s3-timeout-s", "1"]


def beat(server: Server, minute: int) -> int:
    client = Client(server.port)
    status: int = client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": f"2026-01-01T00:{minute:02}:00Z"})[0]
    client.close()
    return status


def present(server: Server, *, since: str = TIME) -> int:
    client = Client(server.port)
    status, uptime = client.ask("GET", f"{DEVICE}/uptime?from={since}&to=2026-01-01T01:00:00Z&formula=uptime/1")
    client.close()
    assert status == 200
    return int(uptime["present"])


def beat_on_many_days(server: Server) -> None:
    days = [datetime.fromisoformat(MANY_SINCE) + timedelta(days=day) for day in range(MANY_DAYS)]
    lines = [f'{{"device_id": "{PUBLISHED[0]}", "sent_at": "{day:%Y-%m-%dT%H:%M:%SZ}"}}' for day in days]
    client = Client(server.port)
    body, kind = "\n".join(lines).encode(), "application/x-ndjson"
    assert client.ask("POST", "/api/v1/events", body, content_type=kind)[1]["accepted"] == MANY_DAYS
    client.close()


def of_catalog(folder: Path) -> tuple[Manifest, set[str]]:
    """The manifest in the catalog, and of what a loss is recorded."""
    with closing(SqliteCatalog(folder / "catalog.sqlite")) as catalog:
        return catalog.manifest(), {loss.part for _, loss in catalog.losses()}


def refused_start(folder: Path, *flags: str) -> str:
    """What a service says that must refuse to start."""
    return refusal("serve", "--port", "0", "--data", str(folder), "--devices", str(ROOT / "devices.csv"), *flags)


def adopt(folder: Path, *flags: str) -> str:
    """What `fleetpulse adopt` prints."""
    done = run_command("adopt", "--data", str(folder), *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def look(server: Server) -> list[object]:
    """What a service answers about a device that adopting must bring back."""
    client = Client(server.port)
    device = client.ask("GET", DEVICE)[1]
    kept = {name: device[name] for name in ("device_id", "labels", "interval_s", "grace_s", "note") if name in device}
    metrics = client.ask("GET", f"{DEVICE}/metrics?types=cpu&from={TIME}&to=2026-01-01T01:00:00Z")[1]["metrics"]["cpu"]
    deleted = client.ask("GET", f"/api/v1/devices/{PUBLISHED[1]}")[0]
    client.close()
    return [kept, metrics["value"], deleted, present(server)]


def names_of(flags: list[str], tmp_path: Path) -> set[str]:
    """The blocks in the bucket."""
    cache = tmp_path / "look"
    store = S3BlockStore(flags[1], endpoint=flags[3], region=REGION, cache_folder=cache, cache_bytes_max=1 << 20)
    return store.names()


def test_a_fresh_folder_on_a_prefix_in_use_does_not_start_and_deletes_nothing(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    server = serve(*flags)
    assert beat(server, 0) == 204
    assert server.stop(signal.SIGTERM) == 0
    before = names_of(flags, tmp_path)
    assert len(before) > 3
    text = refused_start(tmp_path / "fresh", *flags, "--checkpoint-s", "0.1")
    assert f"{flags[1]} at" in text and "another service" in text and "fleetpulse adopt" in text
    assert names_of(flags, tmp_path) == before
    assert present(serve(*flags)) == 1


@pytest.mark.parametrize("lost", [("catalog",), ("catalog", "journal")])
@pytest.mark.parametrize("is_s3", [False, True])
def test_a_folder_whose_catalog_is_lost_does_not_start_over_its_blocks(
    serve: Serve, flags: list[str], tmp_path: Path, *, lost: tuple[str, ...], is_s3: bool
) -> None:
    where = flags if is_s3 else []
    server = serve(*where, *LATE, "--checkpoint-s", "0.2")
    assert beat(server, 0) == 204
    beat_on_many_days(server)
    server.wait_for_log('"event": "compaction"')
    server.stop(signal.SIGKILL)
    manifest, _ = of_catalog(server.folder)
    assert manifest.late and manifest.counted  # some of the days are merged, and counted beside the snapshot
    blocks = server.folder / "blocks"
    before = names_of(flags, tmp_path) if where else {path.name for path in blocks.iterdir()}
    for name in lost:
        for file in server.folder.glob(f"{name}.sqlite*"):
            file.unlink()
    assert "fleetpulse adopt" in refused_start(server.folder, *where, "--checkpoint-s", "0.1")
    after = names_of(flags, tmp_path) if where else {path.name for path in blocks.iterdir()}
    assert before == after and len(after) > 3
    shown = adopt(server.folder, *where, "--dry-run")
    assert "Nothing was changed" in shown and "NOT BACK: pauses" in shown
    if where:
        assert "Nothing was changed" in adopt(tmp_path / "nowhere", *where, "--dry-run")
        assert not (tmp_path / "nowhere").exists()
    assert "fleetpulse adopt" in refused_start(server.folder, *where)
    assert ("journal is not there" in adopt(server.folder, *where)) == ("journal" in lost)
    assert of_catalog(server.folder) == (manifest, {*lost})
    again = serve(*where, *LATE)
    assert (present(again), present(again, since=MANY_SINCE)) == (1, MANY_DAYS + 1)
    assert beat(again, 1) == 204
    assert again.stop(signal.SIGTERM) == 0
    last = serve(*where, *LATE)
    assert (present(last), present(last, since=MANY_SINCE)) == (2, MANY_DAYS + 2)


def test_a_lost_catalog_comes_back_with_what_the_journal_holds_after_the_last_checkpoint(serve: Serve) -> None:
    server = serve("--auto-register", "--auto-define")
    client = Client(server.port)
    about = {"interval": "10m", "grace": "20m", "note": "on the roof", "labels": {"site": "x"}}
    assert client.ask("PATCH", DEVICE, about)[0] == 200
    assert client.ask("POST", f"{DEVICE}/metrics", {"sent_at": TIME, "metrics": {"cpu": 41.5}})[0] == 204
    assert client.ask("DELETE", f"/api/v1/devices/{PUBLISHED[1]}")[0] in {200, 204}
    client.close()
    assert beat(server, 0) == 204
    assert server.stop(signal.SIGTERM) == 0
    server = serve("--auto-register", "--auto-define", "--checkpoint-s", "1000")
    assert beat(server, 1) == 204
    before = look(server)
    client = Client(server.port)
    assert client.ask("POST", "/api/v1/devices/late/heartbeat", {"sent_at": TIME})[0] == 204
    assert client.ask("POST", f"{DEVICE}/metrics", {"sent_at": TIME, "metrics": {"load": 1.5}})[0] == 204
    client.close()
    server.stop(signal.SIGKILL)
    for file in server.folder.glob("catalog.sqlite*"):
        file.unlink()
    shown = adopt(server.folder)
    assert "the names of 1 device declared" in shown and "the names of 1 metric declared" in shown
    restored = serve(devices=None)
    assert look(restored) == before
    client = Client(restored.port)
    late = client.ask("GET", "/api/v1/devices/unnamed-0000005/stats")
    assert late[0] == 200, late
    client.close()


def test_the_older_of_two_copies_of_a_folder_goes_read_only_and_removes_nothing(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    flags += ["--checkpoint-s", "0.3", "--block-grace-h", "0"]
    server = serve(*flags)
    assert beat(server, 0) == 204
    assert server.stop(signal.SIGTERM) == 0
    shutil.copytree(server.folder, tmp_path / "copy")
    copied = names_of(flags, tmp_path)
    older = serve(*flags)
    assert beat(older, 1) == 204
    older.wait_for_log('"event": "checkpoint"')
    assert beat(older, 2) == 204
    newer = Server(tmp_path / "copy", *flags)
    try:
        assert beat(older, 3) == 204  # into its own journal: it has not looked at the bucket yet
        older.wait_for_log("read-only: a later start")
        assert beat(older, 4) == 503
        before = names_of(flags, tmp_path)
        client = Client(older.port)
        status, ready = client.ask("GET", "/readyz")
        assert (status, ready["status"], str(tmp_path / "copy") in ready["msg"]) == (503, "outdated", True)
        client.close()
        assert present(older) == 4  # it still answers
        assert beat(newer, 5) == 204
        newer.wait_for_log('"event": "checkpoint"')
        assert older.stop(signal.SIGTERM) == 0
        assert "superseded files removed" not in older.log.read_text().split("read-only")[-1]
        # What the copy did not write, and its catalog did not name, it does not remove.
        assert before - copied <= names_of(flags, tmp_path)
    finally:
        assert newer.stop(signal.SIGTERM) == 0


def test_a_restored_older_copy_of_the_folder_starts_within_the_grace(
    serve: Serve, flags: list[str], tmp_path: Path
) -> None:
    flags += ["--checkpoint-s", "0.2"]
    server = serve(*flags)
    assert beat(server, 0) == 204
    assert server.stop(signal.SIGTERM) == 0
    shutil.copytree(server.folder, tmp_path / "copy")
    server = serve(*flags)
    for minute in range(1, 4):
        count = server.log.read_text().count('"event": "checkpoint"')
        assert beat(server, minute) == 204
        server.wait_for_log("(?s)" + '"event": "checkpoint".*' * (count + 1))
    assert server.stop(signal.SIGTERM) == 0
    server.folder.rename(tmp_path / "damaged")
    (tmp_path / "copy").rename(server.folder)
    shutil.rmtree(server.folder / "cache")
    restored = serve(*flags)
    restored.wait_for_log("the blocks are newer than this data folder")
    assert present(restored) == 1
    assert beat(restored, 9) == 204
    listed = run_command("blocks", "list", "--url", f"http://127.0.0.1:{restored.port}").stdout
    assert restored.stop(signal.SIGTERM) == 0
    done = run_command("verify", "--data", str(server.folder), *flags[:4])
    assert done.returncode == 0
    (note,) = {*re.findall(r"manifest-\d+-[0-9a-f]+\.json", done.stdout)}
    assert f"Kept: {note}" in listed and f"`fleetpulse adopt` with --manifest {note}" in listed
    for path in (*server.folder.glob("*.sqlite*"), server.folder / "reached"):
        path.rename(tmp_path / path.name)
    adopt(server.folder, *flags[:4], "--manifest", note)
    assert present(serve(*flags)) == 4
