"""A whole service on a real S3 API over HTTP: blocks in a bucket, files in a bounded cache, a store that goes away."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from conftest import PUBLISHED, Server
from http_client import Client
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture

DEVICE = f"/api/v1/devices/{PUBLISHED[0]}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def flags_of(s3: S3Server) -> list[str]:
    return [
        "--blocks",
        f"s3://{s3.bucket()}/fleet",
        "--s3-endpoint",
        s3.endpoint,
        "--s3-timeout-s",
        "1",
        "--auto-define",
    ]


def test_history_is_in_the_bucket_and_comes_back_without_the_cache(
    serve: Callable[..., Server], s3: S3Server, tmp_path: Path
) -> None:
    flags = flags_of(s3)
    server = serve(*flags)
    client = Client(server.port)
    assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    assert client.ask("POST", f"{DEVICE}/metrics", {"sent_at": now(), "metrics": {"cpu": 41.5}})[0] == 204
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    assert not (server.folder / "blocks").exists()
    shutil.rmtree(server.folder / "cache")
    server = serve(*flags)
    client = Client(server.port)
    assert client.ask("GET", f"{DEVICE}/metrics?types=cpu&window=1h")[1]["metrics"]["cpu"]["value"] == 41.5
    status, uptime = client.ask("GET", f"{DEVICE}/uptime?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z")
    assert (status, uptime["present"], uptime["expected"]) == (200, 1, 60)
    client.connection.request("GET", "/metrics")
    counters = client.connection.getresponse().read().decode()
    assert float(counters.split("\nfleetpulse_cache_misses_total ")[1].split()[0]) >= 3
    assert float(counters.split("\nfleetpulse_cache_bytes ")[1].split()[0]) > 0
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    command = [sys.executable, "-m", "fleetpulse", "verify", "--data", str(server.folder), *flags[:4]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "WRONG" in done.stdout) == (0, False), done.stdout + done.stderr
    # A block that is damaged in the bucket is found although its copy in the cache is not, and the other way round.
    copy = next((server.folder / "cache").glob("presence-*"))
    s3.store(tmp_path / "other", url=flags[1]).put(copy.name, lambda to: to.write(b"damage") and None)
    found = {}
    for name, more in (("bucket", []), ("cache", ["--cache"])):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        found[name] = done.returncode, copy.name in done.stdout.replace("\n", "")
    assert found == {"bucket": (1, True), "cache": (0, False)}
    copy.write_bytes(b"damage")
    done = subprocess.run([*command, "--cache"], capture_output=True, text=True, check=False)
    assert (done.returncode, "read from the bucket again" in done.stdout) == (1, True), done.stdout
    assert not list(server.folder.glob("verify-*"))
    done = subprocess.run(
        [*command[:-2], "--s3-endpoint", "http://127.0.0.1:9"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "cannot be listed" in done.stdout, "Traceback" in done.stderr) == (1, True, False)


def test_while_the_store_is_away_events_are_taken_and_answers_say_what_they_lack(
    serve: Callable[..., Server], s3: S3Server, tmp_path: Path
) -> None:
    bucket = f"s3://{s3.bucket()}/fleet"
    server = serve("--blocks", bucket, "--s3-endpoint", s3.endpoint, "--auto-define")
    client = Client(server.port)
    assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": "2026-01-01T00:00:00Z"})[0] == 204
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    # The same data, and a store that nobody answers for; what it needs to start is warm.
    dead = [
        "--blocks",
        bucket,
        "--s3-endpoint",
        "http://127.0.0.1:9",
        "--s3-timeout-s",
        "0.3",
        "--checkpoint-s",
        "1",
        "--auto-define",
    ]
    server = serve(*dead)
    client = Client(server.port)
    assert client.ask("POST", f"{DEVICE}/metrics", {"sent_at": now(), "metrics": {"cpu": 41.5}})[0] == 204
    assert client.ask("GET", f"{DEVICE}/metrics?types=cpu&window=1h")[1]["metrics"]["cpu"]["value"] == 41.5
    server.wait_for_log("checkpoint failed")
    assert client.ask("GET", "/readyz")[0] == 200
    client.close()
    server.stop(signal.SIGKILL)
    started = time.monotonic()
    server = serve("--blocks", bucket, "--s3-endpoint", s3.endpoint, "--auto-define")
    client = Client(server.port)
    assert client.ask("GET", f"{DEVICE}/metrics?types=cpu&window=1h")[1]["metrics"]["cpu"]["value"] == 41.5
    client.close()
    assert time.monotonic() - started < 30
