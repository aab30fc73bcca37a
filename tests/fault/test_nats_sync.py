"""Servers of NATS that do not sync, or cannot be asked whether they do: nothing is acknowledged that rests on them."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.errors import StorageFailed
from fleetpulse.journal.nats_members import look
from journal_nodes import Joins, compare, joined, named_stream
from nats_server import NatsCluster, NatsServer, nats_cluster, until
from quiet_ports import quiet_port

__all__ = ["joined", "named_stream", "nats_cluster"]


@pytest.fixture
def unsynced(tmp_path: Path) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path, count=1, sync="2m") as cluster:
        yield cluster


def test_servers_that_do_not_sync_are_refused_unless_that_is_accepted(unsynced: NatsCluster) -> None:
    with pytest.raises(
        StorageFailed, match=r"n1 acknowledge before they sync.*sync_interval: always.*--allow-unsynced"
    ):
        unsynced.journal(journal_wait_s=0.0)
    with pytest.raises(StorageFailed, match="n1 cannot be asked whether they sync"):
        unsynced.journal(nats_monitors="", journal_wait_s=0.0)
    journal = unsynced.journal(allow_unsynced_journal=True)
    assert "n1 acknowledge before they sync" in journal.mark_trouble
    assert journal.append(b"entry")
    journal.close()


@contextlib.contextmanager
def restarted(server: NatsServer, **changes: Any) -> Iterator[None]:
    """A server that was restarted with other settings; at the end it has its own again."""
    before = {name: getattr(server, name) for name in changes}
    try:
        for settings in (changes, before):
            server.kill()
            for name, value in settings.items():
                setattr(server, name, value)
            server.start()
            if settings is changes:
                yield
    finally:
        for name, value in before.items():
            setattr(server, name, value)
        server.wait_ready()


@pytest.mark.parametrize("change", ["sync", "monitor"])
@pytest.mark.parametrize("is_leader", [True, False])
def test_a_server_that_comes_back_and_is_not_found_to_sync_ends_the_acks_at_once(
    nats3: NatsCluster, join: Joins, stream: str, change: str, *, is_leader: bool
) -> None:
    """It does not sync any more, or its monitoring port is not where it was, so that it cannot be asked."""
    node = join(journal_timeout_s=1.0)
    assert node.append()
    node.begin()
    server = nats3.servers[(nats3.leader(stream) + (0 if is_leader else 1)) % 3]
    changes: dict[str, Any] = {"sync": "2m"} if change == "sync" else {"monitor_port": quiet_port()}
    with restarted(server, **changes):
        seer = nats3.servers[(nats3.servers.index(server) + 1) % 3]
        until(lambda: server.name in seer.peers(), "it does not come back")
        began_s = time.monotonic()
        until(lambda: bool(node.journal.refusal), "entries are acknowledged though a server may not sync", within_s=5)
        print(f"\nrefused {time.monotonic() - began_s:.2f} s after it was seen: {node.journal.refusal}")
        acknowledged = len(node.acknowledged)
        for _ in range(20):
            assert node.journal.refusal
            time.sleep(0.1)
        assert len(node.acknowledged) <= acknowledged + 1  # one may have been on its way
    node.wait_for_more()
    node.end()
    compare([node])


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_server_that_is_gone_or_stands_still_refuses_no_entry(
    nats3: NatsCluster, join: Joins, stream: str, fault: str
) -> None:
    node = join()
    node.begin()
    server = nats3.servers[(nats3.leader(stream) + 1) % 3]
    node.wait_for_more()
    (server.kill if fault == "kill" else server.pause)()
    end_s = time.monotonic() + 6
    while time.monotonic() < end_s:  # longer than all checks take
        node.wait_for_more(5, within_s=5)
        assert not node.journal.refusal
    if fault == "kill":
        join(journal_wait_s=10.0)  # and a node may start meanwhile
        server.start()
    else:
        server.resume()
    while time.monotonic() < end_s + 4:  # one that comes back, as in an upgrade, is asked before it is judged
        node.wait_for_more(5, within_s=5)
        assert not node.journal.refusal
    server.wait_ready()
    node.end()
    assert not node.unknown
    compare([node])


def test_a_reload_does_not_change_whether_a_server_syncs(tmp_path: Path) -> None:
    """What a process said of itself holds as long as it lives."""
    with NatsCluster(tmp_path, count=1) as one:
        journal = one.journal()
        server = one.servers[0]
        configuration = server.folder / "nats.conf"
        configuration.write_text(configuration.read_text().replace("always", "2m"))
        server.process.send_signal(signal.SIGHUP)
        log = server.folder / "log"
        until(lambda: "not supported for SyncInterval" in log.read_text(), "it is reloaded")
        _, member = look(server.monitor, {}, None)
        assert member.is_synced
        journal.close()


def test_a_monitoring_url_of_another_cluster_is_not_believed(nats3: NatsCluster, tmp_path: Path, stream: str) -> None:
    with NatsCluster(tmp_path, count=1) as other:
        urls = f"{other.monitors},{nats3.servers[1].monitor},{nats3.servers[2].monitor}"
        address = nats3.links[0].address
        with pytest.raises(StorageFailed, match=r"n1 cannot be asked.*leads to another server"):
            nats3.journal(stream, journal=f"nats://{address}/{stream}", nats_monitors=urls, journal_wait_s=0.0)
