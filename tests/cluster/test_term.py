"""A holder of the lease that stood still, and comes back when another one has taken over, writes nothing any more."""

import time
from pathlib import Path

import pytest
from needs import CLUSTER
from probes import Probes
from world import Cluster, until

from load import Load

pytestmark = CLUSTER
WRONG = Path(__file__).parent / "serve_without_term.py"
TAKEN_S_MAX = 15.0


@pytest.mark.parametrize("is_checked", [True, False])
def test_a_deposed_holder_writes_nothing_unless_its_transactions_do_not_look(is_checked: bool, tmp_path: Path) -> None:
    load = Load(lanes=2, devices_a_lane=2, seed=1, pause_s=0.05)
    scripts = {} if is_checked else {f"node{number}": WRONG for number in (1, 2)}
    with Cluster(tmp_path, devices=load.devices_csv, nodes=2, servers=1, scripts=scripts) as cluster:
        probes = Probes(cluster.port, 2)
        cluster.watch_writes()
        load.start(cluster.port)
        try:
            probes.start()
            until(lambda: cluster.lease()[1] > 0, lambda: "nobody has the lease", 30)
            holder, epoch = cluster.lease()
            cluster.node(holder).pause()
            began_s = time.monotonic()
            until(lambda: cluster.lease()[1] > epoch, lambda: f"nobody has taken over from {holder}", 30)
            taken_s = time.monotonic() - began_s
            cluster.node(holder).resume()
            # Something to do for whoever believes to be the holder: alerts come and go.
            for device in probes.devices:
                probes.silent.add(device)
                probes.await_state(next(node for node in cluster.nodes if node.name != holder), device, "firing")
            time.sleep(2.0)
        finally:
            probes.stop()
            load.stop()
        count, stray = cluster.writes()
        print(f"taken over after {taken_s:.1f} s; {count} writes; {stray}")
        assert taken_s < TAKEN_S_MAX
        assert count > 0
        assert (stray == []) is is_checked
