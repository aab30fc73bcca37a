"""Reception gaps by the million: 200,000 devices that beat every five minutes, where a minute is declared, for a day.

Every heartbeat ends a gap, so a day has 57.6 million. The service runs in this process, without sockets and journal;
its clock is set by hand. Checkpoints and compaction are the service's own, with their pauses, one after the other.

    benchmarks/bench_reception_gaps.py [--devices 200000] [--hours 24]

On paper: a checkpoint has 200,000 new gaps of 28 bytes; sorting and writing them takes some 0.1 s, whatever the day has
already. A device's gaps are in a row group of at most 8,192 rows in each of up to seven files: 0.7 ms each. A piece of
a merge has a million gaps, at 1.6 us each.
"""

import argparse
import asyncio
import logging
import re
import sys
import tempfile
import time
from array import array
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import structlog

from fleetpulse.app import assemble
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import FolderBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.heap import bound_heap
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.service import Service, Stores
from fleetpulse.pipeline.threads import Threads
from fleetpulse.query.fleet import fleet_uptime
from fleetpulse.query.status import device_transitions
from fleetpulse.query.window import Window
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters

sys.path.insert(0, str(Path(__file__).resolve().parent / "load"))
from harness import record

SECOND = 10**9
ROUND_S, BATCH_S = 300, 1
START_NS = 20_700 * 86_400 * SECOND


class HandClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        """See Clock."""
        return self.ns

    def monotonic_ns(self) -> int:
        """See Clock."""
        return self.ns


