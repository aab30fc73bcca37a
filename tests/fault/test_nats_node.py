"""A real node on real NATS: what it answered 204 is in its figures once, whatever fails, and it says what is wrong."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command import COMMAND, refusal
from conftest import Server
from ledger import Ledger
from nats_server import NatsCluster, until
from postgres_server import PostgresServer, postgres_server
from s3_server import S3Server, s3_server
from tcp_proxy import TcpProxies

__all__ = ["postgres_server", "s3_server"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    with TcpProxies() as proxies, NatsCluster(tmp_path / "nats", count=1, proxies=proxies) as one:
        yield one


@pytest.fixture
def flags(cluster: NatsCluster, s3: S3Server, postgres: PostgresServer) -> tuple[str, ...]:
    """Of a node on NATS, PostgreSQL and S3."""
    return (*flags_of(cluster), "--catalog", postgres.database(), *blocks_on(s3))


def flags_of(cluster: NatsCluster) -> tuple[str, ...]:
    return ("--journal", cluster.url(), "--nats-monitors", cluster.monitors, "--journal-replicas", "1")


def blocks_on(s3: S3Server) -> tuple[str, ...]:
    return ("--blocks", f"s3://{s3.bucket()}/fleet", "--s3-endpoint", s3.endpoint)


def ready(port: int) -> dict[str, Any]:
    """What /readyz says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as refused:
        return dict(json.loads(refused.read()))


def is_accepting(port: int) -> bool:
    return ready(port).get("status") in {"ready", "degraded"}


def test_what_was_answered_204_counts_once_whatever_fails(
    cluster: NatsCluster, flags: tuple[str, ...], tmp_path: Path, serve: Callable[..., Server]
) -> None:
    ledger = Ledger(lanes=6, devices_a_lane=3, seed=3, may_refuse=True)
    devices = tmp_path / "devices.csv"
    devices.write_text(ledger.devices_csv())

    def start() -> Server:
        return serve(*flags, "--journal-timeout-s", "1.5", devices=devices)

    def lose_answers() -> None:
        cluster.links[0].hold("back")
        time.sleep(0.2)
        cluster.links[0].reset()
        cluster.links[0].mend()

    server = start()
    for number in range(6):
        load = ledger.load(server.port)
        before = ledger.acknowledged
        until(lambda before=before: ledger.acknowledged > before + 100, "nothing is acknowledged")
        if number % 3 == 0:  # the servers of the stream crash
            cluster.servers[0].kill()
            load.join(60)
            assert ready(server.port)["status"] == "journal_away"
            cluster.servers[0].start()
            until(lambda port=server.port: is_accepting(port), "the node does not go on", within_s=30)
        elif number % 3 == 1:  # answers are lost for longer than the node waits
            cluster.links[0].hold("back")
            load.join(60)
            lose_answers()
            until(lambda port=server.port: is_accepting(port), "the node does not go on", within_s=30)
        else:  # answers are lost for a moment, and then the node crashes
            lose_answers()
            server.stop(signal.SIGKILL)
            load.join(60)
            server = start()
        assert not load.is_alive()
        assert ledger.settle(server.port) == []
    assert server.stop() == 0


def test_servers_that_do_not_sync_end_a_start_or_are_accepted_loudly(
    s3: S3Server, postgres: PostgresServer, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    with NatsCluster(tmp_path / "nats", count=1, sync="2m") as cluster:
        flags = (*flags_of(cluster), "--journal-wait-s", "0", "--catalog", postgres.database(), *blocks_on(s3))
        command = [*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "refused"), *flags]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode not in {0, None}
        assert "n1 acknowledge before they sync" in ended.stderr + ended.stdout
        assert "sync_interval: always" in ended.stderr + ended.stdout
        for _ in range(2):
            server = serve(*flags, "--allow-unsynced-journal")
            assert "THE JOURNAL MAY LOSE ACKNOWLEDGED EVENTS" in server.log.read_text()
            assert "n1 acknowledge before they sync" in json.dumps(ready(server.port))
            server.stop()


def test_a_journal_that_nodes_share_is_refused_without_the_other_two(cluster: NatsCluster, tmp_path: Path) -> None:
    text = refusal("serve", "--data", str(tmp_path), "--port", "0", *flags_of(cluster))
    assert "give also catalog = postgresql://… and blocks = s3://…" in text


def test_one_machine_does_not_import_the_client_of_nats() -> None:
    text = "import fleetpulse.app, fleetpulse.data_folder, sys; sys.exit(any(name == 'nats' for name in sys.modules))"
    subprocess.run([sys.executable, "-c", text], check=True)
