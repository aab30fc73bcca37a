"""The whole cluster under faults: nothing acknowledged is lost or counted twice, and all nodes are equal in the end.

`make test` does a short round, `make test-cluster` every fault and many pairs, until a million events are acknowledged.
"""

import random
import time
from pathlib import Path

import pytest
from checker import judge
from faults import Disturbance, Fault, all_faults, all_pairs, long_faults
from needs import CLUSTER
from probes import Probes
from tally import Tally
from world import Cluster

from load import Load

pytestmark = CLUSTER
AWAY = "the newest snapshot is being loaded"
SHORT: list[tuple[Fault, ...]] = [
    (Fault("kill", "node2"),),
    (Fault("pause", "leader"),),
    (Fault("kill", "s3"), Fault("hold", "holder")),
    (Fault("cut", "postgres"), Fault("half", "node1")),
    (Fault("delay", "follower"),),
    (Fault("away", "node3"),),
]


def schedule_of(config: pytest.Config) -> list[tuple[Fault, ...]]:
    pairs, seed = config.getoption("cluster_pairs"), config.getoption("cluster_seed")
    if pairs < 0:
        return SHORT
    schedule = [*((fault,) for fault in (*all_faults(), *long_faults())), *all_pairs(seed, pairs)]
    random.Random(seed).shuffle(schedule)
    return schedule


def disturb(
    cluster: Cluster, load: Load, probes: Probes, schedule: list[tuple[Fault, ...]], *, seed: int, round_end_s: float
) -> Tally:
    """Let one disturbance after the other come and go, in each of which a probe falls silent.

    Args: round_end_s: no further one begins after this time.
    """
    chance, tally = random.Random(seed), Tally()
    for probe, faults in zip(probes.devices, schedule, strict=True):
        if time.monotonic() > round_end_s:
            break
        before, reloads = load.events, cluster.logged(AWAY)
        probes.silent.add(probe)
        with Disturbance(cluster, faults) as disturbance:
            taken_s = disturbance.wait(chance.uniform(2.0, 4.0))
        ready_s = cluster.await_ready()
        end_s = time.monotonic()
        assert (cluster.logged(AWAY) > reloads) >= (faults[0].way == "away"), faults
        probes.await_state(chance.choice(cluster.nodes), probe, "firing")
        probes.silent.discard(probe)
        probes.await_state(chance.choice(cluster.nodes), probe, "resolved")
        silence_s = load.silence_s(disturbance.began_s, end_s)
        tally.add(faults, silence_s=silence_s, taken_s=taken_s, ready_s=ready_s)
        print(
            f"{len(tally.disturbances)}/{len(schedule)} {' + '.join(map(str, faults))} "
            f"({', '.join(fault.member for fault in disturbance.faults)}): {load.events - before} acknowledged, "
            f"{silence_s:.1f} s without, lease taken after {taken_s:.1f} s, ready after {ready_s:.1f} s",
            flush=True,
        )
        assert silence_s < tally.silence_s_max(faults), (faults, silence_s)
    return tally


def verify(cluster: Cluster, load: Load) -> None:
    """Every node answers what the ledger holds, and all hold the same."""
    reports = cluster.await_equal()
    assert len({report["hash"] for report in reports}) == 1, reports
    for node in cluster.nodes:
        assert judge(load, node.port, retries=cluster.retries).faults == [], node.name


def test_nothing_acknowledged_is_lost_or_counted_twice(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    seed, schedule = pytestconfig.getoption("cluster_seed"), schedule_of(pytestconfig)
    is_long = schedule is not SHORT
    load = Load(
        lanes=8, devices_a_lane=10 if is_long else 3, seed=seed, bulk_lines=400 if is_long else 40, pause_s=0.01
    )
    with Cluster(tmp_path, devices=load.devices_csv) as cluster:
        probes = Probes(cluster.port, len(schedule))
        cluster.watch_writes()
        load.start(cluster.port)
        try:
            probes.start()
            round_end_s = time.monotonic() + pytestconfig.getoption("cluster_s")
            tally = disturb(cluster, load, probes, schedule, seed=seed, round_end_s=round_end_s)
            assert len(tally.disturbances) == len(schedule) or time.monotonic() > round_end_s
            if is_long:
                load.await_events(pytestconfig.getoption("cluster_events"), timeout_s=1800)
            probes.await_delivered(cluster.message_keys())
        finally:
            probes.stop()
            load.stop()
        verify(cluster, load)
        assert probes.faults(cluster.nodes, probes.devices[: len(tally.disturbances)]) == []
        count, stray = cluster.writes()
        assert (count > 0, stray) == (True, [])
        assert cluster.s3.overwritten == []
        cluster.check_alive()
        print(f"{load.events} events acknowledged, slowest {load.slowest_s:.1f} s; instead: {dict(load.refusals)}")
        if path := pytestconfig.getoption("cluster_record"):
            tally.record(Path(path), load, seed=seed, writes=count, messages=len(cluster.message_keys()))
        # The controls: a node that ends must be noticed, and a ledger with one event more must not match.
        cluster.nodes[2].stop()
        with pytest.raises(AssertionError, match="node3"):
            cluster.check_alive()
        account = next(iter(load.accounts.values()))
        account.acknowledged += account.unsure + cluster.retries + 1
        account.samples.add((0, 1))
        assert len(judge(load, cluster.nodes[0].port).faults) >= 2