def memory_mb(what: str = "VmRSS") -> float:
    """Resident memory of this process or (VmHWM) its peak, MB of 10⁶ bytes."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


def service_of(folder: Path, clock: HandClock) -> Service:
    """A service with its blocks in a folder, and its journal in memory, where nothing is appended."""
    catalog = SqliteCatalog(folder / "catalog.sqlite", clock=clock)
    store, journal, threads = FolderBlockStore(folder / "blocks"), MemoryJournal(), Threads()
    stores = Stores(
        clock=clock,
        counters=Counters(),
        threads=threads,
        ownership=Ownership(folder=folder, store=store, journal=journal, catalog=catalog, clock=clock, threads=threads),
        journal=journal,
        catalog=catalog,
        history=History(store, catalog.manifest()),
    )
    return assemble(Settings(data=str(folder), checkpoint_s=1e9, block_grace_h=0.0), stores)


def beat(service: Service, clock: HandClock, devices: np.ndarray, chance: np.random.Generator) -> None:
    """Let devices beat in the next ROUND_S, in batches of BATCH_S."""
    for part in np.array_split(devices, ROUND_S // BATCH_S):
        clock.ns += BATCH_S * SECOND + int(chance.integers(-(10**8), 10**8))
        batch = EventBatch(
            heartbeat_devices=array("I", part.tobytes()),
            heartbeat_sent_at_ns=array("q", np.full(len(part), clock.ns).tobytes()),
            received_at_ns=clock.ns,
        )
        service.follower.follow(batch, service.follower.position + 1)


async def ask(service: Service, clock: HandClock, count: int, chance: np.random.Generator) -> list[tuple[float, float]]:
    """Seconds, and seconds of CPU, for the transitions of the last day of devices, another one each time."""
    window = Window(clock.ns - 86_400 * SECOND, clock.ns)
    seconds = []
    for device in chance.choice(service.registry.roster.count, count, replace=False).tolist():
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        question = partial(device_transitions, device_id=f"d{device}", window=window, limit=1_000)
        answer = await service.questions.device(f"d{device}", question, start_ns=window.start_ns)
        seconds.append((time.perf_counter() - started_s, time.process_time() - started_cpu_s))
        assert answer.missing == []
    return seconds


async def compact(service: Service) -> list[float]:
    """Seconds of each piece of compaction, until there is none. A service has minutes for it between checkpoints."""
    seconds = []
    while True:
        started_s = time.perf_counter()
        if not await service.housekeeping.compact():
            return seconds
        seconds.append(time.perf_counter() - started_s)


def files_of_a_device(service: Service) -> int:
    """How many files of a day have gaps of the same device, at most."""
    return max(len(chains(files)) for files in service.history.manifest.gaps.values())


def disk_bytes(service: Service) -> int:
    """What all gaps take on disk."""
    return sum(file.size_bytes for files in service.history.manifest.gaps.values() for file in files)


def _ms(seconds: list[tuple[float, float]]) -> dict[str, float]:
    wall, cpu = np.array(seconds).T * 1e3
    return {
        "median": round(float(np.median(wall)), 2),
        "p95": round(float(np.quantile(wall, 0.95)), 2),
        "cpu_median": round(float(np.median(cpu)), 2),
    }


async def run(devices: int, hours: float, folder: Path) -> dict[str, Any]:
    """The figures of so many hours."""
    clock, chance = HandClock(), np.random.default_rng(1)
    service = service_of(folder, clock)
    await service.node.start()
    await service.registry.register_many([Device(f"d{number}") for number in range(devices)])
    order = chance.permutation(devices).astype(np.uint32)
    beat(service, clock, order, chance)
    assert await service.housekeeping.checkpoint()
    before_mb = memory_mb()
    checkpoints_s, compactions_s, transitions_s, files, memory = [], [], [], [], []
    rounds = int(hours * 3_600 / ROUND_S) - 2
    for place in range(rounds):
        beat(service, clock, order, chance)
        started_s = time.perf_counter()
        assert await service.housekeeping.checkpoint()
        checkpoints_s.append(time.perf_counter() - started_s)
        files.append(files_of_a_device(service))
        transitions_s += await ask(service, clock, 5, chance)
        compactions_s += await compact(service)
        memory.append(memory_mb())
        if place % 12 == 11:
            gaps_mb = disk_bytes(service) / 1e6
            print(
                f"{(place + 1) * devices / 1e6:6.1f} M gaps, {gaps_mb:7.1f} MB in {files[-1]} files: checkpoint "
                f"{checkpoints_s[-1]:.2f} s, transitions {_ms(transitions_s[-60:])} ms, "
                f"memory {memory[-1]:.0f} MB, peak {memory_mb('VmHWM'):.0f} MB",
                flush=True,
            )
    started_s = time.perf_counter()
    window = Window(clock.ns - 86_400 * SECOND, clock.ns)
    about = partial(fleet_uptime, by="", labels=(), window=window)
    answer = await service.questions.fleet(about, start_ns=window.start_ns)
    fleet_s = time.perf_counter() - started_s
    assert answer.missing == []
    fleet_mb = memory_mb("VmHWM")
    # The day is over, so that its files become one sequence.
    last_checkpoints_s = []
    for _ in range(2):
        beat(service, clock, order, chance)
        started_s = time.perf_counter()
        assert await service.housekeeping.checkpoint()
        last_checkpoints_s.append(time.perf_counter() - started_s)
    pieces_s = await compact(service)
    merged_s = await ask(service, clock, 60, chance)
    await service.node.stop()
    return {
        "devices": devices,
        "gaps": (rounds + 2) * devices,
        "checkpoint_s": {
            "median": median(checkpoints_s),
            "p99": float(np.quantile(checkpoints_s, 0.99)),
            "max": max(*checkpoints_s, *last_checkpoints_s),
            "at_the_end_of_the_day": max(last_checkpoints_s),
        },
        "compaction_s": {
            "piece_median": median(compactions_s),
            "piece_p99": float(np.quantile([*compactions_s, *pieces_s], 0.99)),
            "piece_max": max(*compactions_s, *pieces_s),
            "pieces": len(compactions_s),
            "sum": sum(compactions_s),
            "of_the_day_pieces": len(pieces_s),
            "of_the_day": sum(pieces_s),
        },
        "files_of_a_device_max": max(files),
        "transitions_ms": {"of_the_day": _ms(transitions_s), "of_a_day_that_is_over": _ms(merged_s)},
        "fleet_uptime_s": fleet_s,
        "memory_mb": {
            "before": before_mb,
            "median": median(memory),
            "max": max(memory),
            "peak_with_fleet_question": fleet_mb,
            "peak": memory_mb("VmHWM"),
        },
        "bytes_a_gap": disk_bytes(service) / ((rounds + 3) * devices),
    }


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--hours", type=float, default=24)
    arguments = parser.parse_args()
    bound_heap()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(run(arguments.devices, arguments.hours, Path(folder)))
    print(results)
    goals = {
        "resident memory, MB": (results["memory_mb"]["max"], 400.0),
        "longest checkpoint, s": (results["checkpoint_s"]["max"], 3.0),
        "longest piece of compaction, s": (results["compaction_s"]["piece_max"], 3.0),
        "transitions of one device, median ms": (results["transitions_ms"]["of_the_day"]["median"], 10.0),
        "transitions of one device, of a day that is over, median ms": (
            results["transitions_ms"]["of_a_day_that_is_over"]["median"],
            10.0,
        ),
    }
    record("reception_gaps", results, goals)


if __name__ == "__main__":
    main()
