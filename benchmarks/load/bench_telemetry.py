"""What telemetry costs a heartbeat: with and without it, in turn, in one run.

    python benchmarks/load/bench_telemetry.py [--rounds 11] [--seconds 3]

First in this process without sockets: connections at the front door send heartbeats, batches are answered, and what
was noted is counted, some hundred times with and without, in turn. The difference of the medians, beside the
processor time of a whole heartbeat that wrk measures in the same run, is the share that the goal is about (1.03).
Then two servers of the same code on core 0, in turn: one measures requests, works out figures of the fleet, and is
scraped once a second, fifteen times as often as usual; the other does none of it (--no-request-telemetry
--fleet-figures-s 0). These ratios are recorded beside it: they spread by several percent on a machine that others use.
An estimate on paper: a reading of the clock, an append to a list and its share of counting, which is done for thousands
at once, take 0.15 µs, of some 15 µs that a heartbeat takes: one percent.
"""

import argparse
import asyncio
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench_pairs import ratios
from harness import Process, fleetpulse, record, write_devices, wrk

from fleetpulse.access.device_limits import DeviceLimits, Lanes
from fleetpulse.access.gate import Gate
from fleetpulse.access.rate import Rate
from fleetpulse.errors import UnknownDevice
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.door import Door
from fleetpulse.ingest.front_door import FrontDoor
from fleetpulse.ingest.intake import Intake
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters

DEVICES = 1_000
CONNECTIONS = (32, 128, 512)
SCRAPE_S = 1.0
GOAL = 1.03
SENDERS = (10, 64, 512)
"""Connections at the front door, and so heartbeats in a batch."""
TURNS, HEARTBEATS_A_TURN = 60, 12_800
HEARTBEAT = (
    b"POST /api/v1/devices/a/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 35\r\n\r\n"
    b'{"sent_at": "2026-01-01T00:00:00Z"}'
)
WITHOUT = ("--no-request-telemetry", "--fleet-figures-s", "0")


class Nowhere(asyncio.Transport):
    """A transport that takes everything."""

    def write(self, data: Any) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        """Never."""
        return False


class InProcess:
    """A front door with so many connections, which measures reports or does not."""

    def __init__(self, senders: int, *, is_measuring: bool) -> None:
        limits, self.counters = IngestLimits(), Counters()
        self.intake = Intake(
            numbers={"a": 0},
            metrics=KnownMetrics(report_metrics_max=1),
            events_waiting_max=2**40,
            wake=lambda: None,
            new_arrived=self.counters.requests.arrived if is_measuring else None,
        )
        self.intake.open()
        self.intake.latest_ns, self.intake.wake_at = 2**62, 2**40
        gate = Gate(counters=self.counters, auth="off", is_at_machine=True, has_labels=lambda *_: True, id_of=str)
        door = Door(
            intake=self.intake,
            connections=Connections(limits, self.counters),
            gate=gate,
            unknown=UnknownDevice,
            lanes=DeviceLimits(lambda _device: Lanes(Rate(0, 1), Rate(0, 1))),
        )
        nothing: Any = None
        state: Any = SimpleNamespace(connections=set(), default_headers=[(b"server", b"x")], tasks=set())
        self.connections = [
            FrontDoor(door=door, config=nothing, server_state=state, app_state={}) for _ in range(senders)
        ]
        for connection in self.connections:
            connection.connection_made(Nowhere())

    def heartbeat_ns(self) -> float:
        """Processor time of a heartbeat, without sockets and disk."""
        batches = HEARTBEATS_A_TURN // len(self.connections)
        began_ns = time.process_time_ns()
        for _ in range(batches):
            for connection in self.connections:
                connection.data_received(HEARTBEAT)
            batch = self.intake.take()
            self.intake.settle()
            self.counters.requests.answered(batch.arrived, 204)
            for waiter in batch.waiters:
                waiter.acknowledge()
        self.counters.requests.settle()
        return (time.process_time_ns() - began_ns) / batches / len(self.connections)


def added_us(senders: int) -> float:
    """What measuring adds to a heartbeat, µs of processor time."""
    pair = [InProcess(senders, is_measuring=is_measuring) for is_measuring in (True, False)]
    turns = []
    for turn in range(TURNS + 1):
        first, second = pair if turn % 2 else pair[::-1]
        found = {id(first): first.heartbeat_ns(), id(second): second.heartbeat_ns()}
        if turn:  # the first one warms both up
            turns.append(found[id(pair[0])] - found[id(pair[1])])
    return statistics.median(turns) / 1_000


@contextmanager
def scraped(server: Process) -> Iterator[None]:
    """Read /metrics of a server once a second meanwhile."""
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.wait(SCRAPE_S):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
                answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        devices = write_devices(folder / "devices.csv", DEVICES)
        servers = []
        for name, flags in (("with", ()), ("without", WITHOUT)):
            (folder / name).mkdir()
            servers.append(stack.enter_context(fleetpulse(folder / name, *flags, devices=devices)))
        pair = (servers[0], servers[1])

        def measure(server: Process, connections: int) -> float:
            with ExitStack() as load:
                if server is pair[0]:
                    load.enter_context(scraped(server))
                return wrk(server, count=DEVICES, connections=connections, seconds=chosen.seconds)["cpu_us"]

        for connections in CONNECTIONS:
            figures[f"CPU a heartbeat, {connections} connections"] = ratios(
                pair, lambda server, connections=connections: measure(server, connections), chosen.rounds
            )
    whole_us = figures["CPU a heartbeat, 128 connections"]["other"]
    goals = {}
    for senders in SENDERS:
        added = added_us(senders)
        figures[f"at the front door, {senders} in a batch"] = {
            "added_us": round(added, 3), "of_us": whole_us, "ratio": round(1 + added / whole_us, 4)
        }  # fmt: skip
        goals[f"a heartbeat with telemetry, {senders} in a batch"] = (1 + added / whole_us, GOAL)
    record("telemetry", figures, goals)


if __name__ == "__main__":
    main()
