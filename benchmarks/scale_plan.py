"""What a fleet of many devices needs, computed from figures that are measured: benchmarks/results.

    benchmarks/scale_plan.py [DEVICES …]     prints tables; docs/explanation/scale.md has them
    benchmarks/scale_plan.py --write         writes them into that page

All figures are of the machine of the results, two processors of a shared host: to plan for another, measure there. What
is assumed, and not measured, stands in `Assumptions`.
"""

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from fleetpulse.pipeline.write import SHARED_GATHER_S

RESULTS = Path(__file__).resolve().parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "explanation" / "scale.md"
DAY_S = 86_400
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What the plan assumes."""

    interval_s: int = 60
    """Each device sends a heartbeat so often, and nothing else."""
    replicas: int = 3
    gather_ms: float = SHARED_GATHER_S * 1e3
    """How long a node gathers events before each entry, at most."""
    checkpoint_s: int = 300
    fill: float = 0.6
    """How much of a processor the event loop of a node uses; the rest is for questions, and for peaks."""
    request_bytes: int = 400
    """A heartbeat with a key in its head, and its answer, as they cross the network."""
    part_bytes: int = 5 << 20
    """Of an upload in parts."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What benchmarks/results have, for a fleet of one size."""

    take_us: float
    """CPU of a heartbeat with a key, in requests of one each, at 128 connections, on a single node."""
    bulk_us: float
    """The same in bulk bodies of 10,000 lines."""
    follow_us: float
    """CPU of an event that is followed, from entries of 512."""
    entry_added_us: float
    """What appending an entry to a stream of three servers costs its node more than to a file."""
    entry_follow_us: float
    """CPU of a node that follows, for an entry from three servers, whatever is in it."""
    event_bytes: float
    """Of an entry of the journal."""
    memory_bytes: float
    """Peak resident memory a device, checkpoints and midnight included."""
    snapshot_bytes: float
    presence_bytes: float
    """A device, and a day."""
    checkpoint_s: float
    """A million devices, at 20,000 heartbeats a second."""
    restart_s: float
    """Reading the snapshot of a million devices, and five million events."""
    alert_round_s: float
    """A round of 65 rules over a million devices."""
    messages_a_second: float
    """A stream of three replicas, on one disk."""
    message_ms: float
    entry_nats_ms: float
    """CPU of three NATS servers together, an entry."""


