"""Three nodes on three NATS servers, PostgreSQL and an S3 API of this machine: latency, sight, fail-over, a new node.

    python benchmarks/load/bench_cluster.py load        heartbeats at 20,000 a second, and when other nodes show them
    python benchmarks/load/bench_cluster.py failover    the holder of the lease, and the stream's leader, are killed
    python benchmarks/load/bench_cluster.py newcomer    a new node of a fleet of a million

Load goes straight to the nodes, without a balancer. All of it shares the processors of this machine, the load included.
Paper estimate: at 20,000 heartbeats a second nodes use 0.4 of a processor, the load 0.3, and NATS 2.8 ms for each of
some 200 entries a second; an entry takes 10 to 20 ms, and a heartbeat waits for at most two of them. Measured, on two
processors: nodes use 1.1, the machine is full, each node writes an entry every 55 ms, and a heartbeat waits for 200
(`results/cluster_load.json`).
"""

import argparse
import http.client
import json
import tempfile
import time
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_million import say_all
from cluster_engines import Engines, await_ready, cpu_us, load_average
from harness import percentiles, record, write_devices
from open_load import Loading

RATE, CONNECTIONS = 20_000, 400
SLOW_RATE, MILLION = 1_500, 1_000_000
"""Heartbeats a second beside what is no question of load, and devices of a large fleet."""
LATENCY_MS, VISIBLE_MS, LEASE_S, LEADER_S, NEWCOMER_S = 60, 250, 15, 10, 30
AWAY_S, SETTLE_S = 12.0, 3.0
"""How long a leader that was killed is away, and how long the stream is left alone when it is back."""
PROBES = 200
PROBE_S, LOOK_S = 0.05, 0.002
"""Between two probes, and between two looks for one."""


class Sight:
    """How long after its acknowledgement by one node a heartbeat is counted by another one."""

    def __init__(self, ports: list[int]) -> None:
        self._nodes = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in ports]
        self._counts = [0] * PROBES
        self.delays_s = array("d")

    def run(self, seconds: float) -> None:
        """Look for one heartbeat after the other, without a word of the position that it has."""
        end_s, number = time.monotonic() + seconds, 0
        while time.monotonic() < end_s:
            self._probe(number)
            number += 1
            time.sleep(PROBE_S)

    def _probe(self, number: int) -> None:
        probe, nodes = number % PROBES, self._nodes
        taker, other = nodes[number % len(nodes)], nodes[(number + 1) % len(nodes)]
        body = json.dumps({"sent_at": datetime.now(UTC).isoformat()})
        path = f"/api/v1/devices/probe-{probe}"
        _ask(taker, "POST", f"{path}/heartbeat", body)
        acknowledged_s = time.monotonic()
        self._counts[probe] += 1
        while json.loads(_ask(other, "GET", f"{path}/account"))["accepted"] < self._counts[probe]:
            time.sleep(LOOK_S)
        self.delays_s.append(time.monotonic() - acknowledged_s)


