"""A whole service on a real S3 API over HTTP: blocks in a bucket, files in a bounded cache, a store that goes away."""

import contextlib
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from command import run_command
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
    assert (status, uptime["up_s"], uptime["accountable_s"]) == (200, 60.0, 3_600.0)
    client.connection.request("GET", "/metrics")
    counters = client.connection.getresponse().read().decode()
    assert float(counters.split("\nfleetpulse_cache_misses_total ")[1].split()[0]) >= 3
    assert float(counters.split("\nfleetpulse_cache_bytes ")[1].split()[0]) > 0
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    command = ["verify", "--data", str(server.folder), *flags[:4]]
    done = run_command(*command)
    assert (done.returncode, "WRONG" in done.stdout) == (0, False), done.stdout + done.stderr
    # A block that is damaged in the bucket is found although its copy in the cache is not, and the other way round.
    copy = next((server.folder / "cache").glob("silences-*"))
    s3.store(tmp_path / "other", url=flags[1]).put(copy.name, lambda to: to.write(b"damage") and None)
    found = {}
    for name, more in (("bucket", []), ("cache", ["--cache"])):
        done = run_command(*command, *more)
        found[name] = done.returncode, copy.name in done.stdout.replace("\n", "")
    assert found == {"bucket": (1, True), "cache": (0, False)}
    copy.write_bytes(b"damage")
    done = run_command(*command, "--cache")
    assert (done.returncode, "read from the bucket again" in done.stdout) == (1, True), done.stdout
    assert not list(server.folder.glob("verify-*"))
    done = run_command(*command[:-2], "--s3-endpoint", "http://127.0.0.1:9")
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


def readiness(client: Client) -> tuple[int, str, str]:
    status, body = client.ask("GET", "/readyz")
    return status, body["status"], body.get("msg", "")


def wait_until_ready(client: Client) -> None:
    deadline = time.monotonic() + 60
    while readiness(client)[1] != "ready":
        assert time.monotonic() < deadline, readiness(client)
        time.sleep(0.1)


def test_a_bucket_that_does_not_exist_is_said_at_the_first_start_and_used_once_it_does(
    serve: Callable[..., Server], s3: S3Server
) -> None:
    name = f"later-{time.time_ns()}"
    flags = ["--blocks", f"s3://{name}/fleet", "--s3-endpoint", s3.endpoint]
    server = serve(*flags, "--s3-timeout-s", "1", "--s3-retry-s", "0.2")
    client = Client(server.port)
    status, state, msg = readiness(client)
    assert (status, state, name in msg) == (200, "degraded", True), msg
    assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": now()})[0] == 204
    assert client.ask("GET", f"{DEVICE}/stats")[1]["uptime"] == 100.0
    s3.bucket(name)
    wait_until_ready(client)
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    assert s3.store(server.folder / "other", url=flags[1]).names()


class Forwarder:
    """Lets the S3 server answer on another port, from a moment on."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    def open(self) -> None:
        self.server = socket.create_server(("127.0.0.1", self.port))
        self.threads = [threading.Thread(target=self._serve)]
        self.threads[0].start()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        self.server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # until it is shut down
            while True:
                near, _ = self.server.accept()
                far = socket.create_connection(("127.0.0.1", self.to_port))
                for one, other in ((near, far), (far, near)):
                    self.threads.append(threading.Thread(target=self._copy, args=(one, other)))
                    self.threads[-1].start()

    @staticmethod
    def _copy(one: socket.socket, other: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            while piece := one.recv(65_536):
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)


def test_without_store_and_cache_events_are_taken_and_all_count_once_the_store_is_back(
    serve: Callable[..., Server], s3: S3Server
) -> None:
    bucket = ["--blocks", f"s3://{s3.bucket()}/fleet"]
    server = serve(*bucket, "--s3-endpoint", s3.endpoint)
    client = Client(server.port)
    for minute in range(3):
        body = {"sent_at": f"2026-01-01T00:{minute:02d}:00Z"}
        assert client.ask("POST", f"{DEVICE}/heartbeat", body)[0] == 204
    assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": now()})[0] == 204
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    shutil.rmtree(server.folder / "cache")
    forwarder = Forwarder(s3.port)
    away = [*bucket, "--s3-endpoint", f"http://127.0.0.1:{forwarder.port}"]
    away += ["--s3-timeout-s", "0.3", "--s3-retry-s", "0.2", "--checkpoint-s", "0.2"]
    for number in (signal.SIGTERM, signal.SIGKILL, None):
        server = serve(*away)
        client = Client(server.port)
        assert readiness(client)[:2] == (200, "degraded")
        assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": now()})[0] == 204
        for path in ("stats", "uptime?window=1h", "audit", "transitions?window=1h"):
            status, answer = client.ask("GET", f"{DEVICE}/{path}")
            assert (status, answer["type"].endswith("blocks_away")) == (503, True), (path, answer)
        assert client.ask("GET", "/healthz")[0] == 200
        if number is not None:
            client.close()
            server.stop(number)
    forwarder.open()
    wait_until_ready(client)
    assert client.ask("POST", f"{DEVICE}/heartbeat", {"sent_at": now()})[0] == 204
    audit = client.ask("GET", f"{DEVICE}/audit")[1]
    assert audit["accepted"] == audit["applied"] + audit["pending"] == 8
    status, uptime = client.ask(
        "GET", f"{DEVICE}/uptime?from=2026-01-01T00:00:00Z&to=2026-01-01T00:10:00Z&formula=uptime/1"
    )
    assert (status, uptime["present"], uptime["missing"]) == (200, 3, [])
    client.close()
    assert server.stop(signal.SIGTERM) == 0
    done = run_command("verify", "--data", str(server.folder), *away[:4])
    assert done.returncode == 0, done.stdout + done.stderr
    forwarder.close()
