"""Servers of NATS crash, stand still and are cut off: no acknowledged entry is lost, and none is there twice."""

import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from nats.aio.client import Client

from authority import Authority
from fleetpulse.errors import StorageFailed
from fleetpulse.journal.entry import MAGIC, decode_entry, encode_entry
from fleetpulse.journal.nats_publish import Replaced
from fleetpulse.model.events import EventBatch
from fleetpulse.storage_causes import Away
from journal_nodes import Joins, compare, joined, named_stream
from nats_server import NatsCluster, nats_cluster, until
from tcp_proxy import TcpProxies

__all__ = ["joined", "named_stream", "nats_cluster"]


@pytest.mark.parametrize("fault", ["kill", "pause", "isolate"])
def test_a_leader_that_is_lost_costs_no_entry_and_doubles_none(
    nats3: NatsCluster, join: Joins, stream: str, fault: str
) -> None:
    nodes = [join(), join()]
    for node in nodes:
        node.begin()
        node.wait_for_more()
    for _ in range(2):
        leader = nats3.leader(stream)
        server = nats3.servers[leader]
        began_s = time.monotonic()
        {"kill": server.kill, "pause": server.pause, "isolate": lambda number=leader: nats3.isolate(number)}[fault]()
        for node in nodes:
            node.wait_for_more(within_s=30)
        print(f"\n{fault}: acknowledged again after {time.monotonic() - began_s:.1f} s")
        {"kill": server.start, "pause": server.resume, "isolate": lambda number=leader: nats3.join(number)}[fault]()
        server.wait_ready()
        for node in nodes:
            node.wait_for_more()
    for node in nodes:
        node.end()
    compare(nodes)


def test_lost_answers_and_broken_connections_neither_lose_nor_double(nats3: NatsCluster, join: Joins) -> None:
    nodes = [join(), join()]
    for node in nodes:
        node.begin()
    for number in range(12):
        nodes[number % 2].wait_for_more(5)
        for link in nats3.links:
            if number % 3:
                link.hold("back")  # what is sent is stored, and its answer never comes
                time.sleep(0.05 * (number % 3))
            link.reset()
            link.mend()
    for node in nodes:
        node.wait_for_more(5)
        node.end()
    compare(nodes)


def test_a_connection_that_the_loop_has_closed_is_made_anew(nats3: NatsCluster, join: Joins) -> None:
    """The client does not notice, and gets an error that is none of a connection's."""
    node = join(journal_timeout_s=10.0)
    assert node.append()
    link = node.journal._link

    def close_unnoticed() -> None:
        link._client._reading_task.cancel()
        link._client._transport._io_writer.transport.abort()

    link._loop.call_soon_threadsafe(close_unnoticed)
    until(lambda: node.append() is not None, "it does not go on", within_s=30)
    until(lambda: link.connections > 1, "there is no new connection")
    compare([node])


def test_while_nats_is_away_nothing_is_acknowledged_and_it_goes_on_by_itself(nats3: NatsCluster, join: Joins) -> None:
    node = join(journal_timeout_s=1.0)
    assert node.append()
    for link in nats3.links:
        link.cut()
    assert node.append() is None
    with pytest.raises(Away):
        node.journal.last_position()
    node.journal.check()
    for link in nats3.links:
        link.mend()
    until(lambda: node.append() is not None, "it does not go on", within_s=15)
    compare([node])


def test_a_connection_that_is_not_read_any_more_is_made_anew(nats3: NatsCluster, join: Joins) -> None:
    """As after an error in the client, which ends what reads for it."""
    node = join(journal_timeout_s=1.0)
    assert node.append()
    link = node.journal._link  # type: ignore[attr-defined]  # that of NATS
    link._loop.call_soon_threadsafe(link._client._reading_task.cancel)
    until(lambda: link.connections > 1, "no connection is made")
    until(lambda: node.append() is not None, "it does not go on")
    compare([node])


def test_two_of_three_servers_away_stop_it_and_one_does_not(nats3: NatsCluster, join: Joins, stream: str) -> None:
    node = join(journal_timeout_s=2.0)
    node.append()
    leader = nats3.leader(stream)
    others = [number for number in range(3) if number != leader]
    nats3.servers[others[0]].kill()
    until(lambda: node.append() is not None, "one server is too many")
    nats3.servers[others[1]].kill()
    until(lambda: node.append() is None, "one server of three acknowledges")
    for number in others:
        nats3.servers[number].start()
    until(lambda: node.append() is not None, "it does not go on")
    for number in others:
        nats3.servers[number].wait_ready()
    compare([node])


def test_an_entry_that_arrives_late_is_not_stored_again_though_the_stream_was_cut(
    nats3: NatsCluster, join: Joins, stream: str
) -> None:
    node = join()
    node.append()
    nats3.links[0].hold("there")  # so that it is sent again, by another server
    position = node.append()
    assert position is not None
    until(lambda: bool(node.followed) and node.followed[-1][0] == position, "it does not come back before it is cut")
    other = nats3.journal(stream, journal=f"nats://{nats3.links[1].address}/{stream}")
    while other.drop(through=position, entries_max=1_000):
        pass
    assert other.first_position() == position + 1
    nats3.join(0)
    time.sleep(0.5)  # nothing tells that what came late was refused
    assert other.last_position() == position
    other.close()
    node.append()
    counted = Counter(body for _, body in node.followed if not body.startswith(MAGIC))
    assert set(counted.values()) == {1}