def _ask(node: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> bytes:
    node.request(method, path, body, {"Content-Type": "application/json"})
    answer = node.getresponse()
    text = answer.read()
    assert answer.status in {200, 204}, (answer.status, text)
    return text


def bench_load(folder: Path, chosen: argparse.Namespace) -> None:
    """Latency, sight and CPU of three nodes."""
    devices = write_devices(folder / "devices.csv", chosen.devices)
    with devices.open("a") as file:
        file.writelines(f"probe-{number}\n" for number in range(PROBES))
    figures: dict[str, Any] = {"devices": chosen.devices, "rate": chosen.rate, "load average before": load_average()}
    with Engines(folder) as engines:
        engines.add_node("--devices", str(devices))
        engines.add_node()
        engines.add_node()
        sight = Sight(engines.ports)
        loading = Loading(
            engines.ports,
            count=chosen.devices,
            rate=chosen.rate,
            seconds=chosen.seconds,
            connections=chosen.connections,
            warm_s=5,
        )
        time.sleep(5)
        before, entries, start_s = cpu_us(), _position(engines), time.monotonic()
        sight.run(chosen.seconds)
        after, entries, end_s = cpu_us(), _position(engines) - entries, time.monotonic()
        tally = loading.result()
    count = sum(start_s < at < end_s for node in tally.acknowledged_s for at in node)
    beats = percentiles(tally.latencies_s)
    seen = percentiles(sight.delays_s)
    figures |= {
        "heartbeat": beats,
        "visible on another node": seen,
        "heartbeats": len(tally.latencies_s),
        "probes": len(sight.delays_s),
        "refused": tally.refused,
        "unanswered": tally.unanswered,
        "acknowledged a second": round(count / (end_s - start_s)),
        "entries a second": round(entries / (end_s - start_s), 1),
        "CPU us a heartbeat": {what: round((after[what] - before[what]) / count, 2) for what in after},
        "CPU us a heartbeat, of the load": round(tally.cpu_s / tally.sent * 1e6, 2),
        "CPU ms of NATS an entry": round((after["NATS"] - before["NATS"]) / entries / 1e3, 2),
        "load average after": load_average(),
    }
    print(json.dumps(figures, indent=1))
    goals = {
        f"heartbeat p99 ms at {chosen.rate} a second": (beats["p99_ms"], LATENCY_MS),
        "visible on another node p99 ms": (seen["p99_ms"], VISIBLE_MS),
        "heartbeats refused or without an answer": (tally.refused + tally.unanswered, 0),
    }
    record("cluster_load", figures, goals)


def _position(engines: Engines) -> int:
    status, answer = engines.nodes[0].get("/api/v1/node")
    assert status == 200, answer
    return int(answer["position"])


def bench_failover(folder: Path, chosen: argparse.Namespace) -> None:
    """How long nobody holds the lease after its holder was killed, and nothing is acknowledged without a leader."""
    devices = write_devices(folder / "devices.csv", chosen.devices)
    figures: dict[str, Any] = {"rate": SLOW_RATE, "load average before": load_average()}
    leases_s, leaders_s = list[float](), list[float]()
    with Engines(folder) as engines:
        engines.add_node("--devices", str(devices))
        engines.add_node()
        engines.add_node()
        loading = Loading(engines.ports, count=chosen.devices, rate=SLOW_RATE, seconds=3_600, connections=32)
        spans = []
        for _ in range(chosen.rounds):
            leases_s.append(_kill_holder(engines))
            spans.append(_kill_leader(engines))
        tally = loading.stop()
    leaders_s = [
        max(tally.silence_s(node, start_s, end_s) for node in range(len(engines.nodes))) for start_s, end_s in spans
    ]
    figures |= {
        "lease taken over, s": leases_s,
        "without an acknowledgement on some node, NATS leader killed, s": leaders_s,
        "load average after": load_average(),
    }
    print(json.dumps(figures, indent=1))
    goals = {
        "lease taken over, s": (max(leases_s), LEASE_S),
        "without an acknowledgement, NATS leader killed, s": (max(leaders_s), LEADER_S),
    }
    record("cluster_failover", figures, goals)


def _kill_holder(engines: Engines) -> float:
    """Kill the holder of the lease. Returns: the seconds until another node holds it; then the first is back."""
    holder = engines.holder()
    engines.node(holder).kill()
    began_s = time.monotonic()
    while engines.holder() in {holder, ""}:
        assert time.monotonic() - began_s < 60, "nobody takes the lease"
        time.sleep(0.05)
    took_s = time.monotonic() - began_s
    engines.node(holder).start()
    await_ready(engines.node(holder))
    return round(took_s, 2)


def _kill_leader(engines: Engines) -> tuple[float, float]:
    """Kill the server that leads the stream, and start it again. Returns: the span in which it was away."""
    leader = engines.nats.servers[engines.nats.leader()]
    began_s = time.monotonic()
    leader.kill()
    time.sleep(AWAY_S)
    ended_s = time.monotonic()
    leader.start()
    leader.wait_ready()
    time.sleep(SETTLE_S)
    return began_s, ended_s


def bench_newcomer(folder: Path, chosen: argparse.Namespace) -> None:
    """How long a node that has nothing takes to serve a fleet whose devices have all reported."""
    count = chosen.devices
    devices = write_devices(folder / "devices.csv", count)
    figures: dict[str, Any] = {"devices": count, "load average before": load_average()}
    with Engines(folder, "--checkpoint-s", "20") as engines:
        figures["first node, registering all, s"] = round(engines.add_node("--devices", str(devices)), 1)
        began_s = time.monotonic()
        say_all(engines.ports[0], count, times=2)
        figures["two heartbeats of each, in bulk, s"] = round(time.monotonic() - began_s, 1)
        figures["until a checkpoint has them, s"] = round(_await_checkpoint(engines), 1)
        before_s = cpu_us()["nodes"]
        loading = Loading(engines.ports, count=count, rate=SLOW_RATE, seconds=3_600, connections=32)
        took_s = [engines.add_node()]
        figures["CPU s until it serves, the first node included"] = round((cpu_us()["nodes"] - before_s) / 1e6, 1)
        took_s.append(engines.add_node())
        loading.stop()
        reports = [engines.nodes[number].get("/api/v1/node?hash=true", 60)[1] for number in range(3)]
    figures |= {
        "new node ready, s": [round(one, 2) for one in took_s],
        "positions": [report["position"] for report in reports],
        "load average after": load_average(),
    }
    print(json.dumps(figures, indent=1))
    record("cluster_newcomer", figures, {f"a new node of {count} devices ready, s": (max(took_s), NEWCOMER_S)})


def _await_checkpoint(engines: Engines) -> float:
    """Wait until a checkpoint holds all that is in the stream now. Returns: seconds."""
    began_s, node, wanted = time.monotonic(), engines.nodes[0], _position(engines)
    while _checkpointed(node.log_text) < wanted:
        assert time.monotonic() - began_s < 240 and not node.has_ended, node.log_text[-3000:]
        time.sleep(0.2)
    return time.monotonic() - began_s


def _checkpointed(text: str) -> int:
    """The position of the last checkpoint, by the log of the node that took it."""
    lines = [json.loads(line) for line in text.splitlines() if '"event": "checkpoint"' in line]
    return int(lines[-1]["position"]) if lines else 0


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["load", "failover", "newcomer"])
    parser.add_argument("--devices", type=int, help="100,000, and a million where there is a newcomer")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--rounds", type=int, default=3, help="of fail-over")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="to each node")
    chosen = parser.parse_args()
    chosen.devices = chosen.devices or (MILLION if chosen.what == "newcomer" else MILLION // 10)
    with tempfile.TemporaryDirectory() as name:
        {"load": bench_load, "failover": bench_failover, "newcomer": bench_newcomer}[chosen.what](Path(name), chosen)


if __name__ == "__main__":
    main()
