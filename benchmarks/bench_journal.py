"""What an entry costs in each journal: SQLite, and NATS on one and on three servers of this machine, in the same run.

    python benchmarks/bench_journal.py [ENTRIES]

The servers are those of tests/nats_server.py, with `sync_interval: always`. CPU is that of this process alone, with the
thread of the connection; the servers' is not in it. An entry has 128 heartbeats. Three servers share one disk here, so
that an entry waits for three syncs of it.
"""

import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks/load")]

# Behind the path, since some of them are found only by it.
import numpy as np  # noqa: E402
from harness import record  # noqa: E402

from fleetpulse.journal.entry import encode_entry  # noqa: E402
from fleetpulse.journal.journal import Journal  # noqa: E402
from fleetpulse.journal.sqlite import SqliteJournal  # noqa: E402
from fleetpulse.model.events import EventBatch, Position  # noqa: E402
from nats_server import NatsCluster  # noqa: E402

EVENTS = 128
ROUNDS = 3


def appended(journal: Journal, body: bytes, entries: int) -> dict[str, float]:
    """Append so many entries one after the other."""
    journal.append(body)
    took_ms = []
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(entries):
        started_s = time.perf_counter()
        journal.append(body)
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    return {
        "entries a second": round(entries / (time.perf_counter() - began_s)),
        "p50 ms": round(float(np.percentile(took_ms, 50)), 2),
        "p99 ms": round(float(np.percentile(took_ms, 99)), 2),
        "CPU ms an entry": round((time.process_time() - began_cpu_s) / entries * 1e3, 3),
    }


def followed(journal: Journal) -> float:
    """CPU in µs that following costs an entry, without applying it."""
    last, reached = journal.last_position(), [0]

    def deliver(entries: Sequence[tuple[Position, bytes]]) -> None:
        reached[0] = entries[-1][0]

    began_cpu_s = time.process_time()
    end = journal.follow(after=0, deliver=deliver, missed=lambda _: None)
    while reached[0] < last:
        time.sleep(0.01)
    end()
    return round((time.process_time() - began_cpu_s) / last * 1e6, 1)


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The medians of rounds."""
    return {name: round(float(np.median([one[name] for one in rounds])), 3) for name in rounds[0]}


def main() -> None:
    """Measure, print, and keep the figures in results/journal.json."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    batch = EventBatch(array("I", range(EVENTS)), array("q", range(EVENTS)))
    body = encode_entry(batch)
    figures: dict[str, Any] = {"entry_bytes": len(body)}
    with tempfile.TemporaryDirectory(dir=ROOT) as made:
        folder = Path(made)
        with NatsCluster(folder / "one", count=1) as one, NatsCluster(folder / "three") as three:
            journals: dict[str, Journal] = {
                "SQLite": SqliteJournal(folder / "journal.sqlite"),
                "NATS, 1 server": one.journal(),
                "NATS, 3 servers": three.journal(),
            }
            rounds = [
                {name: appended(journal, body, entries) for name, journal in journals.items()} for _ in range(ROUNDS)
            ]
            for name, journal in journals.items():
                figures[name] = middle([found[name] for found in rounds])
                if journal.is_shared:
                    figures[name]["CPU us to follow an entry"] = followed(journal)
                print(name, figures[name])
                journal.close()
    record("journal", figures, {})


if __name__ == "__main__":
    main()
