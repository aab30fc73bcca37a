"""A single node's data moves to three nodes, which answer as it did; their backup becomes a single node again."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from command import refusal, run_command
from conftest import PUBLISHED, Server
from http_client import Client
from moved_service import answers_of, lived
from nats_server import NatsCluster, until
from postgres_server import PostgresServer, is_missing, postgres_server
from s3_server import S3Server, s3_server
from unique_reports import Load, values_of

__all__ = ["postgres_server", "s3_server"]
pytestmark = pytest.mark.skipif(bool(is_missing()), reason=is_missing())
STATS = f"/api/v1/devices/{PUBLISHED[0]}/stats"


class Engines:
    """What nodes share, as the words of `move` and as flags of `serve`."""

    def __init__(self, nats: NatsCluster, postgres: PostgresServer, s3: S3Server) -> None:
        self.words = [nats.url("fleet"), postgres.database(), f"s3://{s3.bucket()}/fleet"]
        self.flags = ["--s3-endpoint", s3.endpoint, "--journal-replicas", "1", "--nats-monitors", nats.monitors]

    @contextmanager
    def nodes(self, folder: Path, *flags: str, count: int = 3) -> Iterator[list[Server]]:
        """Nodes that serve, and are stopped in the end."""
        places = [
            word for pair in zip(("--journal", "--catalog", "--blocks"), self.words, strict=True) for word in pair
        ]
        with ExitStack() as stopping:
            nodes = []
            for number in range(count):
                names = ("--node-name", f"node{number}", "--auto-define", "--auto-register")
                node = Server(folder / f"node{number}", *places, *self.flags, *names, *flags, devices=None)
                stopping.callback(lambda node=node: node.stop(signal.SIGTERM))
                nodes.append(node)
            yield nodes


@pytest.fixture
def engines(tmp_path: Path, postgres: PostgresServer, s3: S3Server) -> Iterator[Engines]:
    with NatsCluster(tmp_path / "nats", count=1) as nats:
        yield Engines(nats, postgres, s3)


def moved(*words: str) -> "subprocess.CompletedProcess[str]":
    return run_command("move", *words)


def report(node: Server, path: str, body: object) -> str:
    """The position of a report that a node acknowledges."""
    client = Client(node.port)
    client.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = client.connection.getresponse()
    answer.read()
    client.close()
    assert answer.status == 204
    return str(answer.headers["Fleetpulse-Position"])


def ask_all(nodes: list[Server], path: str, position: str) -> list[object]:
    """What each node answers, once it has come to a position."""
    answers = []
    for node in nodes:
        client = Client(node.port)
        answers.append(client.ask("GET", path, Fleetpulse_Position=position))
        client.close()
    return answers


def test_what_has_moved_to_three_nodes_is_answered_by_each_as_before_and_comes_back(
    serve: Callable[..., Server], engines: Engines, tmp_path: Path
) -> None:
    server, before = lived(serve)
    came = moved("--from", str(server.folder), "--to", *engines.words, *engines.flags)
    assert came.returncode == 0, came.stdout + came.stderr
    with engines.nodes(tmp_path) as nodes:
        assert [answers_of(node) for node in nodes] == [before] * 3
        position = report(nodes[0], STATS, {"sent_at": "2026-01-01T00:30:00Z", "upload_time": 7})
        first, *others = ask_all(nodes, STATS, position)
        assert others == [first] * 2
        after = answers_of(nodes[1])
        assert after != before
        # Who runs there keeps everybody from moving it away.
        assert "stop all nodes" in refusal(
            "move", "--from", *engines.words, "--to", str(tmp_path / "x"), *engines.flags
        )
    # Another service does not get into a place that has one.
    other = Server(tmp_path / "other", "--auto-define")
    assert other.stop() == 0
    text = refusal("move", "--from", str(other.folder), "--to", *engines.words, *engines.flags)
    assert "is not empty" in text
    assert "Name an empty place" in text
    back = tmp_path / "back"
    words = ["--from", *engines.words, "--to", str(back), *engines.flags]
    until(lambda: moved(*words).returncode == 0, "the lease of the nodes does not end")
    home = Server(back, "--auto-define")
    try:
        assert answers_of(home) == after
    finally:
        assert home.stop(signal.SIGTERM) == 0


def test_a_backup_of_running_nodes_has_what_all_of_them_have_acknowledged(engines: Engines, tmp_path: Path) -> None:
    archive, restored = tmp_path / "fleet.tar", tmp_path / "restored"
    with engines.nodes(tmp_path, "--checkpoint-s", "1") as nodes:
        loads = [Load(node.port, first=number * 1_000_000, name=f"n{number}") for number, node in enumerate(nodes)]
        with ExitStack() as running:
            for load in loads:
                running.enter_context(load.running())
            for load in loads:
                until(lambda load=load: len(load.acknowledged) > 50, "nothing is acknowledged")
            before = {value for load in loads for value in load.acknowledged}
            done = run_command("backup", "-o", str(archive), "--url", f"http://127.0.0.1:{nodes[1].port}")
            assert (done.returncode, "all are whole" in done.stderr) == (0, True), done.stdout + done.stderr
        sent = {value for load in loads for value in (*load.acknowledged, *load.refused)}
    done = run_command("restore", str(archive), "--data", str(restored))
    assert done.returncode == 0, done.stdout + done.stderr
    home = Server(restored, devices=None)
    try:
        found = values_of(home)
    finally:
        assert home.stop(signal.SIGTERM) == 0
    assert before - found == set()
    assert found - sent == set()
    assert "is not empty" in refusal("restore", str(archive), "--data", str(restored))
