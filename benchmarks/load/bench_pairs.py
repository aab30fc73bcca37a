"""One checkout against another one, in turn, in one run: what a change of the code costs or saves.

    python benchmarks/load/bench_pairs.py --other ../before [--rounds 5] [--seconds 3]

Both servers run on core 0, with the same interpreter and libraries; the load goes to one at a time. Recorded are the
medians of the ratios this/other, round by round: below 1 this checkout is cheaper or faster.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench_bulk import LINES, bodies, measure
from bench_questions import ask, generate, of_devices, same
from harness import ROOT, Process, fleetpulse, pin_load, record, write_devices, wrk

DEVICES, HISTORY_DEVICES = 1_000, 2_000
HEARTBEATS = {"128 connections": (128, False), "512 connections": (512, False), "32 connections": (32, False)}
HEARTBEATS |= {"64, a connection a request": (64, True)}
ROUNDS_A_QUESTION = 15
API = "/api/v1"
Measure = Callable[[Process], float]


@contextmanager
def of_checkout(root: Path) -> Iterator[None]:
    """Servers that are started inside run the code of `root`."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(root / "src")
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def ratios(pair: tuple[Process, Process], measure_one: Measure, rounds: int) -> dict[str, float]:
    """Medians of a figure of both, and of their ratio; each round measures both, in alternating order."""
    found: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        first, second = pair if number % 2 else pair[::-1]
        figures = {first.port: measure_one(first), second.port: measure_one(second)}
        if number:  # the first round warms both up
            found.append((figures[pair[0].port], figures[pair[1].port]))
    ordered = sorted(mine / other for mine, other in found)
    mine, other = (statistics.median(column) for column in zip(*found, strict=True))
    return {
        "ratio": round(statistics.median(ordered), 3),
        "lowest_ratio": round(ordered[0], 3),
        "highest_ratio": round(ordered[-1], 3),
        "this": round(mine, 3),
        "other": round(other, 3),
    }


def questions() -> dict[str, Callable[[], Iterator[str]]]:
    """Questions to the generated history, each as an endless stream of paths."""
    return {
        "device metrics, 1 h": lambda: of_devices(
            lambda name: f"{API}/devices/{name}/metrics?types=cpu&window=1h", HISTORY_DEVICES
        ),
        "device metrics, 5 d by hour": lambda: of_devices(
            lambda name: f"{API}/devices/{name}/metrics?types=cpu&window=5d&step=1h", HISTORY_DEVICES
        ),
        "fleet metrics by site, 24 h": lambda: same(f"{API}/fleet/metrics?types=cpu&window=24h&group_by=site"),
        "device uptime, 5 d": lambda: of_devices(
            lambda name: f"{API}/devices/{name}/uptime?window=5d", HISTORY_DEVICES
        ),
        "device uptime, 5 d, explained": lambda: of_devices(
            lambda name: f"{API}/devices/{name}/uptime?window=5d&explain=true", HISTORY_DEVICES
        ),
        "fleet uptime by site, 5 d": lambda: same(f"{API}/fleet/uptime?window=5d&group_by=site"),
        "devices that are down": lambda: same(f"{API}/devices?status=down"),
        "lifetime stats": lambda: of_devices(lambda name: f"{API}/devices/{name}/stats", HISTORY_DEVICES),
    }


def asking(paths: Iterator[str]) -> Measure:
    """Measures the p50 of questions, ms."""
    return lambda server: ask(server, paths, ROUNDS_A_QUESTION)["p50_ms"]


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True, help="the root of the other checkout, of older code")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    roots = (ROOT, chosen.other.resolve())
    figures: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        devices = write_devices(Path(name) / "devices.csv", DEVICES)
        pair = start_pair(stack, roots, Path(name), devices=devices)
        for case, (connections, close) in HEARTBEATS.items():

            def heartbeats(server: Process, connections: int = connections, *, close: bool = close) -> float:
                return wrk(server, count=DEVICES, connections=connections, seconds=chosen.seconds, close=close)[
                    "cpu_us"
                ]

            figures[f"CPU a heartbeat, {case}"] = ratios(pair, heartbeats, chosen.rounds)
        batches = bodies(DEVICES, 20, 1)
        figures[f"CPU an event of {LINES} in bulk"] = ratios(
            pair, lambda server: measure(server, batches)["cpu_us"], chosen.rounds
        )
    pin_load()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        pair = start_pair(stack, roots, Path(name), history_days=5)
        for question, paths in questions().items():
            figures[f"p50, {question}"] = ratios(pair, asking(paths()), chosen.rounds)
        figures["resident MB after the questions"] = ratios(pair, Process.memory_mb, 1)
    record("pairs", figures, {what: (figure["ratio"], 1.1) for what, figure in figures.items()})


def start_pair(
    stack: ExitStack, roots: tuple[Path, Path], folder: Path, *, devices: Path | None = None, history_days: int = 0
) -> tuple[Process, Process]:
    """A server of each checkout, on a folder of its own."""
    servers: list[Process] = []
    for number, root in enumerate(roots):
        own = folder / f"checkout-{number}"
        own.mkdir()
        with of_checkout(root):
            if history_days:  # of its own: newer code would first make over what older code wrote
                generate(own, "--devices", str(HISTORY_DEVICES), days=history_days)
            servers.append(stack.enter_context(fleetpulse(own, devices=devices)))
    return servers[0], servers[1]


if __name__ == "__main__":
    main()
