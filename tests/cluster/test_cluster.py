"""The whole cluster under faults: nothing acknowledged is lost or counted twice, and all nodes are equal in the end.

`make test` does a short round, `make test-cluster` every fault and many pairs.
"""

import random
import time
from pathlib import Path

import pytest
from checker import judge
from faults import Disturbance, Fault, all_faults, all_pairs
from needs import CLUSTER
from probes import Probes
from world import Cluster

from load import Load

pytestmark = CLUSTER
SILENCE_S_MAX = 15.0
"""The lease, and a leader of NATS, are taken over in less."""
SHORT: list[tuple[Fault, ...]] = [
    (Fault("kill", "node2"),),
    (Fault("pause", "leader"),),
    (Fault("hold", "s3"),),
    (Fault("cut", "postgres"),),
    (Fault("delay", "nats1"),),
    (Fault("half", "node1"),),
]


def schedule_of(config: pytest.Config) -> list[tuple[Fault, ...]]:
    pairs, seed = config.getoption("cluster_pairs"), config.getoption("cluster_seed")
    if pairs < 0:
        return SHORT
    schedule = [*((fault,) for fault in all_faults()), *all_pairs(seed, pairs)]
    random.Random(seed).shuffle(schedule)
    return schedule


def disturb(
    cluster: Cluster, load: Load, probes: Probes, schedule: list[tuple[Fault, ...]], *, seed: int
) -> list[float]:
    """Let one disturbance after the other come and go, in each of which a probe falls silent.

    Returns: how long acknowledgements were away, for each.
    """
    chance, silences = random.Random(seed), list[float]()
    for probe, faults in zip(probes.devices, schedule, strict=False):
        before = load.events
        probes.silent.add(probe)
        with Disturbance(cluster, faults) as disturbance:
            time.sleep(chance.uniform(2.0, 4.0))
        ready_s = cluster.await_ready()
        end_s = time.monotonic()
        probes.await_state(chance.choice(cluster.nodes), probe, "firing")
        probes.silent.discard(probe)
        probes.await_state(chance.choice(cluster.nodes), probe, "resolved")
        silence_s = load.silence_s(disturbance.began_s, end_s)
        print(
            f"{' + '.join(map(str, disturbance.faults))}: {load.events - before} acknowledged, "
            f"{silence_s:.1f} s without, ready after {ready_s:.1f} s",
            flush=True,
        )
        silences.append(silence_s)
    return silences


def verify(cluster: Cluster, load: Load) -> None:
    """Every node answers what the ledger holds, and all hold the same."""
    reports = cluster.await_equal()
    assert len({report["hash"] for report in reports}) == 1, reports
    for node in cluster.nodes:
        assert judge(load, node.port, retries=cluster.retries).faults == [], node.name


def test_nothing_acknowledged_is_lost_or_counted_twice(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    seed = pytestconfig.getoption("cluster_seed")
    load, schedule = Load(lanes=8, devices_a_lane=3, seed=seed, pause_s=0.01), schedule_of(pytestconfig)
    with Cluster(tmp_path, devices=load.devices_csv) as cluster:
        probes = Probes(cluster.port, len(schedule))
        cluster.watch_writes()
        load.start(cluster.port)
        try:
            probes.start()
            silences = disturb(cluster, load, probes, schedule, seed=seed)
            probes.await_delivered(cluster.message_keys())
        finally:
            probes.stop()
            load.stop()
        verify(cluster, load)
        assert probes.faults(cluster.nodes, probes.devices) == []
        count, stray = cluster.writes()
        assert (count > 0, stray) == (True, [])
        assert max(silences) < SILENCE_S_MAX
        print(f"{load.events} events acknowledged, slowest {load.slowest_s:.1f} s; instead: {dict(load.refusals)}")
        # The control: a ledger with one event more must not match.
        account = next(iter(load.accounts.values()))
        account.acknowledged += account.unsure + cluster.retries + 1
        account.samples.add((0, 1))
        assert len(judge(load, cluster.nodes[0].port).faults) >= 2
