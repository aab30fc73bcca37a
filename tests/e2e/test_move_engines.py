"""A service moves to the engines of several nodes and back by the command, and answers as before."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from command import refusal, run_command
from conftest import Server
from moved_service import answers_of, lived
from nats_server import NatsCluster
from postgres_server import PostgresServer, is_missing, postgres_server  # noqa: F401  # a fixture
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture


def run(*words: str, **environment: str) -> str:
    """What a command printed that must succeed."""
    done = run_command(*words, environment={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_service_moves_to_a_stream_and_a_bucket_and_back(
    serve: Callable[..., Server], s3: S3Server, tmp_path: Path
) -> None:
    server, before = lived(serve)
    with NatsCluster(tmp_path / "nats", count=1) as cluster:
        flags = ["--s3-endpoint", s3.endpoint, "--journal-replicas", "1", "--nats-monitors", cluster.monitors]
        there = [str(tmp_path / "there"), cluster.url("fleet"), f"s3://{s3.bucket()}/fleet"]
        came = run("move", "--from", str(server.folder), "--to", *there, *flags)
        assert "live fleet" in came
        back = tmp_path / "back"
        again = run("move", "--from", *there, "--to", str(back), *flags)
        # Both ways have compared the same: rows, entries, and the fleet that they make.
        assert hashes(came) == hashes(again)
    home = Server(back, "--auto-define")
    try:
        assert answers_of(home) == before
    finally:
        assert home.stop(signal.SIGTERM) == 0


@pytest.mark.skipif(bool(is_missing()), reason=is_missing())
def test_a_service_moves_to_the_engines_of_several_nodes_and_back(
    serve: Callable[..., Server], s3: S3Server, postgres: PostgresServer, tmp_path: Path
) -> None:
    server, before = lived(serve)
    with NatsCluster(tmp_path / "nats", count=1) as cluster:
        flags = ["--s3-endpoint", s3.endpoint, "--journal-replicas", "1", "--nats-monitors", cluster.monitors]
        there = [cluster.url("fleet"), postgres.database(), f"s3://{s3.bucket()}/fleet"]
        came = run("move", "--from", str(server.folder), "--to", *there, *flags)
        assert "goes on there" in refusal("serve", "--data", str(server.folder), "--port", "0")
        back = tmp_path / "back"
        again = run("move", "--from", *there, "--to", str(back), *flags)
        assert hashes(came) == hashes(again) != []
    home = Server(back, "--auto-define")
    try:
        assert answers_of(home) == before
    finally:
        assert home.stop(signal.SIGTERM) == 0


def hashes(printed: str) -> list[str]:
    return [line.split()[-1] for line in printed.splitlines() if line.split()[:1] in (["catalog"], ["live"])]