def result(name: str) -> Any:
    """The figures of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def measured(devices: int) -> Measured:
    """The figures nearest to a fleet of this size."""
    access, million = result("access")["figures"], result("million")["figures"]
    follow = result("follow")["figures"]["10000000 devices" if devices > 3 * MILLION else "1000000 devices"]
    entry = follow["512 in an entry"]
    keyed = next(value for name, value in access.items() if "five rounds" in name)["a key each, server_cpu_us"]
    stream = result("nats_publish")["figures"]["R3, 8000 bytes, 6 nodes"]
    midnight, journal = result("midnight")["figures"], result("journal")["figures"]
    in_stream = journal["NATS, 3 servers"]
    return Measured(
        take_us=median(keyed),
        bulk_us=result("bulk")["figures"]["1000000 devices"]["cpu_us"],
        follow_us=entry["decode_us"] + entry["apply_us"],
        entry_added_us=(in_stream["CPU ms an entry"] - journal["SQLite"]["CPU ms an entry"]) * 1e3,
        entry_follow_us=in_stream["CPU us to follow an entry"],
        event_bytes=entry["entry_bytes"],
        memory_bytes=midnight["peak from 00:59 to 01:01, MB"],  # of a million devices, so MB are bytes a device
        snapshot_bytes=follow["snapshot, bytes a device"],
        presence_bytes=result("questions")["figures"]["B"]["on disk"]["presence_bytes_a_device_day"],
        checkpoint_s=million["20,000 heartbeats/s with checkpoints"]["checkpoint s"],
        restart_s=million["restart with replay, s"],
        alert_round_s=result("alerts")[str(MILLION)]["round_ms"] / 1e3,
        messages_a_second=stream["messages_a_second"],
        message_ms=stream["p50_ms"],
        entry_nats_ms=stream["servers_cpu_us_a_message"] / 1e3,
    )


def nodes_for(taking: float, following: float, fill: float) -> int:
    """So many nodes that each has at most `fill` of a processor to do, and one more that may be lost.

    Args:
        taking: processors that all requests take together.
        following: of each node.
    """
    return math.ceil(taking / (fill - following)) + 1 if following < fill else 0


def plan(devices: int, assumed: Assumptions) -> dict[str, str]:
    """What a fleet of so many needs: what, and how much."""
    found = measured(devices)
    events = devices / assumed.interval_s
    following = (events * found.follow_us + found.messages_a_second * found.entry_follow_us) / 1e6
    appending = found.messages_a_second * found.entry_added_us / 1e6
    nodes = nodes_for(events * found.take_us / 1e6 + appending, following, assumed.fill)
    in_bulk = nodes_for(events * found.bulk_us / 1e6 + appending, following, assumed.fill)
    messages = min(found.messages_a_second, nodes * 1e3 / (found.message_ms + assumed.gather_ms))
    stream = events * found.event_bytes
    snapshot = devices * (found.snapshot_bytes + found.presence_bytes)
    checkpoints = DAY_S / assumed.checkpoint_s
    parts = math.ceil(snapshot / assumed.part_bytes)
    millions = devices / MILLION
    replay_s = assumed.checkpoint_s * events * found.follow_us / 1e6
    start_s = millions * found.restart_s - 5 * found.follow_us * millions + replay_s
    return {
        "heartbeats a second": f"{events:,.0f}",
        "nodes, a request a heartbeat": f"{nodes}",
        "nodes, in bulk by gateways": f"{in_bulk}",
        "following, processors a node": f"{following:.2f}",
        "memory, GB a node": f"{devices * found.memory_bytes / 1e9:.1f}",
        "devices to nodes, MB/s": f"{events * assumed.request_bytes / 1e6:.0f}",
        "stream, MB/s": f"{stream / 1e6:.2f}",
        "its leader sends, MB/s": f"{stream * (assumed.replicas - 1 + nodes) / 1e6:.1f}",
        "NATS messages a day, million": f"{messages * DAY_S / 1e6:.0f}",
        "heartbeats a message": f"{events / messages:.0f}",
        "NATS servers, processors together": f"{messages * found.entry_nats_ms / 1e3:.1f}",
        "stream between checkpoints, GB": f"{stream * assumed.checkpoint_s / 1e9:.2f}",
        "a checkpoint writes, MB": f"{snapshot / 1e6:.0f}",
        "S3 writes a day": f"{checkpoints * (parts + 6):,.0f}",
        "S3 reads a day": f"{checkpoints * 2 * (nodes - 1):,.0f}",
        "S3 to nodes, MB/s": f"{snapshot * (nodes - 1) / assumed.checkpoint_s / 1e6:.1f}",
        "history, GB a year": f"{devices * found.presence_bytes * 365 / 1e9:.0f}",
        "a checkpoint takes, s": f"{millions * found.checkpoint_s:.0f}",
        "a round of alerts takes, s": f"{millions * found.alert_round_s:.1f}",
        "a start takes, s": f"{start_s:.0f}",
    }


def limits(assumed: Assumptions) -> list[tuple[str, float]]:
    """How many devices one cluster has when each of these is used up, the first one first."""
    found = measured(10 * MILLION)
    by_event = assumed.interval_s / found.follow_us * 1e6
    return sorted(
        [
            ("a round of alerts takes longer than the second between two", MILLION / found.alert_round_s),
            (
                "a checkpoint takes longer than the time between two",
                MILLION * assumed.checkpoint_s / found.checkpoint_s,
            ),
            ("following alone fills the processor of a node", assumed.fill * by_event),
            ("a node of 64 GB is full", 64e9 / found.memory_bytes),
            (
                "a message of the stream is a megabyte at its measured rate",
                1e6 / found.event_bytes * found.messages_a_second * assumed.interval_s,
            ),
        ],
        key=lambda limit: limit[1],
    )


def tables(sizes: list[int], assumed: Assumptions) -> str:
    """All tables, as Markdown."""
    plans = [plan(devices, assumed) for devices in sizes]
    lines = [f"| | {' | '.join(f'{devices / MILLION:g} million devices' for devices in sizes)} |"]
    lines.append("|---|" + "---:|" * len(sizes))
    lines += [f"| {what} | {' | '.join(one[what] for one in plans)} |" for what in plans[0]]
    lines += ["", "| what is used up | at so many million devices |", "|---|---:|"]
    lines += [f"| {what} | {devices / MILLION:.0f} |" for what, devices in limits(assumed)]
    return "\n".join(lines) + "\n" + (f"\n{measured_here}" if (measured_here := three_nodes()) else "")


def three_nodes() -> str:
    """What a cluster did on the machine of the results, as Markdown; empty where it was not measured."""
    files = [f"cluster_{name}" for name in ("load", "failover", "newcomer")]
    if not all((RESULTS / f"{name}.json").exists() for name in files):
        return ""
    load, failover, newcomer = (result(name)["figures"] for name in files)
    cpu, seen = load["CPU us a heartbeat"], load["visible on another node"]
    rows = {
        f"{load['rate']:,} heartbeats a second: answered within, p50 and p99, ms": _pair(load["heartbeat"]),
        "counted by another node after the answer, p50 and p99, ms": _pair(seen),
        "CPU a heartbeat of three nodes together, µs": f"{cpu['nodes']:.0f}",
        "CPU a heartbeat of three NATS servers together, µs": f"{cpu['NATS']:.0f}",
        "entries a second": f"{load['entries a second']:.0f}",
        "the lease is taken over after its holder was killed, s": f"{max(failover['lease taken over, s']):.0f}",
        "the longest without an acknowledgement, the leader of NATS killed, s": f"{max(failover[LEADER]):.0f}",
        f"a new node of {newcomer['devices'] / MILLION:g} million devices is ready after, s": (
            f"{max(newcomer['new node ready, s']):.0f}"
        ),
    }
    lines = [f"| {what} | {much} |" for what, much in rows.items()]
    return "\n".join(["| three nodes, engines and load on one machine | measured |", "|---|---:|", *lines]) + "\n"


LEADER = "without an acknowledgement on some node, NATS leader killed, s"


def _pair(figures: dict[str, float]) -> str:
    return f"{figures['p50_ms']:.0f} and {figures['p99_ms']:.0f}"


def write(text: str) -> None:
    """Replace the tables of the page, which begin in the same way."""
    kept = PAGE.read_text()
    for table in text.strip().split("\n\n"):
        head = table.partition("\n")[0]
        if f"\n{head}\n" not in kept:
            kept = kept.replace("\n## What is used up first", f"\n## Measured\n\n{head}\n\n## What is used up first")
        before, _, behind = kept.partition(f"\n{head}\n")
        kept = f"{before}\n{table}\n" + re.sub(r"^(?:[|].*\n)*", "", behind)
    PAGE.write_text(kept)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--write"]
    made = tables([int(word) for word in words] or [MILLION, 3 * MILLION, 10 * MILLION], Assumptions())
    if "--write" in sys.argv:
        write(made)
    print(made, end="")