def test_a_publish_without_an_expected_sequence_is_stored_twice_when_it_arrives_late(
    nats3: NatsCluster, join: Joins, stream: str
) -> None:
    """The control of the test before: what is sent late does arrive."""
    join().append()

    async def publish(client: Client) -> None:
        await client.request(f"{stream}.entries.control", b"twice", timeout=5)

    nats3.links[0].hold("there")
    sender = threading.Thread(target=_publish_through, args=(nats3.links[0].port, f"{stream}.entries.control"))
    sender.start()
    time.sleep(0.3)
    nats3.ask(publish)
    nats3.join(0)
    sender.join()
    journal = nats3.journal(stream)
    until(lambda: [body for _, body in journal.read(after=0)].count(b"twice") == 2, "it did not arrive")
    journal.close()


def _publish_through(port: int, subject: str) -> None:
    """Say the protocol's words by hand, since a client would wait for the server's first."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nPUB ' + subject.encode() + b" 5\r\ntwice\r\nPING\r\n")
        while b"PONG" not in connection.recv(65_536):
            pass


def test_an_entry_without_an_answer_counts_once_though_the_stream_was_cut_meanwhile(
    nats3: NatsCluster, join: Joins, stream: str
) -> None:
    node = join(journal_timeout_s=1.5)
    first = node.append()
    assert first
    for link in nats3.links:
        link.hold("back")
    assert node.append() is None  # it is stored, and nobody said so
    for link in nats3.links:
        link.reset()
        link.mend()
    other = nats3.journal(stream)
    assert list(other.read(after=first)) == [(first + 1, node.unknown[0])]
    other.drop(through=first + 1, entries_max=1_000)
    until(lambda: node.append() is not None, "it does not go on", within_s=15)
    node.append()
    stored = [body for _, body in other.read(after=first + 1) if not body.startswith(MAGIC)]
    assert sorted(stored) == sorted(node.acknowledged[at] for at in node.acknowledged if at > first)
    other.close()


def test_a_stream_that_is_replaced_or_that_lost_entries_takes_nothing_more(
    nats3: NatsCluster, join: Joins, stream: str
) -> None:
    node = join()
    assert node.append()
    nats3.api(f"STREAM.DELETE.{stream}", timeout_s=20)
    nats3.journal(stream).close()
    for _ in range(2):
        with pytest.raises(Replaced, match="was replaced by another one"):
            node.journal.append(b"late")
    with pytest.raises(Replaced):
        node.journal.check()


def test_streams_that_may_lose_entries_are_refused(nats3: NatsCluster, stream: str) -> None:
    config = {"name": stream, "subjects": [f"{stream}.entries.>"], "storage": "file", "num_replicas": 1}
    nats3.api(f"STREAM.CREATE.{stream}", {**config, "persist_mode": "async"})
    with pytest.raises(StorageFailed, match=r"cannot be a journal.*not made by fleetpulse.*persist_mode is async"):
        nats3.journal(stream)


def test_a_batch_that_is_larger_than_a_message_may_be_is_stored_in_pieces(nats3: NatsCluster, join: Joins) -> None:
    batch = EventBatch(received_at_ns=7)
    for number in range(250_000):
        batch.heartbeat_devices.append(number)
        batch.heartbeat_sent_at_ns.append(number)
    body = encode_entry(batch)
    assert len(body) > 2 << 20
    node = join()
    last = node.journal.append(body)
    read = [decode_entry(piece, where="it") for _, piece in node.journal.read(after=0)]
    assert len(read[0]) == 0
    assert sum(map(len, read)) == 250_000
    assert len(read) == last
    assert nats3.api("STREAM.NAMES")["total"] > 0


def test_a_start_waits_for_nats_and_then_says_why_it_ends(tmp_path: Path) -> None:
    cluster = NatsCluster(tmp_path, count=1)
    with pytest.raises(StorageFailed, match=r"cannot be used: NATS does not answer.*See that the servers run"):
        cluster.journal(journal_wait_s=0.0)
    starting = threading.Timer(1.5, cluster.start)
    starting.start()
    cluster.journal().close()
    starting.join()
    cluster.stop()


def test_users_and_certificates_of_the_servers_are_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server", common_name="server", ip="127.0.0.1")
    client = authority.issue("client", common_name="node")
    with TcpProxies() as proxies:
        cluster = NatsCluster(tmp_path / "nats", count=1, proxies=proxies)
        cluster.servers[0].extra = (
            "authorization { user: fleet, password: secret }\n"
            f'tls {{ cert_file: "{server}", key_file: "{server.with_suffix(".key")}", ca_file: "{authority.path}", '
            "verify: true }"
        )
        cluster.servers[0].authority = str(authority.path)
        with cluster:
            settings = {
                "journal": cluster.url("s").replace("nats:", "tls:"),
                "nats_tls_ca": str(authority.path),
                "nats_tls_certificate": str(client),
                "nats_tls_key": str(client.with_suffix(".key")),
                "nats_user": "fleet",
                "journal_wait_s": 1.0,
            }
            with pytest.raises(StorageFailed, match="Authorization"):
                cluster.journal(**settings, nats_password="wrong")  # noqa: S106  # of a test
            journal = cluster.journal(**settings, nats_password="secret")  # noqa: S106  # of a test
            assert journal.append(b"entry")
            journal.close()
