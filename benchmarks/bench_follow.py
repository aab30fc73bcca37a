"""What following costs a node of many: entries of heartbeats, decoded and applied to a fleet of a million, and of ten.

Each node applies the events of the whole fleet, those too that other nodes took. This drives the live stage in this
process, without sockets and journal; CPU is the process's own.

    benchmarks/bench_follow.py [DEVICES …]

On paper: an event is 12 bytes of an entry. Applying costs some 0.13 us at a million devices; at ten million each
touches memory that no cache has, some ten lines of 64 bytes at 0.1 us, of which many are fetched at once.
"""

import io
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from bench_reception_gaps import memory_mb
from fleetpulse.blocks.snapshot import write_snapshot
from fleetpulse.journal.entry import decode_entry, encode_entry
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device import HeartbeatPolicy
from fleetpulse.model.events import EventBatch, EventColumns

sys.path.insert(0, str(Path(__file__).resolve().parent / "load"))
from harness import record

ENTRY_EVENTS = (64, 512, 4_096)
PIECE_EVENTS = 16_384
"""As many events as a follower applies in one go."""
SECOND, ROUNDS = 10**9, 20
EVENTS = ROUNDS * PIECE_EVENTS
START_NS = (20_700 * 86_400 - 3_600) * SECOND
INTERVAL_S = 60
Figures = dict[str, float]


def entries_of(devices: np.ndarray, sent_at_ns: np.ndarray, received_at_ns: int, *, events: int) -> list[bytes]:
    """The entries in which these heartbeats are journaled, so many in each."""
    return [
        encode_entry(
            EventBatch(
                heartbeat_devices=array("I", devices[first : first + events].tobytes()),
                heartbeat_sent_at_ns=array("q", sent_at_ns[first : first + events].tobytes()),
                received_at_ns=received_at_ns + first,
            )
        )
        for first in range(0, len(devices), events)
    ]


def apply_all(fleet: Fleet, batches: list[EventColumns]) -> None:
    """Apply these in order, as many at a time as a follower does."""
    piece: list[EventColumns] = []
    count = 0
    for batch in batches:
        piece.append(batch)
        count += len(batch)
        if count >= PIECE_EVENTS:
            fleet.apply(piece)
            piece, count = [], 0
    if piece:
        fleet.apply(piece)


def beat_all(fleet: Fleet, now_ns: int, chance: np.random.Generator) -> None:
    """Let each device beat once, in the order in which they happen to come."""
    devices = chance.permutation(fleet.count).astype(np.uint32)
    sent = now_ns - chance.integers(0, SECOND, fleet.count)
    for first in range(0, fleet.count, PIECE_EVENTS):
        body = entries_of(devices[first:][:PIECE_EVENTS], sent[first:][:PIECE_EVENTS], now_ns, events=PIECE_EVENTS)
        apply_all(fleet, [decode_entry(one, where="bench") for one in body])


def follow(fleet: Fleet, devices: np.ndarray, now_ns: int, chance: np.random.Generator, *, events: int) -> Figures:
    """CPU an event, where entries hold so many, and what an event takes of an entry."""
    decoding_s, applying_s, bytes_all = 0.0, 0.0, 0
    for part in np.array_split(devices, ROUNDS):
        sent = now_ns - chance.integers(0, SECOND, len(part))
        bodies = entries_of(part, sent, now_ns, events=events)
        bytes_all += sum(map(len, bodies))
        started_s = time.process_time()
        batches = [decode_entry(body, where="bench") for body in bodies]
        decoded_s = time.process_time()
        apply_all(fleet, batches)
        decoding_s, applying_s = decoding_s + decoded_s - started_s, applying_s + time.process_time() - decoded_s
        now_ns += SECOND // 2
    return {
        "decode_us": round(decoding_s / len(devices) * 1e6, 3),
        "apply_us": round(applying_s / len(devices) * 1e6, 3),
        "entry_bytes": round(bytes_all / len(devices), 2),
    }


def run(devices: int) -> dict[str, Any]:
    """The figures of a fleet whose devices have all reported yesterday and today, and beat in time."""
    chance, before_mb = np.random.default_rng(1), memory_mb()
    fleet = Fleet(policy=HeartbeatPolicy(interval_s=INTERVAL_S, grace_s=240))
    fleet.resize(devices)
    for now_ns in (START_NS, START_NS + 7_200 * SECOND):
        fleet.advance(now_ns)
        beat_all(fleet, now_ns, chance)
    now_ns += INTERVAL_S * SECOND
    parts = np.array_split(
        chance.permutation(devices).astype(np.uint32)[: len(ENTRY_EVENTS) * EVENTS], len(ENTRY_EVENTS)
    )
    figures: dict[str, Any] = {
        f"{events} in an entry": follow(fleet, part, now_ns, chance, events=events)
        for events, part in zip(ENTRY_EVENTS, parts, strict=True)
    }
    figures["memory, bytes a device"] = round((memory_mb() - before_mb) * 1e6 / devices, 1)
    snapshot = io.BytesIO()
    write_snapshot(snapshot, fleet.columns())
    figures["snapshot, bytes a device"] = round(len(snapshot.getvalue()) / devices, 1)
    del snapshot
    freezing, longest_s, started_s = fleet.freeze(), 0.0, time.process_time()
    while not freezing.is_complete:
        piece_s = time.process_time()
        freezing.copy_piece()
        longest_s = max(longest_s, time.process_time() - piece_s)
    figures["copy for a checkpoint, CPU s"] = round(time.process_time() - started_s, 3)
    figures["longest piece of it, ms"] = round(longest_s * 1e3, 2)
    return figures


def main() -> None:
    """Measure, print, and keep the figures in results/follow.json."""
    sizes = [int(word) for word in sys.argv[1:]] or [1_000_000, 10_000_000]
    figures = {f"{devices} devices": run(devices) for devices in sizes}
    for size, found in figures.items():
        print(size, found)
    worst = {
        size: max(
            found[f"{events} in an entry"]["decode_us"] + found[f"{events} in an entry"]["apply_us"]
            for events in ENTRY_EVENTS[1:]
        )
        for size, found in figures.items()
    }
    record(
        "follow", figures, {f"CPU us an event, {size}, from 512 in an entry": (us, 0.5) for size, us in worst.items()}
    )


if __name__ == "__main__":
    main()
