"""All NATS servers lose their power at once, under load. Those that sync must keep every ack; the control must not.

The method is that of test_power.py: the servers are stopped, the disk that all of them are on is told to shut down
without flushing its log, the servers are killed, and the disk is mounted again.
"""

import random
import time
from pathlib import Path

import pytest

from fleetpulse.errors import StorageFailed
from fleetpulse.model.events import Position
from journal_nodes import FollowingNode, close
from loop_disk import LoopDisk, disk
from nats_server import NatsCluster

__all__ = ["disk"]


def lost_after_cuts(disk: LoopDisk, folder: Path, *, count: int, sync: str, cuts: int) -> tuple[int, int]:
    """(entries acknowledged, those of them that are not there after any of the cuts)."""
    chance = random.Random(cuts)
    cluster = NatsCluster(folder, count=count, sync=sync)
    acknowledged: dict[Position, bytes] = {}
    lost = 0
    for cut in range(cuts):
        cluster.start()
        settings = {"allow_unsynced_journal": True, "journal_timeout_s": 30.0}
        nodes = [FollowingNode(cluster.journal("power", **settings), f"cut {cut} node {number}") for number in range(2)]
        try:
            for node in nodes:
                node.begin()
                node.wait_for_more()
            time.sleep(chance.uniform(0.1, 0.6))
            for server in cluster.servers:
                server.pause()
            disk.cut()
            for server in cluster.servers:
                server.kill()
            for node in nodes:
                node.may_stop.set()
                acknowledged |= node.acknowledged
        finally:
            close(nodes)
            for server in cluster.servers:
                server.kill()
        disk.unmount()
        disk.mount()
        cluster.start()
        try:
            lost = _count_lost(cluster, acknowledged)
        finally:
            cluster.stop()
        if lost:
            break
    return len(acknowledged), lost


def _count_lost(cluster: NatsCluster, acknowledged: dict[Position, bytes]) -> int:
    try:
        journal = cluster.journal("power", allow_unsynced_journal=True)
        there = dict(journal.read(after=journal.first_position() - 1))
        journal.close()
    except StorageFailed:
        return len(acknowledged)  # not even the stream is left
    return sum(there.get(position) != body for position, body in acknowledged.items())


@pytest.mark.parametrize("count", [1, 3])
def test_a_power_cut_of_all_servers_loses_nothing_that_was_acknowledged(
    disk: LoopDisk, pytestconfig: pytest.Config, count: int
) -> None:
    cuts = pytestconfig.getoption("power_cuts")
    folder = disk.mount_point
    acknowledged, lost = lost_after_cuts(disk, folder / "synced", count=count, sync="always", cuts=cuts)
    print(f"\nalways, {count} servers: {cuts} cuts, {acknowledged} entries acknowledged, {lost} lost")
    assert lost == 0
    acknowledged, lost = lost_after_cuts(disk, folder / "control", count=count, sync="2m", cuts=cuts)
    print(f"2m, the control: {acknowledged} entries acknowledged, {lost} lost")
    assert lost > 0, "the control lost nothing: the cut does not cut, and the test above proves nothing"
