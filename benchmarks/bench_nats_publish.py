"""What a NATS stream takes: messages that are on the disks of most of three servers before they are acknowledged.

Three real servers on this machine, by the configuration of deploy/scale/nats.conf. Each of a number of nodes publishes
one message at a time to a subject of its own, as the journal does. All servers share one disk and these processors,
so three machines do better.

    benchmarks/bench_nats_publish.py

On paper: a sync takes some 0.25 ms, three of them on one disk follow each other; two network ways of 0.1 ms each.
"""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import StorageType

sys.path.insert(0, str(Path(__file__).resolve().parent / "load"))
from harness import record

ROOT = Path(__file__).resolve().parent.parent
NODES, SIZES, SECONDS = (1, 3, 6), (1_000, 8_000, 64_000), 4.0


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def start(folder: Path, server: int, clients: list[int], routes: list[int]) -> subprocess.Popen[bytes]:
    """One server, by the configuration that is shipped, with ports and folders of this run."""
    text = (ROOT / "deploy" / "scale" / "nats.conf").read_text()
    listed = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    text = re.sub(r'include "secrets/nats-routes.conf"', f"routes: [{listed}]", text)
    text = re.sub(r'\ninclude "secrets/nats-users.conf"\n', "\n", text)
    for old, new in {
        "$NATS_SERVER": f"nats{server}",
        '"/data"': f'"{folder}/data{server}"',
        "0.0.0.0:4222": f"127.0.0.1:{clients[server]}",
        "0.0.0.0:6222": f"127.0.0.1:{routes[server]}",
        '"0.0.0.0:8222"': '"127.0.0.1:-1"',
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"nats{server}.conf"
    path.write_text(text)
    program = shutil.which("nats-server") or str(Path(sys.executable).with_name("nats-server"))
    with (folder / f"nats{server}.log").open("w") as log:
        return subprocess.Popen([program, "-c", str(path)], stdout=log, stderr=log)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU that a server has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def publish(stream: JetStreamContext, subject: str, body: bytes, end_s: float) -> list[float]:
    """Publish one message after the other. Returns: how long each took, in seconds."""
    took_s = []
    while (began_s := time.perf_counter()) < end_s:
        await stream.publish(subject, body, timeout=10)
        took_s.append(time.perf_counter() - began_s)
    return took_s


async def measure(ports: list[int], servers: list[subprocess.Popen[bytes]]) -> dict[str, Any]:
    """Messages a second by replicas, size of messages, and number of nodes."""
    found: dict[str, Any] = {}
    clients = [await nats.connect(f"nats://127.0.0.1:{ports[number % 3]}") for number in range(max(NODES))]
    streams = [client.jetstream(timeout=10) for client in clients]
    for replicas in (1, 3):
        name = f"bench{replicas}"
        for attempt in range(60):
            try:
                await streams[0].add_stream(
                    name=name, subjects=[f"{name}.*"], num_replicas=replicas, storage=StorageType.FILE
                )
                break
            except nats.errors.Error:
                assert attempt < 59, "the servers found no leader"
                await asyncio.sleep(0.5)
        for size in SIZES:
            for nodes in NODES:
                before_s, end_s = sum(map(cpu_s, servers)), time.perf_counter() + SECONDS
                sent = await asyncio.gather(
                    *(publish(streams[number], f"{name}.{number}", b"x" * size, end_s) for number in range(nodes))
                )
                took_s = sorted(second for one in sent for second in one)
                found[f"R{replicas}, {size} bytes, {nodes} nodes"] = {
                    "messages_a_second": round(len(took_s) / SECONDS, 1),
                    "p50_ms": round(median(took_s) * 1e3, 2),
                    "p99_ms": round(took_s[int(len(took_s) * 0.99)] * 1e3, 2),
                    "servers_cpu_us_a_message": round((sum(map(cpu_s, servers)) - before_s) / len(took_s) * 1e6, 1),
                }
                print(replicas, size, nodes, found[f"R{replicas}, {size} bytes, {nodes} nodes"], flush=True)
        await streams[0].delete_stream(name)
    for client in clients:
        await client.close()
    return found


def main() -> None:
    """Measure, print, and keep the figures in results/nats_publish.json."""
    with tempfile.TemporaryDirectory() as name:
        ports = free_ports(6)
        servers = [start(Path(name), number, ports[:3], ports[3:]) for number in range(3)]
        try:
            figures = asyncio.run(measure(ports[:3], servers))
        finally:
            for server in servers:
                server.send_signal(signal.SIGTERM)
            for server in servers:
                server.wait(30)
    record("nats_publish", figures, {})


if __name__ == "__main__":
    main()
