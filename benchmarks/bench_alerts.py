"""100 rules of all kinds over many devices, in this process without sockets: what a round costs, and whom.

    python benchmarks/bench_alerts.py [DEVICES] [OUTPUT.json]

On paper, at 100,000 devices: five columns of 8 bytes are copied (4 MB, 2 ms); status is some twenty passes over them
(10 ms); each rule about devices looks only at those that are down (1 in 100). A metric of which each device sends a
sample a minute has a million samples in ten minutes: 30 ms to find them, 10 ms for each figure.

Goal: a round of 100 rules over 100,000 devices in at most 200 ms.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory, OpenAlerts
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.roster import LabelColumn, Roster
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.declared import NOTHING_CHANGED
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from fleetpulse.pipeline.views import Views
from fleetpulse.pipeline.window_rules import WINDOW_KINDS
from fleetpulse.query.reads import Samples

NOW_NS = 20_000 * NS_PER_DAY + NS_PER_DAY // 2
SITES, REGIONS = 200, 8
METRICS = {"cpu": 1, "memory": 2, "temperature": 3}
MINUTES = 15
ROUNDS = 7


def rules() -> list[AlertRule]:
    """100 rules: 40 device_down, 10 fleet, 10 drift, 5 service, 25 metric, 10 absent."""
    found = []
    for number in range(40):
        labels = (("site", f"site-{number}"),) if number else ()
        found.append(AlertRule(name=f"down-{number}", kind="device_down", labels=labels))
    for number in range(10):
        by = "site" if number % 2 else "region"
        found.append(AlertRule(name=f"fleet-{number}", kind="fleet", by=by, is_share=True, threshold=0.02 * number))
    for number in range(10):
        labels = (("region", f"region-{number % REGIONS}"),)
        found.append(AlertRule(name=f"drift-{number}", kind="drift", labels=labels, threshold=30.0 * (1 + number)))
    service: dict[str, Any] = {"kind": "service", "telemetry": "error_ratio", "window_s": 300, "threshold": 0.01}
    found += [AlertRule(name=f"service-{number}", **service) for number in range(5)]
    aggregations: tuple[Any, ...] = ("avg", "max", "p95", "min", "count")
    found += [
        AlertRule(
            name=f"metric-{number}",
            kind="metric",
            metric=list(METRICS)[number % 3],
            aggregation=aggregations[number % 5],
            window_s=300 if number % 2 else 600,
            threshold=99.0,
            clear_threshold=95.0,
        )
        for number in range(25)
    ]
    for number in range(10):
        labels = (("site", f"site-{number}"),)
        metric = list(METRICS)[number % 3]
        found.append(AlertRule(name=f"absent-{number}", kind="absent", metric=metric, window_s=600, labels=labels))
    return found


def views_of(count: int, chance: np.random.Generator) -> Views:
    """A fleet of which one device in 97 is down."""
    fleet = Fleet(policy=HeartbeatPolicy(60, 240), reserve=count)
    fleet.resize(count)
    fleet.advance(NOW_NS)
    heard_ns = NOW_NS - chance.integers(0, NS_PER_MINUTE, count)
    heard_ns[::97] -= 3_600 * NS_PER_S
    fleet.last_received_ns[:count] = heard_ns
    fleet.first_sent_ns[:count] = NOW_NS - NS_PER_DAY
    fleet.last_sent_ns[:count] = heard_ns + chance.integers(-NS_PER_S, NS_PER_S, count)
    roster = Roster()
    roster.resize(count)
    for name, values in (("site", SITES), ("region", REGIONS)):
        column = roster.labels[name] = LabelColumn(len(roster.is_deleted))
        for value in range(values):
            column.put(value, f"{name}-{value}")
        column.codes[:count] = 1 + np.arange(count) % values
    registry: Any = SimpleNamespace(
        roster=roster, seen_roster=roster, numbers={}, deleted={}, deletions={}, declared=NOTHING_CHANGED
    )
    planned: Any = SimpleNamespace(windows={}, pauses={}, version=0, declared=NOTHING_CHANGED)
    clock: Any = SimpleNamespace(now_ns=lambda: NOW_NS)
    history = History(MemoryBlockStore(), Manifest())
    return Views(clock=clock, fleet=fleet, history=history, registry=registry, planned_downtime=planned)


def samples_of(count: int, chance: np.random.Generator, history: History, *, metrics: int) -> Samples:
    """A sample a minute of each device and metric, for a quarter of an hour, all in memory."""
    pieces = []
    devices = np.arange(count, dtype=np.uint32)
    for minute in range(MINUTES):
        for number in range(1, metrics + 1):
            at_ns = NOW_NS - (minute + 1) * NS_PER_MINUTE + chance.integers(0, NS_PER_MINUTE, count)
            values = chance.normal(50, 10, count).view(np.int64)
            pieces.append(SampleColumns(devices, np.full(count, number, np.uint16), at_ns, values))
    return Samples(pieces, Manifest(), history, (), NOW_NS // NS_PER_DAY)


def timed_ms(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long `work` takes, and its result."""
    start_s = time.perf_counter()
    result = work()
    return 1_000 * (time.perf_counter() - start_s), result


def main() -> None:
    """Measure, print, and write the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    chance = np.random.default_rng(1)
    metrics = 3 if count <= 200_000 else 1
    views = views_of(count, chance)
    samples = samples_of(count, chance, views.history, metrics=metrics)
    definitions = {name: (number, MetricDefinition(name=name)) for name, number in METRICS.items()}
    chosen = [rule for rule in rules() if METRICS.get(rule.metric, 0) <= metrics]
    now_rules = [rule for rule in chosen if rule.kind not in WINDOW_KINDS]
    window_rules = [rule for rule in chosen if rule.kind in WINDOW_KINDS]
    memory, figures = Memory(), {}
    telemetry = {"answers": 1e6, "answers_failed": 1e3}
    copies, rounds, looks = [], [], []
    for place in range(ROUNDS):
        copy_ms, complete = timed_ms(lambda: views.fleet_from(NOW_NS - 8 * NS_PER_DAY))
        # The first time it is found what is excluded of devices, which is kept until that changes.
        facts = Facts(view=complete(), samples=samples, metrics=definitions, telemetry=telemetry, rules=chosen)

        def look(watched: list[AlertRule], facts: Facts = facts) -> dict[str, Any]:
            return {rule.name: evaluate(rule, facts, memory) for rule in watched}

        round_ms, found = timed_ms(lambda: look(now_rules))
        look_ms, windows = timed_ms(lambda: look(window_rules))
        memory.open = {
            name: OpenAlerts(
                subjects=one.subjects,
                since_ns=one.since_ns,
                is_true=np.ones(len(one.subjects), bool),
                groups=one.groups,
            )
            for name, one in {**found, **windows}.items()
        }
        if place:
            copies.append(copy_ms)
            rounds.append(round_ms)
            looks.append(look_ms)
    figures = {
        "devices": count,
        "rules": len(chosen),
        "rules_each_round": len(now_rules),
        "live_samples": sum(map(len, samples.live)),
        "true": sum(len(one.subjects) for one in {**found, **windows}.values()),
        "copy_on_the_loop_ms": statistics.median(copies),
        "round_ms": statistics.median(rounds),
        "look_at_windows_ms": statistics.median(looks),
        "round_with_its_part_of_the_look_ms": statistics.median(rounds) + statistics.median(looks) / 60,
        "all_at_once_ms": statistics.median(rounds) + statistics.median(looks),
    }
    print(json.dumps(figures, indent=1))
    if len(sys.argv) > 2:
        path = Path(sys.argv[2])
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps(known | {str(count): figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
