"""A flapping fleet: 200,000 devices of which each has a gap every two intervals, on both clocks, and some send late.

Devices are to beat every 150 s, and beat every 300 s, so each beat ends a gap on received_at and one on sent_at. One in
a hundred also sends, each time, the beat that it missed between its last two. The service runs in this process, without
sockets and journal; its clock is set by hand. Checkpoints and compaction are the service's own, with their pauses.

    benchmarks/bench_beat_gaps.py [--devices 200000] [--hours 8]

On paper: see docs/explanation/gaps.md.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import structlog

from bench_reception_gaps import BATCH_S, ROUND_S, SECOND, START_NS, HandClock, beat, compact, memory_mb, service_of
from fleetpulse.blocks.gap_sequences import chains
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.heap import bound_heap
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.manifest import GapFile
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.service import Service

sys.path.insert(0, str(Path(__file__).resolve().parent / "load"))
from harness import record

INTERVAL_S = ROUND_S // 2
LATE_SHARE = 100
"""One device in so many sends a beat late in each round."""


def send_late(service: Service, clock: HandClock, devices: np.ndarray, chance: np.random.Generator) -> None:
    """Let some devices send the beat that they missed between the last two rounds."""
    late = chance.choice(devices, len(devices) // LATE_SHARE, replace=False).astype(np.uint32)
    for part in np.array_split(late, ROUND_S // BATCH_S):
        at_ns = clock.ns - (ROUND_S + INTERVAL_S) * SECOND - chance.integers(0, 60 * SECOND, len(part))
        batch = EventBatch(
            heartbeat_devices=array("I", part.tobytes()),
            heartbeat_sent_at_ns=array("q", at_ns.tobytes()),
            received_at_ns=clock.ns,
        )
        service.follower.follow(batch, service.follower.position + 1)


def size_bytes(by_day: dict[int, tuple[GapFile, ...]]) -> int:
    """What files take on disk."""
    return sum(file.size_bytes for files in by_day.values() for file in files)


def read_one(service: Service, device: int) -> float:
    """Seconds to read the beat gaps of a device of all days."""
    started_s = time.perf_counter()
    for _ in read_beat_gaps(
        service.history, service.history.manifest, start_day=0, end_day=2**31, devices=range(device, device + 1)
    ):
        pass
    return time.perf_counter() - started_s


def read_all(service: Service) -> tuple[float, int]:
    """Seconds to read the beat gaps of the fleet, and how many there are."""
    started_s = time.perf_counter()
    rows = sum(map(len, read_beat_gaps(service.history, service.history.manifest, start_day=0, end_day=2**31)))
    return time.perf_counter() - started_s, rows


@dataclass
class Run:
    """What is measured, round by round."""

    checkpoints_s: list[float] = field(default_factory=list)
    compactions_s: list[float] = field(default_factory=list)
    reads_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    async def round(self, service: Service, clock: HandClock, order: np.ndarray, chance: np.random.Generator) -> None:
        """A beat of each device, some late ones, a checkpoint, and all compaction that is due."""
        beat(service, clock, order, chance)
        send_late(service, clock, order, chance)
        await service.follower.caught_up()
        started_s = time.perf_counter()
        assert await service.housekeeping.checkpoint()
        self.checkpoints_s.append(time.perf_counter() - started_s)
        self.reads_s += [read_one(service, device) for device in chance.choice(order, 5).tolist()]
        self.files.append(max(len(chains(files)) for files in service.history.manifest.beat_gaps.values()))
        self.compactions_s += await compact(service)
        self.memory_mb.append(memory_mb())


async def run(devices: int, hours: float, folder: Path) -> dict[str, Any]:
    """The figures of so many hours, and of the day when it is over."""
    clock, chance = HandClock(), np.random.default_rng(1)
    service = service_of(folder, clock)
    await service.node.start()
    await service.registry.register_many(
        [Device(f"d{number}", interval_s=INTERVAL_S, grace_s=INTERVAL_S // 2) for number in range(devices)]
    )
    order = chance.permutation(devices).astype(np.uint32)
    beat(service, clock, order, chance)
    assert await service.housekeeping.checkpoint()
    before_mb, found, rounds = memory_mb(), Run(), int(hours * 3_600 / ROUND_S) - 1
    for place in range(rounds):
        await found.round(service, clock, order, chance)
        if place % 12 == 11:
            manifest = service.history.manifest
            print(
                f"{(place + 1) * devices / 1e6:6.1f} M gaps: {size_bytes(manifest.beat_gaps) / 1e6:.1f} MB and "
                f"{size_bytes(manifest.covers) / 1e6:.2f} MB of covers in {found.files[-1]} files, reception gaps "
                f"{size_bytes(manifest.gaps) / 1e6:.1f} MB; checkpoint {found.checkpoints_s[-1]:.2f} s, one device "
                f"{median(found.reads_s[-60:]) * 1e3:.1f} ms, longest piece {max(found.compactions_s):.2f} s, "
                f"memory {found.memory_mb[-1]:.0f} MB, peak {memory_mb('VmHWM'):.0f} MB",
                flush=True,
            )
    of_day_s, rows = read_all(service)
    # The day is over, so that its files are merged, and divided by what came late.
    clock.ns = max(clock.ns, START_NS + NS_PER_DAY)
    over = Run()
    for _ in range(2):
        await over.round(service, clock, order, chance)
    over_s, rows_over = read_all(service)
    manifest = service.history.manifest
    result = {
        "devices": devices,
        "gaps": rows,
        "checkpoint_s": {"median": median(found.checkpoints_s), "max": max(found.checkpoints_s)},
        "compaction_s": {
            "piece_max": max(*found.compactions_s, *over.compactions_s),
            "pieces": len(found.compactions_s),
            "sum": sum(found.compactions_s),
            "of_the_day_pieces": len(over.compactions_s),
            "of_the_day": sum(over.compactions_s),
        },
        "files_of_a_device_max": max(found.files),
        "one_device_ms": {
            "of_the_day": median(found.reads_s) * 1e3,
            "of_a_day_that_is_over": median(over.reads_s) * 1e3,
        },
        "fleet_s": {"of_the_day": of_day_s, "of_a_day_that_is_over": over_s},
        "memory_mb": {"before": before_mb, "median": median(found.memory_mb), "peak": memory_mb("VmHWM")},
        "bytes_a_gap": {
            "sent_at": size_bytes(manifest.beat_gaps) / rows_over,
            "received_at": size_bytes(manifest.gaps) / ((rounds + 2) * devices),
        },
        "covers_bytes": size_bytes(manifest.covers),
    }
    await service.node.stop()
    return result


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--hours", type=float, default=8)
    arguments = parser.parse_args()
    bound_heap()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(run(arguments.devices, arguments.hours, Path(folder)))
    print(results)
    goals = {
        "longest checkpoint, s": (results["checkpoint_s"]["max"], 3.0),
        "longest piece of compaction, s": (results["compaction_s"]["piece_max"], 3.0),
        "resident memory at its peak, MB": (results["memory_mb"]["peak"], 500.0),
        "gaps of one device, median ms": (results["one_device_ms"]["of_the_day"], 10.0),
        "bytes of a gap on sent_at": (results["bytes_a_gap"]["sent_at"], 16.0),
    }
    record("beat_gaps", results, goals)


if __name__ == "__main__":
    main()
